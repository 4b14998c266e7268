/** Where axes are labelled. */

/** Smallest of 1, 2, 5 x 10^n that is `least` or more. */
export function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  for (const factor of [1, 2, 5]) if (factor * power >= least * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

/** Multiples of a nice step in [low, high], at least `gap` apart; in whole ticks, so that labels are prices. */
export function priceTicks(low: number, high: number, gap: number): number[] {
  const step = Math.max(1, niceStep(Math.max(gap, 1e-9)));
  const result: number[] = [];
  for (let price = Math.ceil(low / step) * step; price <= high; price += step) result.push(price);
  return result;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const TIME_STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR,
  24 * HOUR, 48 * HOUR, 7 * 24 * HOUR, 14 * 24 * HOUR, 28 * 24 * HOUR,
];

/** Smallest usual interval of `least` ms or more. */
export const timeStep = (least: number): number => TIME_STEPS.find((step) => step >= least) ?? TIME_STEPS.at(-1)!;
