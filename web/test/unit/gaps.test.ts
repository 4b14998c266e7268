import { expect, test } from 'vitest';
import { THEMES } from '../../src/core/theme';
import type { Candle, FootprintHead, Gap } from '../../src/data/footprint';
import { gapLines } from '../../src/panels/footprint/crosshair';

const head: FootprintHead = { symbol: 'BTCUSDT', timeframeMs: 60_000, stepTicks: 1, tick: { units: 1, decimals: 1 }, lot: { units: 1, decimals: 3 } };
const minute = { openMs: 120_000 } as Candle;
const gap = (from: number, to: number, part: Partial<Gap> = {}): Gap => ({
  from_ts: from, to_ts: to, first_id: 2, last_id: 5, cause: 'disconnected', fate: 'open', ...part,
});

test('a candle names the gaps that touch it, their cause and what becomes of them', () => {
  const gaps = [gap(0, 119_999), gap(100_000, 120_000), gap(150_000, 160_000, { last_id: 2, cause: 'process_down', fate: 'beyond_horizon' }), gap(180_000, 190_000)];
  expect(gapLines(minute, head, gaps, THEMES.classic).map(([cause, text]) => [cause, text])).toEqual([
    ['disconnected', '4 trades 00:01:40, being filled'],
    ['process down', '1 trade 00:02:30, older than the venue tells'],
  ]);
});

test('a chain that ended has no ids to count, and more gaps than fit are left out', () => {
  const gaps = Array.from({ length: 9 }, () => gap(130_000, 130_000, { first_id: 6, last_id: 5, cause: 'restarted', fate: 'unfillable' }));
  const lines = gapLines(minute, head, gaps, THEMES.classic);
  expect(lines).toHaveLength(3);
  expect(lines[0]![1]).toBe('00:02:10, cannot be asked for');
});
