/** Both sides of one live book, cumulated from the best price outwards. */

import { type Grid, gridOf } from '../core/decimal';
import { column, type Frame } from '../core/wire';

export interface Side {
  /** Ticks, best first; lots there and lots from the best level to it. */
  price: ArrayLike<number>;
  lots: ArrayLike<number>;
  sum: ArrayLike<number>;
}

const EMPTY: Side = { price: [], lots: [], sum: [] };

export class DepthData {
  symbol = '';
  tick: Grid = { units: 1, decimals: 0 };
  lot: Grid = { units: 1, decimals: 0 };
  bids = EMPTY;
  asks = EMPTY;
  /** The known range, ticks; null where the side is known to its end. */
  low: number | null = null;
  high: number | null = null;
  tsMs = 0;

  onFrame(frame: Frame): void {
    const meta = frame.meta as unknown as { symbol: string; tick: [number, number]; lot: [number, number]; low: number | null; high: number | null; ts_ms: number };
    this.symbol = meta.symbol;
    this.tick = gridOf(meta.tick);
    this.lot = gridOf(meta.lot);
    [this.low, this.high, this.tsMs] = [meta.low, meta.high, meta.ts_ms];
    this.bids = { price: column(frame, 'bid_p'), lots: column(frame, 'bid_q'), sum: column(frame, 'bid_sum') };
    this.asks = { price: column(frame, 'ask_p'), lots: column(frame, 'ask_q'), sum: column(frame, 'ask_sum') };
  }

  clear(): void {
    this.bids = this.asks = EMPTY;
  }

  /** Ticks, half of the spread included; NaN where a side is empty. */
  get mid(): number {
    return this.bids.price.length && this.asks.price.length ? (this.bids.price[0]! + this.asks.price[0]!) / 2 : NaN;
  }

  /** Lots and ticks x lots from the best level of the price's side to the price; undefined beyond the known book. */
  upTo(price: number): { side: 'bid' | 'ask'; lots: number; quote: number; levels: number } | undefined {
    const side = price <= this.mid ? 'bid' : 'ask';
    if ((side === 'bid' && this.low !== null && price < this.low) || (side === 'ask' && this.high !== null && price > this.high)) return undefined;
    const { price: prices, lots } = side === 'bid' ? this.bids : this.asks;
    let [sum, quote, levels] = [0, 0, 0];
    while (levels < prices.length && (side === 'bid' ? prices[levels]! >= price : prices[levels]! <= price)) {
      sum += lots[levels]!;
      quote += lots[levels]! * prices[levels]!;
      levels += 1;
    }
    return { side, lots: sum, quote, levels };
  }
}
