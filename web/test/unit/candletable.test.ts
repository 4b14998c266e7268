import { describe, expect, test } from 'vitest';
import type { Candle } from '../../src/data/footprint';
import { dominant, type LevelRow, SESSION, type Shown, tableRows } from '../../src/panels/candles/rows';
import { unfinishedAuctions } from '../../src/panels/footprint/auctions';

type Cell = [price: number, bid: number, ask: number];

/** A candle of one-tick bins, cells from the highest down. */
const candle = (openMs: number, cells: Cell[]): Candle => ({
  openMs,
  open: cells[0]?.[0] ?? -1, high: cells[0]?.[0] ?? -1, low: cells.at(-1)?.[0] ?? -1, close: cells.at(-1)?.[0] ?? -1,
  bid: cells.reduce((sum, [, bid]) => sum + bid, 0),
  ask: cells.reduce((sum, [, , ask]) => sum + ask, 0),
  trades: cells.length, cvd: 0, poc: -1, vah: -1, val: -1, quote: 0, gap: 0, klines: 0,
  price: cells.map(([price]) => price), cellBid: cells.map(([, bid]) => bid), cellAsk: cells.map(([, , ask]) => ask), cellTrades: cells.map(() => 1),
  version: openMs,
});

describe('an unfinished auction', () => {
  const later = candle(60_000, [[101, 5, 5]]);

  test('has both sides at the end of a closed candle', () => {
    const both = candle(0, [[104, 2, 9], [103, 0, 5], [100, 8, 1]]);
    expect(unfinishedAuctions([both, later], 1, 3)).toEqual([
      { openMs: 0, end: 'high', price: 104, touched: false },
      { openMs: 0, end: 'low', price: 100, touched: false },
    ]);
  });

  test('is finished where one side is missing, and too small to tell below the smallest quantity', () => {
    expect(unfinishedAuctions([candle(0, [[104, 0, 9], [100, 8, 0]]), later], 1, 3)).toEqual([]);
    expect(unfinishedAuctions([candle(0, [[104, 2, 2], [100, 2, 2]]), later], 1, 3)).toEqual([]);
  });

  test('is touched once a later candle trades in its bin or beyond', () => {
    const first = candle(0, [[104, 2, 9], [100, 8, 1]]);
    const touched = (cells: Cell[]): boolean[] => unfinishedAuctions([first, candle(60_000, cells), candle(120_000, [[102, 1, 0]])], 1, 3).map((one) => one.touched);
    expect(touched([[104, 0, 1]])).toEqual([true, false]);
    expect(touched([[101, 0, 1], [99, 1, 0]])).toEqual([false, true]);
  });

  test('is not told of the candle that still forms', () => {
    expect(unfinishedAuctions([candle(0, [[104, 9, 9]])], 1, 3)).toEqual([]);
  });
});

test('3:1 is three times or more, over the whole candle', () => {
  expect([dominant({ bid: 4, ask: 12 }), dominant({ bid: 12, ask: 4 }), dominant({ bid: 4, ask: 11 }), dominant({ bid: 0, ask: 1 }), dominant({ bid: 0, ask: 0 })]).toEqual(['buy', 'sell', undefined, 'buy', undefined]);
});

describe('the table', () => {
  // Bought at 103, 102, 101 against few sold one below: three in a row.
  const stacked = candle(60_000, [[103, 0, 30], [102, 3, 30], [101, 3, 30], [100, 3, 0]]);
  const shown: Shown = { session: candle(0, [[103, 9, 9]]), candles: [candle(0, [[100, 1, 1]]), stacked], step: 1, minQuantity: 5, auctions: [], open: new Set() };

  test('begins with the session, then the newest candle', () => {
    expect(tableRows(shown).map((row) => [row.kind, row.candle.openMs])).toEqual([['session', 0], ['candle', 60_000], ['candle', 0]]);
  });

  test('shows the levels of what is opened, with imbalances and stacks', () => {
    const rows = tableRows({ ...shown, open: new Set([60_000]) });
    expect(rows.map((row) => row.kind)).toEqual(['session', 'candle', 'level', 'level', 'level', 'level', 'candle']);
    const levels = rows.filter((row): row is LevelRow => row.kind === 'level');
    expect(levels.map((row) => [row.candle.price[row.at], row.buy, row.stacked])).toEqual([[103, 10, true], [102, 10, true], [101, 10, true], [100, 0, false]]);
    expect(rows[1]).toMatchObject({ open: true, dominant: 'buy', stacks: [{ side: 'buy', high: 103, low: 101 }] });
  });

  test('opens the session by its own name', () => {
    expect(tableRows({ ...shown, open: new Set([SESSION]) }).map((row) => row.kind)).toEqual(['session', 'level', 'candle', 'candle']);
  });
});
