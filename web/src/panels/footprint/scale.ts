/** What cells are measured against: taken from closed candles, so that a drawn candle does not change its looks. */

import type { Candle } from '../../data/footprint';
import { quantile } from './diagonal';

export interface Scale {
  /** Quantity below which an imbalance says nothing: 60th percentile of a row's volume. */
  minQuantity: number;
  /** Bounds between the six steps of heat, by rank and not by value: one huge cell must not dim all others. */
  steps: number[];
  version: number;
}

export const NO_SCALE: Scale = { minQuantity: 0, steps: [], version: 0 };

const CANDLES = 50;
const HEAT_RANKS = [0.3, 0.55, 0.75, 0.9, 0.97];
/** A scale that moved less than this is the same scale. */
const SAME = 0.15;

export function scaleOf(candles: readonly Candle[], known: Scale): Scale {
  const closed = candles.slice(0, -1).filter((candle) => candle.trades > 0).slice(-CANDLES);
  const rows: number[] = [];
  const sides: number[] = [];
  for (const candle of closed.length ? closed : candles) {
    for (let k = 0; k < candle.price.length; k++) {
      rows.push(candle.cellBid[k]! + candle.cellAsk[k]!);
      if (candle.cellBid[k]!) sides.push(candle.cellBid[k]!);
      if (candle.cellAsk[k]!) sides.push(candle.cellAsk[k]!);
    }
  }
  rows.sort((a, b) => a - b);
  sides.sort((a, b) => a - b);
  const minQuantity = quantile(rows, 0.6);
  const steps = HEAT_RANKS.map((rank) => quantile(sides, rank));
  const moved = Math.abs(minQuantity - known.minQuantity) > SAME * known.minQuantity;
  return moved || known.steps.length === 0 ? { minQuantity, steps, version: known.version + 1 } : known;
}

/** 0 (quiet) to 5. */
export function heat(quantity: number, steps: readonly number[]): number {
  let step = 0;
  while (step < steps.length && quantity > steps[step]!) step += 1;
  return step;
}
