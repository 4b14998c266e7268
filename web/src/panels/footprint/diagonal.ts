/**
 * Diagonal imbalance inside a footprint: buyers lifting the ask at `p` against sellers hitting the bid one bin below,
 * and the mirror. Multiplicative, 3.0 times or more (= 300 %, = +200 %); a bin without a row counts as 0, which is why
 * a minimum quantity is needed. All in lots: exactly 12 against 4 is an imbalance.
 */

export const RATIO = 3;
const STACK = 3;

export interface Cells {
  /** Lower edges of bins, highest first. */
  price: ArrayLike<number>;
  cellBid: ArrayLike<number>;
  cellAsk: ArrayLike<number>;
}

export interface Stack {
  side: 'buy' | 'sell';
  /** Lower edges of its highest and lowest bin. */
  high: number;
  low: number;
}

export interface Imbalances {
  /** By cell: dominant side's strength against its diagonal neighbour, 0 where there is no imbalance. */
  buy: Float64Array;
  sell: Float64Array;
  stacks: Stack[];
}

export function diagonalImbalances(cells: Cells, step: number, minQuantity: number): Imbalances {
  const count = cells.price.length;
  const buy = new Float64Array(count);
  const sell = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    const below = cells.price[k + 1] === cells.price[k]! - step ? cells.cellBid[k + 1]! : 0;
    const above = k > 0 && cells.price[k - 1] === cells.price[k]! + step ? cells.cellAsk[k - 1]! : 0;
    buy[k] = strength(cells.cellAsk[k]!, below, minQuantity);
    sell[k] = strength(cells.cellBid[k]!, above, minQuantity);
  }
  return { buy, sell, stacks: [...stacks(cells.price, buy, step, 'buy'), ...stacks(cells.price, sell, step, 'sell')] };
}

function strength(dominant: number, other: number, minQuantity: number): number {
  if (dominant <= 0 || dominant < minQuantity || dominant < RATIO * other) return 0;
  return other > 0 ? dominant / other : Infinity;
}

/** Runs of three or more adjacent bins; adjacent by price, not by row. */
function stacks(price: ArrayLike<number>, found: Float64Array, step: number, side: Stack['side']): Stack[] {
  const result: Stack[] = [];
  let from = 0;
  for (let k = 0; k <= found.length; k++) {
    const continues = k > from && k < found.length && found[k]! > 0 && found[k - 1]! > 0 && price[k] === price[k - 1]! - step;
    if (continues) continue;
    if (k - from >= STACK && found[from]! > 0) result.push({ side, high: price[from]!, low: price[k - 1]! });
    from = k;
  }
  return result;
}

/** Share `q` of the sorted values lies at or below the result. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return 0;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}
