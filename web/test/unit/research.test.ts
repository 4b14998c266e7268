import { describe, expect, it } from 'vitest';
import { withTexts } from '../../src/core/png';
import { fullName, namesOf, type PairAnswer, sampleText } from '../../src/data/study';
import { indexFrom, nearest, wrapped } from '../../src/panels/research/panes';
import { probability, reportOf } from '../../src/panels/research/report';
import { digits } from '../../src/panels/research/spread';
import { TimeView } from '../../src/panels/research/timeview';
import { DEFAULTS } from '../../src/core/settings';
import { fileName } from '../../src/ui/journal';

const MINUTE = 60_000;

function view(bars = 100): TimeView {
  const made = new TimeView();
  made.width = 1_000;
  made.bind(0, bars * MINUTE, MINUTE);
  return made;
}

describe('the view of a range of time', () => {
  it('keeps what is under the pointer where it is while it zooms', () => {
    const made = view();
    const held = made.at(300);
    made.zoomTime(4, 300);
    expect(made.at(300)).toBeCloseTo(held);
    expect(made.to - made.from).toBeCloseTo(25 * MINUTE);
  });

  it('never leaves the data, and shows all of it when zoomed out', () => {
    const made = view();
    made.zoomTime(4, 500);
    made.pan(1e6);
    expect(made.from).toBe(0);
    made.pan(-1e6);
    expect(made.to).toBe(100 * MINUTE);
    made.zoomTime(0.01, 500);
    expect([made.zoomed, made.from, made.to]).toEqual([false, 0, 100 * MINUTE]);
  });

  it('follows the newest bar only while that is in sight', () => {
    const newest = view();
    newest.zoomTime(4, 1_000);
    newest.bind(MINUTE, 101 * MINUTE, MINUTE);
    expect(newest.to).toBe(101 * MINUTE);
    const old = view();
    old.zoomTime(4, 0);
    old.bind(MINUTE, 101 * MINUTE, MINUTE);
    expect(old.to).toBe(25 * MINUTE);
  });

  it('forgets a zoom that lies outside what there is now', () => {
    const made = view();
    made.zoomTime(4, 0);
    made.bind(1e12, 1e12 + 100 * MINUTE, MINUTE);
    expect([made.zoomed, made.from]).toEqual([false, 1e12]);
  });
});

it('finds the nearest bar', () => {
  const times = [10, 20, 40];
  expect([0, 14, 16, 29, 31, 99].map((ms) => nearest(times, ms))).toEqual([0, 0, 1, 1, 2, 2]);
  expect([5, 10, 11, 41].map((ms) => indexFrom(times, ms))).toEqual([0, 0, 1, 3]);
});

it('breaks a sentence between words and never loses one', () => {
  expect(wrapped('too few bars to say', 8)).toEqual(['too few', 'bars to', 'say']);
  expect(wrapped('incomprehensible', 5)).toEqual(['incomprehensible']);
});

it('prints small and large numbers so that they can be compared', () => {
  expect([0.00123, 12.3456, 1e-9, 0, -4567.8].map(digits)).toEqual(['0.001230', '12.35', '1.00e-9', '0', '-4568']);
  expect([0.04999, 3e-9, 1].map(probability)).toEqual(['0.0500', '<0.0001', '1.0000']);
});

it('names series as they are asked for and as legends call them', () => {
  expect([fullName('ethusdt', 'okx'), fullName('bybit:ETHUSDT', 'okx')]).toEqual(['okx:ETHUSDT', 'bybit:ETHUSDT']);
  expect(namesOf({ x: 'binance:BTCUSDT', y: 'upload:mine:ETH' })).toEqual({ x: 'BTCUSDT', y: 'ETH' });
  expect(namesOf({ x: 'binance:BTCUSDT', y: 'upload:bybit:BTCUSDT' })).toEqual({ x: 'binance:BTCUSDT', y: 'bybit:BTCUSDT' });
});

const sample = { n: 30, tf_ms: MINUTE, first_ms: 1_750_000_020_000, last_ms: 1_750_002_000_000, missing: 4, gaps: 2, basis: 'mids' };

it('says of every figure where it comes from', () => {
  expect(sampleText(sample, '1m', 3)).toBe('n 30 · 1m closes of mids · 06-15 15:07 – 06-15 15:41 UTC · missing 4 · gaps 2 · unpaired 3');
});

it('gives the reason in the place of every part that cannot be had', () => {
  const no = (what: string): { unknown: string } => ({ unknown: `${what} cannot be had` });
  const pair: PairAnswer = {
    ...{ x: 'binance:X', y: 'binance:Y', sample, left_out: 0, open_ms: [], x_close: [], y_close: [], doubts: [] },
    ...{ lines: no('lines'), kalman: no('kalman'), spread: no('spread'), cointegration: no('cointegration') },
    ...{ correlation: no('correlation'), x_statistics: no('x'), y_statistics: no('y'), x_adf: no('adf x'), y_adf: no('adf y') },
  };
  const notes = reportOf(pair, no('ticks'), DEFAULTS.research).filter(({ kind }) => kind === 'note').map(({ label }) => label);
  for (const what of ['lines', 'spread', 'cointegration', 'correlation', 'x', 'y', 'adf x', 'adf y', 'ticks']) {
    expect(notes.some((label) => label.includes(`${what} cannot be had`)), what).toBe(true);
  }
  const figures = reportOf(pair, undefined, DEFAULTS.research).filter(({ kind }) => kind === 'row');
  expect(figures.flatMap(({ cells }) => cells).filter((cell) => cell !== '' && cell !== '—')).toEqual([]);
});

it('writes texts into a picture behind its header, with the checksums of the standard', () => {
  // A PNG of one black pixel.
  const png = Uint8Array.from(
    atob('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=='),
    (char) => char.charCodeAt(0),
  );
  const out = withTexts(png, { Comment: 'z −2' });
  expect(out.length).toBe(png.length + 12 + 'Comment'.length + 5 + new TextEncoder().encode('z −2').length);
  expect([...out.subarray(0, 33)]).toEqual([...png.subarray(0, 33)]);
  expect(new TextDecoder().decode(out.subarray(37, 41))).toBe('iTXt');
  expect([...out.subarray(out.length - png.length + 33)]).toEqual([...png.subarray(33)]);
});

it('names a file by time and what is on it', () => {
  expect(fileName('Footprint 币安BTC-USDT', new Date(Date.UTC(2026, 10, 21, 14, 30, 5)))).toBe('tapewatch-20261121-143005-Footprint-BTC-USDT');
});
