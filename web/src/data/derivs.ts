/** Rows of the derivatives topics: as the API tells them, kept by name; a delta brings the rows that differ, whole. */

import { Store } from '../core/store';
import type { Frame } from '../core/wire';
import { status } from './status';

export interface BasisRow {
  exchange: string;
  symbol: string;
  kind: string;
  price_decimals: number;
  mid: number | null;
  spot_exchange: string | null;
  spot_symbol: string | null;
  spot_decimals: number | null;
  spot_mid: number | null;
  basis_bps: number | null;
  state: string | null;
  annualised_pct: number | null;
  premium_bps: number | null;
  why: string | null;
  basis_bps_1h_ago: number | null;
  basis_bps_24h_ago: number | null;
  premium_bps_1h_ago: number | null;
  premium_bps_24h_ago: number | null;
}

export interface FundingRow {
  exchange: string;
  symbol: string;
  kind: string;
  ts: number | null;
  rate_pct: number | null;
  interval_h: number | null;
  rate_8h_pct: number | null;
  annual_pct: number | null;
  payer: string | null;
  next_ts: number | null;
  slope_bps_per_h: number | null;
  slope_minutes: number;
  percentile: number | null;
  percentile_minutes: number;
  extreme: boolean | null;
  extreme_by: string[];
  rate_8h_pct_1h_ago: number | null;
  rate_8h_pct_24h_ago: number | null;
  why: string | null;
}

export interface InterestRow {
  exchange: string;
  symbol: string;
  kind: string;
  ts: number | null;
  quantity: number | null;
  usd: number | null;
  change_1h_pct: number | null;
  change_24h_pct: number | null;
  why: string | null;
}

export interface WhaleRow {
  exchange: string;
  id: number;
  ts: number;
  start_ts: number;
  symbol: string;
  side: 'buy' | 'sell';
  tier: 'mega' | 'whale' | 'symbol';
  price_decimals: number;
  price: number;
  low: number;
  high: number;
  quantity: number;
  notional: number;
  pct_of_adv: number | null;
  levels: number;
  trades: number;
  open: boolean;
  depth_10bps: number | null;
  depth_share: number | null;
}

export interface WhaleHour {
  from_ts: number;
  count: number;
  buy_notional: number;
  sell_notional: number;
}

export interface WhaleFlow {
  exchange: string;
  ts: number;
  since_ts: number;
  hour: WhaleHour | null;
  hour_before: WhaleHour | null;
}

export interface FlowWindow {
  imbalance: number | null;
  buy_pct: number | null;
  sell_pct: number | null;
  net_per_min: number;
  held_s: number;
}

export interface FlowRow {
  exchange: string;
  symbol: string;
  kind: string;
  windows: Record<string, FlowWindow>;
  trend: string | null;
  imbalance_15m_1h_ago: number | null;
  imbalance_15m_24h_ago: number | null;
  since_ts: number | null;
  last: number | null;
  last_ts: number | null;
  why: string | null;
}

export interface Cluster {
  price: number;
  long_count: number;
  short_count: number;
  long_notional: number;
  short_notional: number;
  notional: number;
  upper_notional: number | null;
  upper_why: string | null;
  last_ts: number;
  depth_to_reach: number | null;
  depth_share: number | null;
  level: 'none' | 'watch' | 'danger' | 'critical';
  because: string[];
  danger: boolean;
}

export interface Clusters {
  exchange: string;
  symbol: string;
  price_decimals: number;
  bucket: number;
  ts: number;
  window_ms: number;
  since_ts: number | null;
  coverage: string;
  coverage_words: string;
  estimated: null;
  estimated_why: string;
  mid_price: number | null;
  depth_why: string | null;
  danger_notional: number;
  danger_share: number;
  clusters: Cluster[];
}

/** Rows by name, over one or several venues' topics. */
export class Rows<T> {
  readonly byName = new Map<string, T>();
  /** Rises with every frame. */
  revision = 0;
  readonly #nameOf: (row: T) => string;

  constructor(nameOf: (row: T) => string) {
    this.#nameOf = nameOf;
  }

  /** Take a frame; `mine` says which of the kept rows its topic owns, for a snapshot replaces those. */
  onFrame(frame: Frame, mine: (row: T) => boolean = () => true): T[] {
    const rows = (frame.meta['rows'] ?? []) as T[];
    if (frame.type === 'snapshot') for (const [name, row] of this.byName) if (mine(row)) this.byName.delete(name);
    for (const row of rows) this.byName.set(this.#nameOf(row), row);
    this.revision += 1;
    return rows;
  }
}

/** Names of the venues that run, in the server's order. */
const venues = new Store<readonly string[]>([]);
status.subscribe((told) => {
  const names = Object.keys(told.venues);
  if (names.join() !== venues.get().join()) venues.set(names);
});

/** Names of the venues that run; before the server has told any, of none. */
export const allVenues = (): readonly string[] => venues.get();

/** Call `enter` for every running venue, now and as they come; what it returns is called when the venue goes, or in the end. */
export function everyVenue(enter: (exchange: string) => () => void): () => void {
  const open = new Map<string, () => void>();
  const stop = venues.subscribe((names) => {
    for (const name of names) if (!open.has(name)) open.set(name, enter(name));
    for (const [name, leave] of open) {
      if (names.includes(name)) continue;
      leave();
      open.delete(name);
    }
  });
  return () => {
    stop();
    for (const leave of open.values()) leave();
  };
}
