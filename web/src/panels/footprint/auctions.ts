/**
 * Unfinished auctions: at a candle's highest bin buyers lifted the ask and sellers still hit the bid (at its lowest,
 * the mirror), so the move did not end for want of the other side. Told of closed candles of which no trade is missing, at
 * the bin shown, where the aggressor's side is no smaller than what an imbalance needs; touched once a later candle
 * trades there or beyond.
 */

import { mix, type Theme } from '../../core/theme';
import type { Candle, FootprintHead } from '../../data/footprint';
import type { Placed } from './subpanes';
import type { Viewport } from './viewport';

export interface Auction {
  openMs: number;
  end: 'high' | 'low';
  /** Lower edge of the bin, ticks. */
  price: number;
  touched: boolean;
}

/** Of candles in the order of time, which is the order of the answer; the newest still forms and has no end yet. */
export function unfinishedAuctions(candles: readonly Candle[], step: number, minQuantity: number): Auction[] {
  const found: Auction[] = [];
  const least = Math.max(1, minQuantity);
  let highest = -Infinity;
  let lowest = Infinity;
  for (let c = candles.length - 1; c >= 0; c--) {
    const { openMs, price, cellBid, cellAsk, trades, high, low, gap, klines } = candles[c]!;
    if (trades === 0) continue;
    const [top, bottom] = [0, price.length - 1];
    if (c < candles.length - 1 && gap === 0 && klines === 0) {
      if (cellBid[bottom]! >= least && cellAsk[bottom]! > 0) found.push({ openMs, end: 'low', price: price[bottom]!, touched: lowest < price[bottom]! + step });
      if (cellAsk[top]! >= least && cellBid[top]! > 0) found.push({ openMs, end: 'high', price: price[top]!, touched: highest >= price[top]! });
    }
    highest = Math.max(highest, high);
    lowest = Math.min(lowest, low);
  }
  return found.reverse();
}

interface Frame {
  context: CanvasRenderingContext2D;
  head: FootprintHead;
  theme: Theme;
  view: Viewport;
}

const SIZE_PX = 4;
const LEAST_CANDLE_PX = 12;

/** An open triangle beyond the candle's end, in the colour of who did not finish; grey once it was touched. */
export function paintAuctions({ context, head, theme, view }: Frame, auctions: readonly Auction[], placed: readonly Placed[]): void {
  if (view.candleWidth < LEAST_CANDLE_PX) return;
  const left = new Map(placed.map(({ candle, x }) => [candle.openMs, x]));
  context.lineWidth = 1;
  for (const { openMs, end, price, touched } of auctions) {
    const x = left.get(openMs);
    if (x === undefined) continue;
    const up = end === 'high' ? -1 : 1;
    const edge = Math.round(end === 'high' ? view.y(price + head.stepTicks) : view.y(price)) + up * 2;
    const middle = Math.round(x + view.candleWidth - 2 * SIZE_PX - 3) + 0.5;
    context.strokeStyle = touched ? theme.faint : end === 'high' ? theme.buy : theme.sell;
    context.fillStyle = touched ? theme.bg : mix(context.strokeStyle, 0.25, theme.bg);
    context.beginPath();
    context.moveTo(middle - SIZE_PX, edge + 0.5);
    context.lineTo(middle + SIZE_PX, edge + 0.5);
    context.lineTo(middle, edge + up * (SIZE_PX + 2) + 0.5);
    context.closePath();
    context.fill();
    context.stroke();
  }
}
