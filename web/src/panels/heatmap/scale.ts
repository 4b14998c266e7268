/** How a resting size becomes a colour: two sizes as the ends of a ramp, taken from what is visible or set by hand. */

import type { Theme } from '../../core/theme';

export interface Scale {
  /** Lots at the ramp's ends: at or below `low` darkest, at or above `high` brightest. */
  low: number;
  high: number;
}

export const RAMPS = {
  thermal: ['#15171c', '#14284b', '#16487f', '#1f7fb0', '#49b9c2', '#b9d86a', '#f7c53c', '#f2792b', '#e0312a'],
  viridis: ['#17171a', '#2c1e4a', '#3b4083', '#30698d', '#238f8b', '#35b678', '#8dd544', '#e4e33a', '#fdf6b0'],
  /** On light ground, where nothing stands is light: `ink` in colours, `blues` for everybody's eyes. */
  ink: ['#f4f4f2', '#dbe7f1', '#aecde6', '#74add1', '#4575b4', '#5e4fa2', '#9e3f8f', '#cf3a5c', '#b10026'],
  blues: ['#f4f4f2', '#e1e8ef', '#c3d6e6', '#97bcd9', '#669fc9', '#3c7fb5', '#1f5f99', '#0d3f75', '#061f45'],
  grey: ['#17171a', '#2a2a2d', '#414144', '#5c5c5f', '#7b7b7e', '#9c9c9f', '#bfbfc2', '#e2e2e5', '#ffffff'],
} as const;
export type Ramp = keyof typeof RAMPS;

/** The ramp somebody chose, or the one that goes with the theme. */
export function rampOf(chosen: string, { light, safe }: Theme): Ramp {
  if (chosen in RAMPS) return chosen as Ramp;
  return light ? (safe ? 'blues' : 'ink') : safe ? 'viridis' : 'thermal';
}

/** Colours of a ramp, evenly spaced in size from its low to its high end. */
export const LEVELS = 1024;
/** Large sizes are few: below 1 the ramp gives more of its length to the small ones. */
const GAMMA = 0.75;
const LOW_RANK = 0.4;
const HIGH_RANK = 0.99;
/** What the ends of an automatic scale are, as the legend says it: percentiles of the sizes on screen. */
export const RANKS = `p${LOW_RANK * 100}–p${HIGH_RANK * 100}`;
/** A scale that moved less than this is the same scale. */
const SAME = 0.1;
const SAMPLES = 8192;

/** Colours of a ramp as little-endian RGBA words, for the pixels of a bitmap. */
export function rampWords(ramp: Ramp): Uint32Array {
  const stops = RAMPS[ramp].map((hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)));
  return Uint32Array.from({ length: LEVELS }, (_, k) => {
    const at = (k / (LEVELS - 1)) ** GAMMA * (stops.length - 1);
    const lower = Math.min(Math.floor(at), stops.length - 2);
    const [r, g, b] = [0, 1, 2].map((c) => Math.round(stops[lower]![c]! + (stops[lower + 1]![c]! - stops[lower]![c]!) * (at - lower)));
    return ((255 << 24) | (b! << 16) | (g! << 8) | r!) >>> 0;
  });
}

/** Place of a size on the ramp, 0 to LEVELS - 1. */
export function level(lots: number, { low, high }: Scale): number {
  const share = (Math.abs(lots) - low) / (high - low);
  return share <= 0 ? 0 : share >= 1 ? LEVELS - 1 : Math.round(share * (LEVELS - 1));
}

/** A sample of standing sizes by rank: its `low` and `high` percentiles; undefined where nothing stands. */
export class Sampler {
  readonly #sizes = new Float32Array(SAMPLES);
  #count = 0;
  #seen = 0;
  #stride = 1;

  /** Begin anew with about `total` sizes to come. */
  begin(total: number): void {
    this.#count = this.#seen = 0;
    this.#stride = Math.max(1, Math.ceil(total / SAMPLES));
  }

  add(lots: number): void {
    const size = Math.abs(lots);
    if (!(size > 0) || this.#seen++ % this.#stride || this.#count >= SAMPLES) return;
    this.#sizes[this.#count++] = size;
  }

  scale(): Scale | undefined {
    if (this.#count === 0) return undefined;
    const sorted = this.#sizes.slice(0, this.#count).sort();
    const at = (rank: number): number => sorted[Math.min(sorted.length - 1, Math.floor(rank * sorted.length))]!;
    const low = at(LOW_RANK);
    return { low, high: Math.max(at(HIGH_RANK), low * 1.5) };
  }
}

/** `next`, or `known` where it is nearly the same: the picture must not flicker with every column. */
export function settle(known: Scale | undefined, next: Scale): Scale {
  if (!known) return next;
  const moved = Math.abs(next.high - known.high) > SAME * known.high || Math.abs(next.low - known.low) > SAME * known.high;
  return moved ? next : known;
}
