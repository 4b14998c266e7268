/** One coin's flow on every venue, step by step; sums are made here as the API makes them, from the first step on. */

import { column, type Frame } from '../core/wire';

export interface MarketHead {
  exchange: string;
  symbol: string;
  kind: string;
  decimals: number;
}

export interface DivergenceCell {
  window: string;
  z: number | null;
  state: string | null;
  windows: number;
  why: string | null;
  net?: number | null;
  price_change_bps?: number | null;
  difference?: number | null;
}

export interface Divergences {
  markets: { exchange: string; symbol: string; windows: DivergenceCell[] }[];
  together: { group: string; markets: number; windows: DivergenceCell[] }[];
  across: { a: string; b: string; windows: DivergenceCell[] }[];
}

export interface CvdMeta {
  exchange: string;
  symbol: string;
  span: string;
  step_ms: number;
  unit: string;
  first_ts: number;
  markets: MarketHead[];
  since_ts: number[];
  gaps: number[];
  missing: { exchange: string; symbol: string; why: string }[];
  divergences: Divergences;
}

export class Cvd {
  meta: CvdMeta | undefined;
  steps: number[] = [];
  /** By market: price and net flow of every step, NaN where it is not held. */
  price: number[][] = [];
  net: number[][] = [];

  onFrame(frame: Frame): void {
    const meta = frame.meta as unknown as CvdMeta;
    const fresh = Array.from(column(frame, 'ts_ms'));
    if (frame.type === 'snapshot' || !this.meta) this.#clear(meta.markets.length);
    this.meta = meta;
    // What changed replaces everything from its first step on; what has left the span goes.
    const from = fresh.length > 0 ? lowerBound(this.steps, fresh[0]!) : this.steps.length;
    const drop = lowerBound(this.steps, meta.first_ts);
    const join = (kept: number[], added: number[]): number[] => [...kept.slice(drop, from), ...added];
    this.price = meta.markets.map((_, k) => join(this.price[k] ?? [], Array.from(column(frame, `price_${k}`))));
    this.net = meta.markets.map((_, k) => join(this.net[k] ?? [], Array.from(column(frame, `net_${k}`))));
    this.steps = join(this.steps, fresh);
  }

  /** Running sum of one market's net flow; unknown before it is held. */
  cvd(market: number): (number | null)[] {
    return running(this.net[market] ?? []);
  }

  /** Several markets as one, from the step on that all of them hold. */
  merged(markets: readonly number[]): (number | null)[] {
    return running(this.steps.map((_, step) => markets.reduce((sum, k) => sum + (this.net[k]?.[step] ?? NaN), 0)));
  }

  #clear(markets: number): void {
    this.steps = [];
    this.price = Array.from({ length: markets }, () => []);
    this.net = Array.from({ length: markets }, () => []);
  }
}

/** The sum up to each value; null until the first known one. */
export function running(values: readonly number[]): (number | null)[] {
  let sum = 0;
  let begun = false;
  return values.map((value) => {
    if (Number.isNaN(value)) return begun ? sum : null;
    begun = true;
    sum += value;
    return sum;
  });
}

/** Position of the first of rising `values` that is `wanted` or more. */
function lowerBound(values: readonly number[], wanted: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
