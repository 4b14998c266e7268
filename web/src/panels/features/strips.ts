/** Which figures there are, what each is called, and how its numbers are printed. */

import type { Assets } from '../../core/assets';
import { toNumber } from '../../core/decimal';
import { MISSING, money, quantity, ratio, signed } from '../../core/format';
import type { FeatureHead } from '../../data/features';

type Kind = 'price' | 'offset' | 'ticks' | 'balance' | 'lots' | 'flow' | 'bps' | 'quote' | 'plain' | 'score' | 'count';

export interface Strip {
  id: string;
  title: string;
  /** Columns of the topic; two are bids (or buys) and asks. */
  series: readonly [string] | readonly [string, string];
  kind: Kind;
  /** Window, depth rule and sampling, as printed under the name. */
  rule: string;
  bars?: boolean;
}

const SUM = 'Σ over 1 s';

/** In the order they are stacked. */
export const STRIPS: readonly Strip[] = [
  { id: 'mid_price', title: 'mid price', series: ['mid_price'], kind: 'price', rule: '(bid + ask) / 2' },
  { id: 'spread', title: 'spread', series: ['spread'], kind: 'ticks', rule: 'ask − bid' },
  { id: 'microprice', title: 'weighted mid − mid', series: ['microprice'], kind: 'offset', rule: 'best level' },
  { id: 'stoikov_microprice', title: 'Stoikov microprice − mid', series: ['stoikov_microprice'], kind: 'offset', rule: 'fitted %fit' },
  { id: 'depth_weighted_price', title: 'depth-weighted price − mid', series: ['depth_weighted_price'], kind: 'offset', rule: 'VAMP, 10 levels' },
  { id: 'imbalance_1', title: 'imbalance, best level', series: ['imbalance_1'], kind: 'balance', rule: '(B − A) / (B + A)' },
  { id: 'imbalance_10', title: 'imbalance, 10 levels', series: ['imbalance_10'], kind: 'balance', rule: '(B − A) / (B + A)' },
  { id: 'imbalance_10bps', title: 'imbalance, 10 bps', series: ['imbalance_10bps'], kind: 'balance', rule: '(B − A) / (B + A)' },
  { id: 'imbalance_25bps', title: 'imbalance, 25 bps', series: ['imbalance_25bps'], kind: 'balance', rule: '(B − A) / (B + A)' },
  { id: 'ofi_ckS', title: 'OFI, Cont–Kukanov–Stoikov', series: ['ofi_ckS'], kind: 'flow', rule: `best level, ${SUM}, %sampling`, bars: true },
  { id: 'ofi', title: 'ΔBid − ΔAsk volume', series: ['ofi'], kind: 'flow', rule: `10 levels, ${SUM} of diffs`, bars: true },
  { id: 'ofi_integrated', title: 'OFI, integrated', series: ['ofi_integrated'], kind: 'score', rule: '10 levels / depth, 1st component', bars: true },
  { id: 'trade_flow', title: 'trade flow', series: ['trade_flow'], kind: 'flow', rule: `bought − sold, ${SUM}`, bars: true },
  { id: 'trade_flow_imbalance', title: 'trade-flow imbalance', series: ['trade_flow_imbalance'], kind: 'balance', rule: `(buy − sell) / both, 1 s`, bars: true },
  { id: 'total_volume', title: 'bid, ask volume', series: ['total_bid_volume', 'total_ask_volume'], kind: 'lots', rule: `10 levels` },
  { id: 'cumulative_10bps', title: 'bid, ask depth', series: ['cumulative_bid_10bps', 'cumulative_ask_10bps'], kind: 'lots', rule: `within 10 bps` },
  { id: 'cumulative_25bps_quote', title: 'bid, ask depth', series: ['cumulative_bid_25bps_quote', 'cumulative_ask_25bps_quote'], kind: 'quote', rule: `within 25 bps` },
  { id: 'depth_per_bp', title: 'bid, ask depth per bp', series: ['depth_per_bp_bid', 'depth_per_bp_ask'], kind: 'quote', rule: 'least squares, 0 to 25 bps' },
  { id: 'slope', title: 'book slope, Næs–Skjeltorp', series: ['slope'], kind: 'plain', rule: `10 levels, ln of lots` },
  { id: 'effective_spread_bps', title: 'effective spread', series: ['effective_spread_bps'], kind: 'bps', rule: 'prints of 1 s, by quantity' },
  { id: 'realised_spread_bps', title: 'realised spread', series: ['realised_spread_bps'], kind: 'bps', rule: 'prints of 5 s before' },
  { id: 'trades', title: 'trades', series: ['trades'], kind: 'count', rule: 'prints in 1 s', bars: true },
  { id: 'updates', title: 'book updates', series: ['updates'], kind: 'count', rule: 'diffs in 1 s', bars: true },
];

export function unitOf(strip: Strip, units: Assets): string {
  switch (strip.kind) {
    case 'price':
      return units.quote;
    case 'quote':
      return strip.id === 'depth_per_bp' ? `${units.quote} / bp` : units.quote;
    case 'offset':
    case 'ticks':
      return 'ticks';
    case 'lots':
    case 'flow':
      return units.base;
    case 'balance':
      return '−1 … +1';
    case 'bps':
      return 'bps';
    default:
      return strip.kind === 'count' ? 'per s' : '';
  }
}

/** What is drawn: prices near the mid price as their distance from it, in ticks. */
export function drawn(strip: Strip, value: number, mid: number): number {
  return strip.kind === 'offset' ? value - mid : value;
}

/** A value of the topic as it is printed. */
export function printed(strip: Strip, value: number, mid: number, head: FeatureHead): string {
  if (!Number.isFinite(value)) return MISSING;
  const { tick, lot } = head;
  switch (strip.kind) {
    case 'price':
      return toNumber(value, tick).toFixed(tick.decimals + (Number.isInteger(value) ? 0 : 1));
    case 'offset':
      return signedTicks(value - mid);
    case 'ticks':
      return String(value);
    case 'balance':
      return ratio(value);
    case 'lots':
      return quantity(toNumber(value, lot), lot.decimals);
    case 'flow':
      return signed(toNumber(value, lot), lot.decimals);
    case 'quote':
      return money(value * toNumber(1, tick) * toNumber(1, lot));
    case 'score':
      return signed(value, 2);
    case 'bps':
      return value.toFixed(2);
    case 'count':
      return String(value);
    default:
      return quantity(value, 3);
  }
}

function signedTicks(value: number): string {
  const text = value.toFixed(2);
  if (Number(text) === 0) return '0.00';
  return value > 0 ? `+${text}` : text;
}

export const chosenStrips = (ids: string): Strip[] => {
  const wanted = new Set(ids.split(','));
  return STRIPS.filter((strip) => wanted.has(strip.id));
};
