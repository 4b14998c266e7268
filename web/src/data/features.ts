/** The rolling buffer of one instrument's features: a column a figure, oldest second first. */

import { type Grid, gridOf } from '../core/decimal';
import type { Frame } from '../core/wire';

/** Seconds that are kept, as the server does. */
export const SAMPLES = 180;
export const STEP_MS = 1000;

export interface FeatureHead {
  symbol: string;
  tick: Grid;
  lot: Grid;
  sampling: 'bookTicker' | 'depth';
  /** Ticks a lot: slope, its standard error, R², n. */
  kyle: [number, number, number, number] | null;
  /** Value and full buckets. */
  vpin: [number, number] | null;
  /** Age of the fitted microprice on the tape's own clock. */
  fitAgeMs: number | null;
}

interface Meta {
  symbol: string;
  tick: [number, number];
  lot: [number, number];
  sampling: 'bookTicker' | 'depth';
  kyle: FeatureHead['kyle'];
  vpin: FeatureHead['vpin'];
  fit_age_ms: number | null;
  /** Why a figure is not defined: with a live book, without one. */
  reasons?: Record<string, [live: string, notLive: string]>;
}

export class Features {
  head: FeatureHead | undefined;
  /** Seconds held. */
  count = 0;
  revision = 0;
  #columns: Record<string, Float64Array> = {};
  #reasons: Record<string, [string, string]> = {};

  onFrame(frame: Frame): void {
    const meta = frame.meta as unknown as Meta;
    this.head = {
      symbol: meta.symbol, tick: gridOf(meta.tick), lot: gridOf(meta.lot), sampling: meta.sampling,
      kyle: meta.kyle, vpin: meta.vpin, fitAgeMs: meta.fit_age_ms,
    };
    this.#reasons = meta.reasons ?? this.#reasons;
    const kept = frame.type === 'snapshot' ? {} : this.#columns;
    const fresh: Record<string, Float64Array> = {};
    for (const [name, values] of Object.entries(frame.columns)) fresh[name] = newest(kept[name], values as Float64Array);
    this.#columns = fresh;
    this.count = fresh['ts_ms']?.length ?? 0;
    this.revision += 1;
  }

  /** A figure second by second; NaN is not defined. */
  figure(name: string): Float64Array {
    return this.#columns[name] ?? NONE;
  }

  /** The second that ends at `ms`, -1 where none is held. */
  indexOf(ms: number): number {
    const times = this.figure('ts_ms');
    return times.findLastIndex((ts) => ts <= ms && ms - ts < STEP_MS);
  }

  /** Why a figure is not defined in a second. */
  reason(name: string, index: number): string {
    const live = this.figure('live')[index] === 1;
    return this.#reasons[name]?.[live ? 0 : 1] ?? 'not defined';
  }
}

const NONE = new Float64Array(0);

function newest(before: Float64Array | undefined, values: Float64Array): Float64Array {
  if (!before) return values.slice(-SAMPLES);
  const kept = before.subarray(Math.max(0, before.length + values.length - SAMPLES));
  const joined = new Float64Array(kept.length + values.length);
  joined.set(kept);
  joined.set(values, kept.length);
  return joined.length > SAMPLES ? joined.slice(-SAMPLES) : joined;
}
