/** Where moments and prices lie on the heatmap: linear axes in ms and in ticks. */

import type { Movable } from '../../core/hand';

const SPAN_MS = 180_000;
const LEAST_SPAN_MS = 10_000;
const MOST_SPAN_MS = 600_000;
/** The price axis moves only when the mid price leaves this middle part of it: nothing jumps meanwhile. */
const CALM = 0.6;
const LEAST_BIN_PX = 0.5;
const MOST_BIN_PX = 40;
/** Breadth of the book that is shown at first, of every symbol alike: columns hold at least this much. */
const BREADTH = 24e-4;
/** A coarse tick shows more than that, so that there is something to see. */
const LEAST_BINS = 48;
const MOST_SHARE = 0.9;

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Bins around the mid price (ticks) that are shown at first. */
export const breadth = (mid: number, step: number, bins: number): number =>
  Math.round(clamp((mid * BREADTH) / step, LEAST_BINS, bins * MOST_SHARE));

export class View implements Movable {
  width = 0;
  height = 0;
  readonly stepPx = 40;
  /** The price axis follows the mid price. */
  auto = true;
  /** The right edge is the newest column. */
  following = true;
  /** Price (ticks, not whole) at the upper edge, and pixels a tick. */
  top = 0;
  perTick = 0;

  #span = SPAN_MS;
  #right = 0;
  #newest = 0;
  #step = 1;

  get msPerPx(): number {
    return this.#span / Math.max(1, this.width);
  }

  get spanMs(): number {
    return this.#span;
  }

  /** Times at the edges of the plot. */
  get left(): number {
    return this.right - this.#span;
  }

  get right(): number {
    return this.following ? this.#newest : this.#right;
  }

  x(ms: number): number {
    return this.width - (this.right - ms) / this.msPerPx;
  }

  msAt(x: number): number {
    return this.right - (this.width - x) * this.msPerPx;
  }

  y(price: number): number {
    return (this.top - price) * this.perTick;
  }

  priceAt(y: number): number {
    return this.top - y / this.perTick;
  }

  /** A column ended at `newest`; `double` is twice its mid price (0: not known), `step` the ticks of a bin. */
  advance(newest: number, double: number, step: number, bins: number): void {
    this.#newest = newest;
    this.#step = step;
    if (double > 0 && this.height > 0) this.#hold(double / 2, bins);
  }

  pan(dx: number, dy: number, oldest: number): void {
    if (dx !== 0) {
      const right = this.right - dx * this.msPerPx;
      this.following = right >= this.#newest;
      this.#right = Math.max(right, Math.min(this.#newest, oldest + this.#span / 10));
    }
    if (dy === 0) return;
    this.auto = false;
    this.top += dy / this.perTick;
  }

  zoomTime(factor: number, x: number): void {
    const anchor = this.following ? this.width : x;
    const ms = this.msAt(anchor);
    this.#span = clamp(this.#span / factor, LEAST_SPAN_MS, MOST_SPAN_MS);
    if (!this.following) this.#right = ms + (this.width - anchor) * this.msPerPx;
  }

  zoomPrice(factor: number, y: number): void {
    const price = this.priceAt(y);
    this.perTick = clamp(this.perTick * factor, LEAST_BIN_PX / this.#step, MOST_BIN_PX / this.#step);
    this.top = price + y / this.perTick;
  }

  follow(): void {
    this.following = true;
    this.auto = true;
    this.perTick = 0;
    this.#span = SPAN_MS;
  }

  #hold(mid: number, bins: number): void {
    const first = this.perTick === 0;
    if (first) this.perTick = this.height / (breadth(mid, this.#step, bins) * this.#step);
    const y = this.y(mid) / this.height;
    const calm = y >= (1 - CALM) / 2 && y <= (1 + CALM) / 2;
    if (first || (this.auto && !calm)) this.top = Math.round((mid + this.height / 2 / this.perTick) / this.#step) * this.#step;
  }
}
