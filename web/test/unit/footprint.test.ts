import { describe, expect, test } from 'vitest';
import { niceStep, priceTicks, timeStep } from '../../src/core/axis';
import { FootprintData } from '../../src/data/footprint';
import { autoMultiple, binLabel, neighbour, ticksOf } from '../../src/panels/footprint/bins';
import { detailFor } from '../../src/panels/footprint/lod';
import { heat, NO_SCALE, scaleOf } from '../../src/panels/footprint/scale';
import { footprintSnapshot } from '../../src/panels/footprint/snapshot';
import { Viewport } from '../../src/panels/footprint/viewport';
import { frame } from './frames';

const TICK = { units: 1, decimals: 1 };

describe('bins', () => {
  const candles = (ranges: number[]) => ranges.map((range, k) => ({ low: 1000 + k, high: 1000 + k + range - 1, trades: 5 }));

  test('the smallest multiple with at most 24 rows a median candle', () => {
    expect(autoMultiple(candles([24, 24, 24]), 1, 100)).toBe(1);
    expect(autoMultiple(candles([25, 25, 25]), 1, 100)).toBe(2);
    expect(autoMultiple(candles([300, 300, 300]), 1, 100)).toBe(20);
  });

  test('and with which what is visible fits the pane', () => {
    expect(autoMultiple([{ low: 0, high: 9, trades: 1 }, { low: 490, high: 499, trades: 1 }], 2, 50)).toBe(10);
    expect(autoMultiple([{ low: 0, high: 9, trades: 1 }, { low: 490, high: 499, trades: 1 }], 1, 50)).toBe(1);
  });

  test('candles without trades say nothing', () => {
    expect(autoMultiple([{ low: -1, high: -1, trades: 0 }], 5, 50)).toBeUndefined();
  });

  test('neighbours walk the menu and stop at its ends', () => {
    expect([neighbour(20, 1), neighbour(20, -1), neighbour(7, 1), neighbour(7, -1), neighbour(1, -1)]).toEqual([25, 10, 10, 5, 1]);
  });

  test('a step may be typed as a price or as a multiple', () => {
    expect([ticksOf('0.5', TICK), ticksOf('x25', TICK), ticksOf('× 4', TICK), ticksOf('0.05', TICK), ticksOf('x0', TICK)]).toEqual([5, 25, 4, undefined, undefined]);
    expect(binLabel(25, TICK)).toBe('×25 = 2.5');
  });
});

describe('axes', () => {
  test('steps are 1, 2 or 5 times a power of ten', () => {
    expect([niceStep(0.3), niceStep(1), niceStep(1.1), niceStep(3), niceStep(7), niceStep(20)]).toEqual([0.5, 1, 2, 5, 10, 20]);
  });

  test('labels are whole ticks inside the pane', () => {
    expect(priceTicks(101, 149, 9)).toEqual([110, 120, 130, 140]);
    expect(priceTicks(100, 103, 0.2)).toEqual([100, 101, 102, 103]);
  });

  test('time labels keep to usual intervals', () => {
    expect([timeStep(61_000), timeStep(1), timeStep(1e12)]).toEqual([120_000, 1_000, 28 * 86_400_000]);
  });
});

describe('viewport', () => {
  const view = (): Viewport => {
    const made = new Viewport();
    made.width = 920;
    made.height = 400;
    made.fit({ low: 1000, high: 1099 }, 5);
    return made;
  };

  test('fits prices with whole-pixel rows and room for headers', () => {
    const made = view();
    expect(made.rowHeight).toBe(Math.floor(made.rowHeight));
    expect(made.y(1100)).toBeGreaterThanOrEqual(10);
    expect(made.y(1000)).toBeLessThanOrEqual(400);
    expect(made.top % 5).toBe(0);
  });

  test('price and pixel are inverse', () => {
    const made = view();
    expect(made.priceAt(made.y(1042))).toBeCloseTo(1042);
  });

  test('a trade inside the range moves nothing, one outside does', () => {
    const made = view();
    const { top, perTick } = made;
    made.fit({ low: 1001, high: 1099 }, 5);
    expect([made.top, made.perTick]).toEqual([top, perTick]);
    made.fit({ low: 1000, high: 1400 }, 5);
    expect(made.perTick).toBeLessThan(perTick);
  });

  test('zooming time keeps the newest candle while following, the candle under the hand else', () => {
    const made = view();
    const edge = made.right;
    made.zoomTime(0.5, 300);
    expect(made.right).toBe(edge);
    made.pan(400, 0, -500);
    const index = made.right - (made.width - 300) / made.candleWidth;
    made.zoomTime(2, 300);
    expect(made.right - (made.width - 300) / made.candleWidth).toBeCloseTo(index);
  });

  test('new candles push the picture only while it follows', () => {
    const made = view();
    made.advance(1);
    expect(made.right).toBe(1.25);
    made.pan(500, 0, -500);
    const x = made.x(-10);
    made.advance(1);
    expect(made.x(-11)).toBe(x);
  });

  test('zooming price by hand keeps the price under the hand and is left alone by fitting', () => {
    const made = view();
    const price = made.priceAt(120);
    made.zoomPrice(1.3, 120);
    expect(made.priceAt(120)).toBeCloseTo(price);
    const { perTick } = made;
    made.fit({ low: 1, high: 5000 }, 5);
    expect(made.perTick).toBe(perTick);
    made.follow();
    made.fit({ low: 1, high: 5000 }, 5);
    expect(made.perTick).toBeLessThan(perTick);
  });

  test('at least one candle stays in sight', () => {
    const made = view();
    made.pan(1e6, 0, -60);
    expect(made.right).toBe(-59);
    made.pan(-1e6, 0, -60);
    expect(made.visible().first).toBeLessThanOrEqual(0);
  });
});

describe('level of detail', () => {
  test.each([
    [92, 14, 'full'],
    [60, 12, 'compact'],
    [92, 6, 'profile'],
    [20, 5, 'profile'],
    [12, 5, 'marks'],
    [5, 5, 'candle'],
  ] as const)('%i x %i px is %s', (width, row, detail) => expect(detailFor(width, row, undefined)).toBe(detail));

  test('a level once shown is kept 15 % below its border', () => {
    expect(detailFor(65, 14, 'full')).toBe('full');
    expect(detailFor(65, 14, undefined)).toBe('compact');
    expect(detailFor(60, 14, 'full')).toBe('compact');
  });
});

const COLUMNS = ['open_ms', 'open', 'high', 'low', 'close', 'bid', 'ask', 'n', 'cvd', 'poc', 'vah', 'val', 'quote', 'gap', 'klines'];
const META = { symbol: 'BTCUSDT', tf_ms: 60_000, step_ticks: 5, tick: [1, 1], lot: [1, 3] };

/** A frame of candles given as [openMs, close, rows of [p, bid, ask, n]]. */
const candleFrame = (type: 'snapshot' | 'delta', candles: [number, number, [number, number, number, number][]][]) => {
  const sums = candles.map(([, , rows]) => rows.reduce((sum, row) => [sum[0]! + row[1], sum[1]! + row[2], sum[2]! + row[3]], [0, 0, 0]));
  const columns: Record<string, number[]> = Object.fromEntries(COLUMNS.map((name) => [`c_${name}`, candles.map(() => 0)]));
  columns['c_open_ms'] = candles.map(([openMs]) => openMs);
  columns['c_close'] = candles.map(([, close]) => close);
  columns['c_bid'] = sums.map((sum) => sum[0]!);
  columns['c_ask'] = sums.map((sum) => sum[1]!);
  columns['c_n'] = sums.map((sum) => sum[2]!);
  columns['c_cells'] = candles.map(([, , rows]) => rows.length);
  const rows = candles.flatMap(([, , cells]) => cells);
  ['p', 'bid', 'ask', 'n'].forEach((name, k) => (columns[name] = rows.map((row) => row[k]!)));
  return frame({ type, meta: type === 'snapshot' ? META : {} }, columns);
};

describe('candles', () => {
  test('a delta replaces the candle of its time and appends a new one', () => {
    const data = new FootprintData(10);
    data.onFrame(candleFrame('snapshot', [[0, 100, [[100, 1, 2, 3]]], [60_000, 105, [[105, 4, 0, 1], [100, 0, 6, 2]]]]));
    data.onFrame(candleFrame('delta', [[60_000, 110, [[110, 7, 7, 2]]], [120_000, 95, [[95, 1, 1, 2]]]]));
    expect(data.candles.map((candle) => [candle.openMs, candle.close, candle.bid])).toEqual([[0, 100, 1], [60_000, 110, 7], [120_000, 95, 1]]);
    expect([...(data.candles[1]!.price as Float64Array)]).toEqual([110]);
  });

  test('no more are kept than were asked for', () => {
    const data = new FootprintData(2);
    data.onFrame(candleFrame('snapshot', [[0, 1, []], [60_000, 2, []]]));
    data.onFrame(candleFrame('delta', [[120_000, 3, []]]));
    expect(data.candles.map((candle) => candle.openMs)).toEqual([60_000, 120_000]);
  });

  test('as plain data they are exact decimals', () => {
    const data = new FootprintData(10);
    data.onFrame(candleFrame('snapshot', [[0, 614_065, [[614_065, 100, 300, 4], [614_060, 1, 2, 2]]]]));
    expect(footprintSnapshot(data, new FootprintData(1), [])).toMatchObject({
      symbol: 'BTCUSDT', tf_ms: 60_000, step: 0.5,
      candles: [{
        open_ts: 0, close: 61_406.5, bid: 0.101, ask: 0.302, delta: 0.201, n: 6,
        levels: [{ p: 61_406.5, bid: 0.1, ask: 0.3, n: 4 }, { p: 61_406, bid: 0.001, ask: 0.002, n: 2 }],
      }],
    });
  });
});

describe('scale', () => {
  const data = new FootprintData(10);
  data.onFrame(candleFrame('snapshot', [
    [0, 100, Array.from({ length: 10 }, (_, k): [number, number, number, number] => [100 - 5 * k, k + 1, 0, 1])],
    [60_000, 100, [[100, 1_000_000, 1_000_000, 2]]],
  ]));

  test('comes from closed candles: 60th percentile of rows', () => {
    expect(scaleOf(data.candles, NO_SCALE)).toMatchObject({ minQuantity: 7, version: 1 });
  });

  test('one that has hardly moved is the same, so that nothing is drawn anew', () => {
    const first = scaleOf(data.candles, NO_SCALE);
    expect(scaleOf(data.candles, first)).toBe(first);
  });

  test('heat goes by rank', () => {
    expect([heat(1, [10, 20, 30]), heat(20, [10, 20, 30]), heat(1e9, [10, 20, 30])]).toEqual([0, 1, 3]);
  });
});
