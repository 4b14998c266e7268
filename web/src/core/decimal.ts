/**
 * Exact decimals from integers. Prices and quantities arrive as counts of the instrument's tick and lot
 * (`increment = units / 10**decimals`) and are only ever divided once, for a number, or printed digit by digit.
 */

export interface Grid {
  units: number;
  decimals: number;
}

export const gridOf = ([units, decimals]: readonly [number, number]): Grid => ({ units, decimals });

/** The double nearest to the exact decimal: one correctly rounded division of two exact integers. */
export function toNumber(count: number, grid: Grid): number {
  return (count * grid.units) / 10 ** grid.decimals;
}

/** A price or quantity in increments, not whole: where it lies on an axis of counts. */
export const onGrid = (value: number, grid: Grid): number => (value * 10 ** grid.decimals) / grid.units;

/** Decimal text with exactly the grid's decimals: `toText(614065, {units: 1, decimals: 1})` is `61406.5`. */
export function toText(count: number, grid: Grid): string {
  const scaled = count * grid.units;
  const digits = String(Math.abs(scaled)).padStart(grid.decimals + 1, '0');
  const sign = scaled < 0 ? '-' : '';
  if (grid.decimals === 0) return sign + digits;
  const cut = digits.length - grid.decimals;
  return `${sign}${digits.slice(0, cut)}.${digits.slice(cut)}`;
}

/** Counts in a decimal text, or undefined when it is not a whole, positive number of increments. */
export function toCount(text: string, grid: Grid): number | undefined {
  const match = /^(\d*)(?:\.(\d*))?$/.exec(text.trim());
  if (!match || (!match[1] && !match[2])) return undefined;
  const fraction = (match[2] ?? '').replace(/0+$/, '');
  if (fraction.length > grid.decimals) return undefined;
  const scaled = Number((match[1] ?? '') + fraction.padEnd(grid.decimals, '0'));
  const count = scaled / grid.units;
  return Number.isInteger(count) && count > 0 ? count : undefined;
}

/** The step `count` as the shortest decimal text, as the API wants it: 5 ticks of 0.1 is `0.5`, 10 are `1`. */
export function stepText(count: number, grid: Grid): string {
  const text = toText(count, grid);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}
