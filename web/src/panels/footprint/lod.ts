/** How much of a candle can be read at a size, with hysteresis so that it does not flicker at a border. */

export type Detail = 'full' | 'compact' | 'profile' | 'marks' | 'candle';

interface Need {
  detail: Detail;
  width: number;
  row: number;
}

/** Best first; the last needs nothing. */
const NEEDS: readonly Need[] = [
  { detail: 'full', width: 72, row: 12 },
  { detail: 'compact', width: 40, row: 11 },
  { detail: 'profile', width: 18, row: 1.5 },
  { detail: 'marks', width: 8, row: 0 },
  { detail: 'candle', width: 0, row: 0 },
];
const HYSTERESIS = 0.15;

export function detailFor(width: number, row: number, shown: Detail | undefined): Detail {
  const rank = NEEDS.findIndex((need) => need.detail === shown);
  const slack = (index: number): number => (index === rank ? 1 - HYSTERESIS : 1);
  const found = NEEDS.find((need, index) => width >= need.width * slack(index) && row >= need.row * slack(index));
  return (found ?? NEEDS.at(-1)!).detail;
}
