/** Rows of the ladder around the mid price: what stands, was traded, pulled and stacked in each bin of `step` ticks. */

import { type Grid, gridOf } from '../core/decimal';
import { column, type Frame } from '../core/wire';

const FIGURES = ['bid', 'ask', 'sold', 'bought', 'bid_pulled', 'bid_stacked', 'ask_pulled', 'ask_stacked'] as const;
export type Figure = (typeof FIGURES)[number];

interface Meta {
  symbol: string;
  tick: [number, number];
  lot: [number, number];
  base: number;
  step: number;
  bid: number | null;
  ask: number | null;
  last: number | null;
  last_side: number;
  traded_since: number | null;
  missing: number;
  window_ms: number;
}

export class LadderData {
  symbol = '';
  tick: Grid = { units: 1, decimals: 0 };
  lot: Grid = { units: 1, decimals: 0 };
  /** Ticks: lower edge of the lowest row, height of a row, best prices and newest trade; NaN not known. */
  base = 0;
  step = 0;
  bid = NaN;
  ask = NaN;
  last = NaN;
  /** +1 where the newest trade's aggressor bought, -1 sold, 0 not known. */
  lastSide = 0;
  tradedSince: number | null = null;
  /** Trade ids missing in all. */
  missing = 0;
  windowMs = 0;
  rows = 0;

  #figures = new Map<Figure, ArrayLike<number>>();
  /** Traded volume before a reset, by lower edge of the row. */
  #before: { step: number; at: number; rows: Map<number, readonly [number, number]> } | undefined;

  onFrame(frame: Frame): void {
    const meta = frame.meta as unknown as Meta;
    this.symbol = meta.symbol;
    this.tick = gridOf(meta.tick);
    this.lot = gridOf(meta.lot);
    this.base = meta.base;
    this.step = meta.step;
    [this.bid, this.ask, this.last] = [meta.bid ?? NaN, meta.ask ?? NaN, meta.last ?? NaN];
    this.lastSide = meta.last_side;
    this.tradedSince = meta.traded_since;
    this.missing = meta.missing;
    this.windowMs = meta.window_ms;
    for (const name of FIGURES) this.#figures.set(name, column(frame, name));
    this.rows = this.#figures.get('bid')!.length;
    if (this.#before && (this.#before.step !== this.step || (this.tradedSince ?? 0) > this.#before.at)) this.#before = undefined;
  }

  clear(): void {
    this.rows = this.step = 0;
    this.#before = undefined;
  }

  /** Lots in the row whose lower edge is `edge`; NaN where they are not known. */
  at(figure: Figure, edge: number): number {
    const row = (edge - this.base) / this.step;
    const found = row >= 0 && row < this.rows ? this.#figures.get(figure)![row]! : NaN;
    if (!this.#before || (figure !== 'sold' && figure !== 'bought')) return found;
    const before = this.#before.rows.get(edge);
    return before ? found - before[figure === 'sold' ? 0 : 1] : NaN;
  }

  /** Count traded volume from now on. Rows out of reach now stay unknown. */
  resetTraded(nowMs: number): void {
    this.#before = undefined;
    const rows = new Map<number, readonly [number, number]>();
    for (let k = 0; k < this.rows; k++) {
      const edge = this.base + k * this.step;
      rows.set(edge, [this.at('sold', edge), this.at('bought', edge)]);
    }
    this.#before = { step: this.step, at: nowMs, rows };
  }

  /** Count from the beginning of the day again. */
  wholeSession(): void {
    this.#before = undefined;
  }

  /** From when on traded volume counts. */
  get countedSince(): number | null {
    return this.#before?.at ?? this.tradedSince;
  }

  get wasReset(): boolean {
    return this.#before !== undefined;
  }

  edgeOf(price: number): number {
    return Math.floor(price / this.step) * this.step;
  }
}
