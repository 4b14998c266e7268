/** Heights of a ladder's rows, in ticks. */

const MULTIPLES = [1, 2, 5, 10, 20, 50, 100, 200, 500];
/** About this many rows reach over AUTO_BPS of the price. */
const AUTO_ROWS = 48;
const AUTO_BPS = 8;
/** The server adds up at most this many ticks. */
const MOST_TICKS = 20_000;

export const multiplesFor = (rows: number): number[] => MULTIPLES.filter((step) => step * rows <= MOST_TICKS);

/** The step for a price in ticks where nobody has chosen one. */
export function autoStep(price: number, rows: number): number {
  const wanted = (price * AUTO_BPS) / 10_000 / AUTO_ROWS;
  return multiplesFor(rows).findLast((step) => step <= Math.max(1, wanted)) ?? 1;
}

export function nextStep(step: number, direction: 1 | -1, rows: number): number {
  const steps = multiplesFor(rows);
  const found = direction > 0 ? steps.find((one) => one > step) : steps.findLast((one) => one < step);
  return found ?? step;
}
