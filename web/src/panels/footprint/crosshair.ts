/** What the tooltip says of the cell and the candle under the crosshair. */

import type { Line } from '../../core/crosshair';
import { stepText, toNumber, toText } from '../../core/decimal';
import { clockSeconds, day, quantity, signed } from '../../core/format';
import type { Theme } from '../../core/theme';
import type { Candle, FootprintHead, Gap } from '../../data/footprint';
import type { Auction } from './auctions';
import { diagonalImbalances, RATIO } from './diagonal';

/** Index of the cell whose bin holds `price`; -1 when nothing traded there. */
export function cellAt(candle: Candle, price: number, step: number): number {
  const bin = Math.floor(price / step) * step;
  for (let k = 0; k < candle.price.length; k++) if (candle.price[k] === bin) return k;
  return -1;
}

export function tooltipLines(candle: Candle, price: number, head: FootprintHead, minQuantity: number, theme: Theme, gaps: readonly Gap[] = [], auctions: readonly Auction[] = []): Line[] {
  const text = (ticks: number): string => (ticks < 0 ? '—' : toText(ticks, head.tick));
  const amount = (lots: number): string => quantity(toNumber(lots, head.lot), head.lot.decimals);
  const delta = (lots: number): string => signed(toNumber(lots, head.lot), head.lot.decimals);
  const shade = (lots: number): string => (lots > 0 ? theme.buy : lots < 0 ? theme.sell : theme.text);
  const volume = candle.bid + candle.ask;
  const bin = Math.floor(price / head.stepTicks) * head.stepTicks;
  const k = cellAt(candle, price, head.stepTicks);
  const lines: Line[] = [
    ['bin', `${text(bin)} + ${stepText(head.stepTicks, head.tick)}`],
    ...(k < 0 ? [] : cellLines(candle, k, amount, delta, shade)),
    ...(k < 0 ? [] : imbalanceLines(candle, k, head.stepTicks, minQuantity, theme)),
    ['', ''],
    ['open', `${day(candle.openMs)} ${clockSeconds(candle.openMs)}`],
    ['O  H', `${text(candle.open)}  ${text(candle.high)}`],
    ['L  C', `${text(candle.low)}  ${text(candle.close)}`],
    ['sell', amount(candle.bid), theme.sell],
    ['buy', amount(candle.ask), theme.buy],
    ['delta', `${delta(candle.ask - candle.bid)}${volume ? `  ${signedPercent(candle.ask - candle.bid, volume)}` : ''}`, shade(candle.ask - candle.bid)],
    ['volume', amount(volume)],
    ['trades', String(candle.trades)],
    ['CVD', delta(candle.cvd), shade(candle.cvd)],
    ['POC', text(candle.poc), theme.poc],
    ['VA', candle.vah < 0 ? text(-1) : `${text(candle.val)} – ${text(candle.vah)}`],
  ];
  for (const { openMs, end, price, touched } of auctions) {
    if (openMs === candle.openMs) lines.push([`${end} end`, `unfinished at ${text(price)} + ${stepText(head.stepTicks, head.tick)}${touched ? ', touched' : ''}`]);
  }
  if (candle.klines > 0) lines.push(['klines', `${candle.klines} min told by the venue's, no cells`, theme.muted]);
  if (candle.gap > 0) lines.push(['gap', `${candle.gap} known, totals are ≈`, theme.amber], ...gapLines(candle, head, gaps, theme));
  return lines;
}

const FATE: Record<string, string> = {
  open: 'being filled',
  beyond_horizon: 'older than the venue tells',
  refused: 'the venue does not give it',
  forgotten: 'given up',
  unfillable: 'cannot be asked for',
};
const GAP_LINES = 3;

/** Why something is missing, for the first few gaps that touch the candle. */
export function gapLines(candle: Candle, head: FootprintHead, gaps: readonly Gap[], theme: Theme): Line[] {
  const touching = gaps.filter((gap) => gap.to_ts >= candle.openMs && gap.from_ts < candle.openMs + head.timeframeMs);
  return touching.slice(0, GAP_LINES).map((gap) => {
    const trades = gap.last_id - gap.first_id + 1;
    const what = trades > 0 ? `${trades} trade${trades === 1 ? '' : 's'} ` : '';
    return [gap.cause.replaceAll('_', ' '), `${what}${clockSeconds(gap.from_ts)}, ${FATE[gap.fate] ?? gap.fate}`, theme.amber];
  });
}

function cellLines(
  candle: Candle,
  k: number,
  amount: (lots: number) => string,
  delta: (lots: number) => string,
  shade: (lots: number) => string,
): Line[] {
  const bid = candle.cellBid[k]!;
  const ask = candle.cellAsk[k]!;
  return [
    ['sell × buy', `${amount(bid)} × ${amount(ask)}`],
    ['delta', delta(ask - bid), shade(ask - bid)],
    ['trades', String(candle.cellTrades[k]!)],
  ];
}

/** Vendors call the same strength 300 % and +200 %: both are said. */
function imbalanceLines(candle: Candle, k: number, step: number, minQuantity: number, theme: Theme): Line[] {
  const { buy, sell } = diagonalImbalances(candle, step, minQuantity);
  const line = (side: 'buy' | 'sell', strength: number): Line[] => {
    if (strength === 0) return [];
    const text = strength === Infinity ? 'against nothing' : `${strength.toFixed(1)}× (= ${(strength * 100).toFixed(0)} %, = +${(strength * 100 - 100).toFixed(0)} %)`;
    return [[`${side} imb.`, text, theme[side]]];
  };
  return [...line('buy', buy[k]!), ...line('sell', sell[k]!)];
}

const signedPercent = (part: number, whole: number): string => `${part > 0 ? '+' : ''}${((part / whole) * 100).toFixed(1)} %`;

/** How the imbalance rule reads, in both notations that vendors use. */
export const IMBALANCE_RULE = `${RATIO}.0× (= ${RATIO * 100} %, = +${(RATIO - 1) * 100} %)`;
