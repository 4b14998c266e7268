import { describe, expect, test } from 'vitest';
import { diagonalImbalances } from '../../src/panels/footprint/diagonal';

/** Rows as price: [sold into bids, bought from asks], any order. */
const cells = (rows: Record<number, [bid: number, ask: number]>) => {
  const price = Object.keys(rows).map(Number).sort((a, b) => b - a);
  return { price, cellBid: price.map((p) => rows[p]![0]), cellAsk: price.map((p) => rows[p]![1]) };
};

const found = (rows: Record<number, [number, number]>, minQuantity: number, step = 1) => {
  const given = cells(rows);
  const { buy, sell, stacks } = diagonalImbalances(given, step, minQuantity);
  const where = (strength: Float64Array): number[] => given.price.filter((_, k) => strength[k]! > 0).sort((a, b) => a - b);
  return { buy: where(buy), sell: where(sell), stacks };
};

/** sell B: 100:10 101:4 102:0 103:1; buy A: 100:2 101:33 102:12 103:0 */
const EXAMPLE: Record<number, [number, number]> = { 100: [10, 2], 101: [4, 33], 102: [0, 12], 103: [1, 0] };

describe('diagonal imbalance, three times or more', () => {
  test('a missing neighbour counts as 0, so without a smallest quantity every edge is one', () => {
    expect(found(EXAMPLE, 0)).toMatchObject({ buy: [100, 101, 102], sell: [103] });
  });

  test('with a smallest quantity only what says something remains; exactly 12 against 4 is an imbalance', () => {
    expect(found(EXAMPLE, 3)).toMatchObject({ buy: [101, 102], sell: [] });
  });

  test('one lot less than three times is none', () => {
    expect(found({ 101: [4, 0], 102: [0, 11] }, 2)).toMatchObject({ buy: [] });
  });

  test('neighbours are the next bin by price, not the next row', () => {
    // The row two bins below must not be compared with: its 40 sold would hide the imbalance.
    expect(found({ 100: [40, 0], 102: [0, 12] }, 1)).toMatchObject({ buy: [102] });
    expect(found({ 100: [40, 0], 105: [0, 12] }, 1, 5)).toMatchObject({ buy: [] });
  });

  test('strength is against the diagonal neighbour, infinite against nothing', () => {
    const { buy } = diagonalImbalances(cells(EXAMPLE), 1, 0);
    expect([...buy]).toEqual([0, 3, 3.3, Infinity]);
  });
});

describe('stacked imbalance', () => {
  const rising: Record<number, [number, number]> = { 10: [1, 9], 11: [1, 9], 12: [1, 9], 13: [9, 1] };

  test('three adjacent bins of one side are a stack', () => {
    expect(found(rising, 2).stacks).toEqual([{ side: 'buy', high: 12, low: 10 }]);
  });

  test('two are none, nor are three with a hole', () => {
    expect(found({ 10: [1, 9], 11: [1, 9] }, 2).stacks).toEqual([]);
    expect(found({ 10: [1, 9], 11: [1, 9], 13: [1, 9] }, 2).stacks).toEqual([]);
  });

  test('bins wider than a tick are adjacent by their width', () => {
    const wide: Record<number, [number, number]> = { 50: [9, 1], 55: [9, 1], 60: [9, 1] };
    expect(found(wide, 2, 5).stacks).toEqual([{ side: 'sell', high: 60, low: 50 }]);
  });

  test('a stack may reach the lowest row', () => {
    expect(found({ 1: [0, 5], 2: [0, 5], 3: [0, 5] }, 1).stacks).toEqual([{ side: 'buy', high: 3, low: 1 }]);
  });
});
