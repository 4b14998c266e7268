import { expect, test } from 'vitest';
import { DepthData } from '../../src/data/depth';
import { HeatmapData, KEPT } from '../../src/data/heatmap';
import { LadderData } from '../../src/data/ladder';
import type { Frame } from '../../src/core/wire';
import { bubblesOf, radius } from '../../src/panels/heatmap/bubbles';
import { LEVELS, level, RAMPS, rampWords, Sampler, settle } from '../../src/panels/heatmap/scale';
import { View } from '../../src/panels/heatmap/view';
import { columnsFor, place } from '../../src/panels/ladder/columns';
import { autoStep, multiplesFor, nextStep } from '../../src/panels/ladder/steps';
import { Camera } from '../../src/panels/surface/camera';
import { cellAt, cells, Places } from '../../src/panels/surface/draw';
import { Mesh, MOMENTS, PRICES } from '../../src/panels/surface/mesh';
import { inside, Raster } from '../../src/panels/surface/raster';

const BINS = 8;
const T0 = 1_767_225_600_000;

interface Column {
  number: number;
  base?: number;
  step?: number;
  lots?: number[];
}

/** A frame of the heatmap topic: columns of 8 bins of 5 ticks, and prints as [ms after T0, price, lots, side]. */
function heat(type: 'snapshot' | 'delta', columns: Column[], prints: [number, number, number, number][] = [], meta: Record<string, unknown> = {}): Frame {
  const of = (values: number[]): Float64Array => Float64Array.from(values);
  const first = T0 / 250;
  return {
    topic: 'heatmap', key: '', type, seq: 1, prev: 0, serverMs: T0,
    meta: { symbol: 'BTCUSDT', tick: [1, 1], lot: [1, 3], column_ms: 250, bins: BINS, state: 'live', ...meta },
    columns: {
      ts_ms: of(columns.map(({ number }) => (first + number) * 250)),
      base: of(columns.map(({ base = 1000 }) => base)),
      step: of(columns.map(({ step = 5 }) => step)),
      bid: of(columns.map(({ base = 1000 }) => base + 19)),
      ask: of(columns.map(({ base = 1000 }) => base + 20)),
      lots: of(columns.flatMap(({ lots = [NaN, 1, 2, 3, -4, -5, -6, NaN] }) => lots)),
      p_ts_ms: of(prints.map(([ms]) => T0 + ms)),
      p_price: of(prints.map(([, price]) => price)),
      p_lots: of(prints.map(([, , lots]) => lots)),
      p_side: of(prints.map(([, , , side]) => side)),
    },
  };
}
const first = T0 / 250;

test('a place of the heatmap is a size or a reason why it is not known, never an invented zero', () => {
  const data = new HeatmapData();
  data.onFrame(heat('snapshot', [{ number: 0 }, { number: 1, step: 0 }, { number: 3, lots: [0, 0, 0, 3, -4, 0, 0, 0] }]));
  expect(data.at(first, 1015)).toBe(3);
  expect(data.at(first, 1019.9)).toBe(3);
  expect(data.at(first, 1020)).toBe(-4);
  expect(data.at(first + 3, 1000)).toBe(0);
  expect(data.at(first, 1000)).toBe('beyond the known book');
  expect(data.at(first, 999)).toBe('beyond the known book');
  expect(data.at(first + 1, 1015)).toBe('book not live');
  expect(data.at(first + 2, 1015)).toBe('nothing was received');
  expect(data.at(first - 1, 1015)).toBe('before the first column');
});

test('the ring forgets the oldest columns and keeps older ones over a snapshot of the same instrument', () => {
  const data = new HeatmapData();
  data.onFrame(heat('snapshot', [{ number: 0 }, { number: 1 }]));
  data.onFrame(heat('snapshot', [{ number: 5 }]));
  expect([data.has(first), data.has(first + 5), data.newest, data.oldest]).toEqual([true, true, first + 5, first]);
  data.onFrame(heat('delta', [{ number: KEPT }]));
  expect([data.has(first), data.has(first + 1), data.has(first + KEPT)]).toEqual([false, true, true]);
  const { generation } = data;
  data.onFrame(heat('snapshot', [{ number: 2 }])); // time has gone back: a replay was moved
  expect([data.newest, data.has(first + 5), data.generation > generation]).toEqual([first + 2, false, true]);
  data.onFrame(heat('snapshot', [{ number: 3 }], [], { symbol: 'ETHUSDT' }));
  expect([data.has(first + 2), data.has(first + 3)]).toEqual([false, true]);
});

test('sizes get their place on the ramp from the scale alone, ends included', () => {
  const scale = { low: 2, high: 10 };
  expect([0, 1, 2, 10, 99, -10].map((lots) => level(lots, scale))).toEqual([0, 0, 0, LEVELS - 1, LEVELS - 1, LEVELS - 1]);
  const places = Array.from({ length: 50 }, (_, k) => level(2 + k * 0.16, scale));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  for (const ramp of Object.keys(RAMPS) as (keyof typeof RAMPS)[]) {
    const words = rampWords(ramp);
    expect(words.every((pixel) => pixel >>> 24 === 255)).toBe(true);
    const luminance = (pixel: number): number => 0.21 * (pixel & 255) + 0.72 * ((pixel >> 8) & 255) + 0.07 * ((pixel >> 16) & 255);
    const away = ramp === 'ink' || ramp === 'blues' ? -1 : 1; // on light ground what stands is dark
    if (ramp !== 'thermal') expect(away * luminance(words[LEVELS - 1]!)).toBeGreaterThan(away * luminance(words[LEVELS / 2]!));
    expect(away * luminance(words[LEVELS / 2]!)).toBeGreaterThan(away * luminance(words[0]!));
  }
});

test('the automatic scale is taken from ranks, leaves out what is empty or unknown, and stays while little changes', () => {
  const sampler = new Sampler();
  sampler.begin(1000);
  for (let size = 1; size <= 1000; size++) sampler.add(size % 2 ? size : -size);
  for (const nothing of [0, NaN]) sampler.add(nothing);
  const scale = sampler.scale()!;
  expect([scale.low, scale.high]).toEqual([401, 991]);
  expect(settle(scale, { low: 405, high: 950 })).toBe(scale);
  expect(settle(scale, { low: 401, high: 1200 })).toEqual({ low: 401, high: 1200 });
  sampler.begin(10);
  expect(sampler.scale()).toBeUndefined();
});

test('prints of one side in one stretch of time are one bubble at their average price, area by notional', () => {
  const data = new HeatmapData();
  data.onFrame(heat('snapshot', [{ number: 0 }, { number: 8 }], [[0, 100, 2, 1], [10, 103, 1, 1], [20, 99, 5, -1], [600, 100, 1, 1]]));
  const view = new View();
  [view.width, view.height] = [1000, 400];
  view.advance((data.newest + 1) * 250, 2039, 5, BINS);
  view.zoomTime(18, 0); // 10 s over 1000 px: a column is 25 px
  const bubbles = bubblesOf(data, view, 250);
  expect(bubbles.map(({ side, lots, price, prints }) => [side, lots, price, prints])).toEqual([[1, 3, 101, 2], [-1, 5, 99, 1], [1, 1, 100, 1]]);
  expect(radius(400, 100) / radius(100, 100)).toBeCloseTo(2, 6);
});

test('the price axis rests while the price is in its middle and time follows the newest column until it is dragged', () => {
  const view = new View();
  [view.width, view.height] = [900, 500];
  view.advance(T0, 2_000_000, 5, 256);
  const { top } = view;
  view.advance(T0 + 250, 2_000_200, 5, 256);
  expect([view.top, view.right]).toEqual([top, T0 + 250]);
  view.advance(T0 + 500, 2_001_200, 5, 256);
  expect(view.top).toBeGreaterThan(top);
  expect(view.priceAt(view.y(1_000_555))).toBeCloseTo(1_000_555, 6);
  view.pan(100, 0, T0 - 600_000);
  view.advance(T0 + 750, 2_001_200, 5, 256);
  expect([view.following, view.right]).toEqual([false, T0 + 500 - 20_000]);
  view.pan(-1000, 0, T0 - 600_000);
  expect([view.following, view.right]).toEqual([true, T0 + 750]);
});

test('each symbol shows as much of its book at first, a coarse tick more', () => {
  const shown = (mid: number, step: number): number => {
    const view = new View();
    [view.width, view.height] = [900, 500];
    view.advance(T0, 2 * mid, step, 256);
    return Math.round((view.height / view.perTick / mid) * 1e4);
  };
  expect([shown(617_000, 10), shown(312_345, 5), shown(48_211, 1)]).toEqual([24, 24, 24]);
  expect(shown(900, 1)).toBe(533); // 48 bins
});

test('triangles that share an edge cover each pixel once and leave none out', () => {
  const raster = new Raster(60, 50, new ArrayBuffer(60 * 50 * 4));
  const random = ((seed) => () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647)(7);
  for (let round = 0; round < 40; round++) {
    const [x, y] = [random() * 60, random() * 50];
    const corners = [[-3, -3], [63, -4], [62, 55], [-5, 53]] as const;
    const covered = new Uint8Array(60 * 50);
    corners.forEach(([x0, y0], k) => {
      const [x1, y1] = corners[(k + 1) % 4]!;
      raster.clear(0);
      raster.triangle(x, y, x0, y0, x1, y1, 7);
      raster.pixels.forEach((pixel, at) => (covered[at]! += Number(pixel === 7)));
    });
    expect(covered.every((times) => times === 1)).toBe(true);
  }
});

test('a pixel is filled if its centre lies in the triangle, and the floor is hatched', () => {
  const raster = new Raster(40, 40, new ArrayBuffer(6400));
  const corners = [3.2, 4.1, 35.7, 12.9, 14.4, 38.3] as const;
  raster.clear(0);
  raster.triangle(...corners, 9);
  for (let at = 0; at < 1600; at++) expect(raster.pixels[at] === 9).toBe(inside((at % 40) + 0.5, Math.floor(at / 40) + 0.5, ...corners));
  raster.triangle(...corners, 9, 5);
  expect(new Set(raster.pixels)).toEqual(new Set([0, 9, 5]));
});

test('the surface holds the largest size of each cell, is drawn from afar, and tells the cell that is seen', () => {
  const data = new HeatmapData();
  const columns = Array.from({ length: 2 * MOMENTS }, (_, number) => ({ number, lots: [NaN, 1, 2, 3, -4, -5 - (number % 2), -6, NaN] }));
  data.onFrame(heat('snapshot', columns));
  const mesh = new Mesh();
  mesh.build(data, 2 * MOMENTS * 250);
  const bin = (k: number): number => 1000 / 5 + k - mesh.firstBin;
  expect([1, 2, 3, 4, 5, 6].map((k) => mesh.at(5, bin(k)))).toEqual([1, 2, 3, 4, 6, 6]);
  expect([mesh.at(5, bin(0)), mesh.at(5, bin(7))]).toEqual([NaN, NaN]);
  const camera = new Camera();
  [camera.width, camera.height] = [800, 500];
  for (const yaw of [-0.5, 0.9, 2.4, 4.5]) {
    camera.yaw = yaw;
    const order = [...cells(camera, mesh)].map((cell) => camera.project((Math.floor(cell / PRICES) / MOMENTS) * 2 - 1, ((cell % PRICES) / PRICES) * 2 - 1, 0).y);
    expect(order.at(-1)!).toBeGreaterThan(order[0]!);
  }
  camera.home();
  const places = new Places();
  places.project(camera, mesh, 6);
  const front = MOMENTS - 3;
  const cell = front * PRICES + bin(3);
  const { at } = places;
  const [x, y] = [0, 1].map((axis) => (at[2 * cell + axis]! + at[2 * (cell + PRICES + 1) + axis]!) / 2) as [number, number];
  expect([...cells(camera, mesh)]).toContain(cellAt(camera, mesh, places, x, y));
  expect(cellAt(camera, mesh, places, -50, -50)).toBe(-1);
});

function ladder(base: number, part: Partial<Record<string, number[]>> = {}, meta: Record<string, unknown> = {}): Frame {
  const zeros = [0, 0, 0, 0];
  const names = ['bid', 'ask', 'sold', 'bought', 'bid_pulled', 'bid_stacked', 'ask_pulled', 'ask_stacked'];
  return {
    topic: 'ladder', key: '', type: 'snapshot', seq: 1, prev: 0, serverMs: T0,
    meta: { symbol: 'BTCUSDT', tick: [1, 1], lot: [1, 3], state: 'live', base, step: 10, bid: base + 15, ask: base + 25, last: base + 15, last_side: 1, traded_since: T0, missing: 0, window_ms: 10_000, ...meta },
    columns: Object.fromEntries(names.map((name) => [name, Float64Array.from(part[name] ?? zeros)])),
  };
}

test('the ladder tells figures by the edge of their row and nothing outside its reach', () => {
  const data = new LadderData();
  data.onFrame(ladder(1000, { bid: [3, 4, NaN, 0], sold: [1, 2, 3, 4] }));
  expect([data.at('bid', 1000), data.at('bid', 1010), data.at('bid', 1020), data.at('bid', 990)]).toEqual([3, 4, NaN, NaN]);
  expect([data.edgeOf(1019), data.last]).toEqual([1010, 1015]);
});

test('a reset counts from its moment; rows that were out of reach then stay unknown; a new day or step ends it', () => {
  const data = new LadderData();
  data.onFrame(ladder(1000, { sold: [1, 2, 3, 4], bought: [5, 5, 5, 5] }));
  data.resetTraded(T0 + 5_000);
  data.onFrame(ladder(1010, { sold: [2, 9, 4, 7], bought: [5, 6, 5, 1] }));
  expect([1010, 1020, 1030, 1040].map((edge) => data.at('sold', edge))).toEqual([0, 6, 0, NaN]);
  expect(data.at('bought', 1020)).toBe(1);
  expect([data.countedSince, data.wasReset]).toEqual([T0 + 5_000, true]);
  data.onFrame(ladder(1010, {}, { traded_since: T0 + 86_400_000 }));
  expect(data.wasReset).toBe(false);
  data.resetTraded(T0 + 86_500_000);
  data.onFrame(ladder(1000, {}, { step: 20, traded_since: T0 + 86_400_000 }));
  expect(data.wasReset).toBe(false);
});

test('columns are left out where there is no room, and fill the width without gaps', () => {
  expect([700, 400, 260, 200].map((width) => columnsFor(width).length)).toEqual([9, 7, 5, 3]);
  for (const width of [700, 401, 333]) {
    const placed = place(columnsFor(width), width);
    placed.forEach(({ x, w }, k) => expect(x + w).toBe(placed[k + 1]?.x ?? width));
  }
});

test('rows are a usual multiple of the tick', () => {
  expect([autoStep(600_000, 200), autoStep(30_000, 200), autoStep(50, 200)]).toEqual([10, 1, 1]);
  expect([nextStep(10, 1, 200), nextStep(10, -1, 200), nextStep(1, -1, 200), nextStep(100, 1, 200)]).toEqual([20, 5, 1, 100]);
  expect(multiplesFor(400)).toEqual([1, 2, 5, 10, 20, 50]);
});

test('the depth curve adds up from the best level and knows its own edge', () => {
  const data = new DepthData();
  const of = (values: number[]): Float64Array => Float64Array.from(values);
  data.onFrame({
    topic: 'depth', key: '', type: 'snapshot', seq: 1, prev: 0, serverMs: T0,
    meta: { symbol: 'BTCUSDT', tick: [1, 1], lot: [1, 3], state: 'live', low: 97, high: null, ts_ms: T0 },
    columns: { bid_p: of([99, 98]), bid_q: of([2, 3]), bid_sum: of([2, 5]), ask_p: of([101, 105]), ask_q: of([4, 1]), ask_sum: of([4, 5]) },
  });
  expect(data.mid).toBe(100);
  expect(data.upTo(98)).toEqual({ side: 'bid', lots: 5, quote: 2 * 99 + 3 * 98, levels: 2 });
  expect(data.upTo(104)).toEqual({ side: 'ask', lots: 4, quote: 404, levels: 1 });
  expect(data.upTo(96)).toBeUndefined();
  expect(data.upTo(500)).toEqual({ side: 'ask', lots: 5, quote: 509, levels: 2 });
});
