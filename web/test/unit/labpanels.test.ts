import { describe, expect, it } from 'vitest';
import { gridOf } from '../../src/core/decimal';
import { DetectionLog, sideName } from '../../src/data/detections';
import { Features, SAMPLES } from '../../src/data/features';
import { evidenceLines, summary, words } from '../../src/panels/detections/evidence';
import { Monitor, type Operations } from '../../src/panels/diagnostics/monitor';
import { scaleOf } from '../../src/panels/features/paint';
import { chosenStrips, printed, STRIPS } from '../../src/panels/features/strips';
import { lotsAt, lotsOf, SLIDER_STEPS, sliderOf, textOf } from '../../src/panels/impact/order';
import { frame } from './frames';

const BTC = { symbol: 'BTCUSDT', tick: [1, 1], lot: [1, 3] };

function detections(type: 'snapshot' | 'delta', ids: number[], state: string) {
  const events = ids.map((id) => ({ kind: 'wall', state, evidence: { size_lots: 5000, size_lots_limit: 2500, age_ms: 5100 }, rows: [[1000 * id, 600_000, 5000, 'appeared']] }));
  const of = (value: (id: number) => number): number[] => ids.map(value);
  return frame(
    { topic: 'detections', type, meta: { ...BTC, events, fired: { wall: ids.length } } },
    {
      id: ids, side: of(() => 1), start_ms: of((id) => 1000 * id), ts_ms: of((id) => 1000 * id + 500), low: of(() => 600_000), high: of(() => 600_000),
      qty: of(() => 5000), confidence: of(() => 0.75),
    },
  );
}

describe('detections', () => {
  it('keeps events by id, newest first, and knows which had come before', () => {
    const log = new DetectionLog();
    log.onFrame(detections('snapshot', [1, 2], 'open'), 10);
    log.onFrame(detections('delta', [2, 3], 'pulled'), 20);
    expect(log.newest.map(({ id, state }) => [id, state])).toEqual([[3, 'pulled'], [2, 'pulled'], [1, 'open']]);
    expect(log.newest.map(({ cameAt }) => cameAt)).toEqual([20, -Infinity, -Infinity]);
    expect(log.between(2600, 3100).map(({ id }) => id)).toEqual([3]);
    expect(log.between(0, 2000).map(({ id }) => id)).toEqual([1, 2]);
    log.onFrame(detections('snapshot', [], ''), 30);
    expect(log.newest).toEqual([]);
  });

  it('names sides by what they are', () => {
    expect([sideName('wall', 1), sideName('sweep', -1), sideName('exhaustion', 1)]).toEqual(['bid', 'sell', 'ask']);
  });

  it('puts every measurement beside its threshold', () => {
    const log = new DetectionLog();
    log.onFrame(detections('snapshot', [1], 'open'), 0);
    expect(evidenceLines(log.newest[0]!, log.head!)).toEqual([
      { what: 'size', measured: '5.00', limit: '2.50' },
      { what: 'age', measured: '5.1 s', limit: '' },
    ]);
    expect(words('depth_share_pct')).toBe('depth share %');
    expect(summary({ ...log.newest[0]!, evidence: { multiple: 12.34, distance_bps: 4 } })).toBe('12.3× median, 4.0 bps away');
  });
});

/** Evidence as the detectors write it. */
const EVIDENCE: Record<string, Record<string, number>> = {
  absorption: { absorbed_lots: 52_675, absorbed_lots_limit: 47_750, refilled_share: 1, refilled_share_limit: 0.5, price_moved_ticks: -1, price_moved_ticks_limit: 1 },
  iceberg: { executed_lots: 142_269, executed_lots_limit: 2310, displayed_lots: 21_407, multiple: 6.6, multiple_limit: 3, refills: 11, refills_limit: 3, hidden_lots: 120_862 },
  pull: { withdrawals: 3, withdrawals_limit: 3, within_ms: 30_000 },
  sweep: { levels: 219, levels_limit: 3, duration_ms: 30, duration_ms_limit: 200, depth_share_pct: 64.6, depth_share_pct_limit: 10 },
  exhaustion: { depth_lots: 22_292, depth_lots_limit: 53_399.75, spread_ticks: 3, spread_ticks_limit: 2 },
  layering: { levels: 6, levels_limit: 4, depth_share_pct: 172.2, depth_share_pct_limit: 50, withdrawn_share: 1, withdrawn_share_limit: 0.6 },
};

it.each(Object.entries(EVIDENCE))('tells a %s in figures that are there', (kind, evidence) => {
  expect(summary({ kind, evidence } as never)).not.toMatch(/—|NaN|undefined/);
});

describe('features', () => {
  const told = (type: 'snapshot' | 'delta', from: number, count: number) => {
    const at = Array.from({ length: count }, (_, k) => from + k);
    return frame(
      { topic: 'features', type, meta: { ...BTC, sampling: 'bookTicker', kyle: null, vpin: null, fit_age_ms: null, reasons: { slope: ['too few levels', 'the book was not live'] } } },
      { ts_ms: at.map((k) => k * 1000), live: at.map((k) => k % 2), mid_price: at.map((k) => 600_000.5 + k), slope: at.map(() => NaN) },
    );
  };

  it('rolls over 180 seconds', () => {
    const data = new Features();
    data.onFrame(told('snapshot', 1, 170));
    data.onFrame(told('delta', 171, 20));
    expect([data.count, data.figure('ts_ms')[0], data.figure('ts_ms').at(-1)]).toEqual([SAMPLES, 11_000, 190_000]);
    expect(data.figure('mid_price')[0]).toBe(600_011.5);
    expect(data.indexOf(12_400)).toBe(1);
    expect(data.indexOf(500_000)).toBe(-1);
  });

  it('says why a figure is not defined', () => {
    const data = new Features();
    data.onFrame(told('snapshot', 1, 2));
    expect([data.reason('slope', 0), data.reason('slope', 1)]).toEqual(['too few levels', 'the book was not live']);
  });

  it('prints each figure in its own unit', () => {
    const head = { symbol: 'BTCUSDT', tick: gridOf([1, 1]), lot: gridOf([1, 3]), sampling: 'bookTicker' as const, kyle: null, vpin: null, fitAgeMs: null };
    const of = (id: string, value: number): string => printed(STRIPS.find((strip) => strip.id === id)!, value, 600_000.5, head);
    expect([of('mid_price', 600_000.5), of('mid_price', 600_001)]).toEqual(['60000.05', '60000.1']);
    expect([of('spread', 1), of('microprice', 600_000.62), of('ofi', -12_300), of('imbalance_10', 0.251)]).toEqual(['1', '+0.12', '-12.3', '+0.25']);
    expect([of('cumulative_25bps_quote', 2e10), of('slope', NaN)]).toEqual(['2.00m', '—']);
  });

  it('scales to round numbers and holds every value', () => {
    expect(scaleOf([{ values: new Float64Array([3, 17, NaN]), colour: '' }], false)).toEqual({ low: 0, high: 20 });
    expect(scaleOf([{ values: new Float64Array([NaN]), colour: '' }], false)).toBeUndefined();
    expect(chosenStrips('spread,mid_price,nothing').map(({ id }) => id)).toEqual(['mid_price', 'spread']);
  });
});

describe('size of the order', () => {
  const lot = gridOf([1, 3]);

  it('is whole lots, in either unit', () => {
    expect(lotsOf('1.5', 'base', lot, 60_000)).toBe(1500);
    expect(lotsOf('250k', 'quote', lot, 60_000)).toBe(4166);
    expect(lotsOf('0.0004', 'base', lot, 60_000)).toBeUndefined();
    expect(lotsOf('much', 'base', lot, 60_000)).toBeUndefined();
    expect(textOf(1500, 'base', lot, 60_000)).toBe('1.5');
    expect(lotsOf(textOf(4166, 'quote', lot, 60_000), 'quote', lot, 60_000)).toBe(4166);
  });

  it('goes from one lot to beyond the known book', () => {
    expect([lotsAt(0, 200_000), lotsAt(SLIDER_STEPS, 200_000)]).toEqual([1, 250_000]);
    expect(sliderOf(lotsAt(500, 200_000), 200_000)).toBe(500);
    expect(sliderOf(1e9, 200_000)).toBe(SLIDER_STEPS);
  });
});

describe('rates', () => {
  const told = (ms: number, diffs: number, resident: number): Operations => ({
    exchange: 'binance', server_ts: ms, clock_ts: ms - 5, memory: { resident, books: 0, footprint_cells: 0, studies: 0 }, studied: [],
    symbols: [{ symbol: 'BTCUSDT', book: 'live', diffs, trades: 0, quotes: 0, resyncs: 0, last_ts: ms - 105, book_bytes: 2048 }],
  });

  it('are differences over the server’s own time, unknown before the second answer', () => {
    const monitor = new Monitor();
    monitor.take(told(1000, 100, 1e6));
    expect(monitor.symbols[0]!.diffs).toBeNaN();
    monitor.take(told(3000, 120, 1e6));
    expect([monitor.symbols[0]!.diffs, monitor.symbols[0]!.age]).toEqual([10, 100]);
    expect(monitor.growth).toBeUndefined();
    monitor.take(told(121_000, 120, 3e6));
    expect(monitor.growth).toEqual({ bytesPerMinute: 1e6, minutes: 2 });
  });
});
