import { describe, expect, test } from 'vitest';
import { linkedFromUrl, linkedToUrl } from '../../src/core/link';
import { DEFAULTS, readSettings } from '../../src/core/settings';
import { contrast, readable, THEMES } from '../../src/core/theme';
import { BigFlow } from '../../src/data/bigflow';
import { Liquidations } from '../../src/data/liquidations';
import { Market, WINDOWS } from '../../src/data/market';
import { cellAt, layoutHeat } from '../../src/panels/imbalance/heat';
import { wholeHour } from '../../src/panels/liquidations/minutes';
import { ordered } from '../../src/panels/imbalance/order';
import { search } from '../../src/ui/search';
import { frame } from './frames';

const marketFrame = (type: 'snapshot' | 'delta', rows: number[], ti: number[], volume: number[]) => {
  const none = rows.map(() => 0);
  const columns: Record<string, number[]> = { i: rows, bi: none, last: none, last_ms: none, chg24: none, qv24: volume };
  for (const window of WINDOWS) Object.assign(columns, { [`buy_${window}`]: none, [`sell_${window}`]: none, [`net_${window}`]: none, [`ti_${window}`]: ti });
  const meta = type === 'snapshot' ? { symbols: ['BTCUSDT', 'ETHUSDT', 'ETCUSDT'], ticks: [[1, 1], [1, 2], [1, 3]], lots: [[1, 3], [1, 3], [1, 2]] } : {};
  return frame({ type, meta }, columns);
};

describe('market', () => {
  const market = (): Market => {
    const made = new Market();
    made.onFrame(marketFrame('snapshot', [0, 1, 2], [0.5, -1, 0], [30, NaN, 20]));
    return made;
  };

  test('a delta changes the rows it names and no others', () => {
    const made = market();
    made.onFrame(marketFrame('delta', [2], [0.25], [20]));
    expect([...made.figure('ti_1m')]).toEqual([0.5, -1, 0.25]);
    expect(made.indexOf('ETCUSDT')).toBe(2);
    expect(made.indexOf('NOPE')).toBe(-1);
  });

  test('sorts both ways, what is unknown always last', () => {
    const names = (sort: { id: string; descending: boolean }, filter = ''): string[] => ordered(market(), sort, filter).map((index) => market().symbols[index]!);
    expect(names({ id: 'volume', descending: true })).toEqual(['BTCUSDT', 'ETCUSDT', 'ETHUSDT']);
    expect(names({ id: 'volume', descending: false })).toEqual(['ETCUSDT', 'BTCUSDT', 'ETHUSDT']);
    expect(names({ id: '1m', descending: false })).toEqual(['ETHUSDT', 'ETCUSDT', 'BTCUSDT']);
    expect(names({ id: 'symbol', descending: false }, 'et')).toEqual(['ETCUSDT', 'ETHUSDT']);
  });
});

describe('big flow', () => {
  const episodes = (type: 'snapshot' | 'delta', rows: [id: number, notional: number, open: number][]) => {
    const names = ['i', 'rule', 'side', 'start_ms', 'ts_ms', 'qty', 'price', 'low', 'high', 'levels', 'trades', 'depth10', 'pct'];
    const columns: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, rows.map(() => 1)]));
    return frame({ type }, { ...columns, id: rows.map((row) => row[0]), notional: rows.map((row) => row[1]), open: rows.map((row) => row[2]) });
  };

  test('an episode grows in its place; a new one goes on top', () => {
    const data = new BigFlow();
    data.onFrame(episodes('snapshot', [[1, 100, 1], [2, 50, 0]]), 0);
    data.onFrame(episodes('delta', [[1, 180, 0], [3, 70, 1]]), 500);
    expect(data.newest.map(({ id, notional, open }) => [id, notional, open])).toEqual([[3, 70, true], [2, 50, false], [1, 180, false]]);
    expect(data.get(3)!.cameAt).toBe(500);
    expect(data.get(1)!.cameAt).toBe(-Infinity);
  });

  test('a snapshot forgets what was before', () => {
    const data = new BigFlow();
    data.onFrame(episodes('snapshot', [[7, 1, 0]]), 0);
    data.onFrame(episodes('snapshot', [[9, 1, 0]]), 0);
    expect(data.newest.map(({ id }) => id)).toEqual([9]);
  });
});

test('liquidations stand newest first and keep the words of their side', () => {
  const rows = (type: 'snapshot' | 'delta', times: number[], long: number[]) => {
    const ones = times.map(() => 1);
    return frame({ type, meta: { minutes: [[0, 10, 5, 2, 1]] } }, { i: ones, ts_ms: times, event_ms: times, long, price: ones, qty: ones, notional: ones });
  };
  const data = new Liquidations();
  data.onFrame(rows('snapshot', [1, 2], [1, 0]), 0);
  data.onFrame(rows('delta', [3, 4], [1, 1]), 0);
  expect(data.newest.map(({ tsMs, long }) => [tsMs, long])).toEqual([[4, true], [3, true], [2, false], [1, true]]);
  expect(data.minutes).toEqual([{ ms: 0, longNotional: 10, shortNotional: 5, longs: 2, shorts: 1 }]);
});

describe('heat strip', () => {
  test('cells fill the area and every point finds its cell', () => {
    const layout = layoutHeat(600, 740, 480);
    expect(layout.columns * layout.rows).toBeGreaterThanOrEqual(600);
    expect(layout.rows * layout.height).toBeLessThanOrEqual(480 + 1e-9);
    for (const index of [0, 17, 599]) {
      const x = ((index % layout.columns) + 0.5) * layout.width;
      const y = (Math.floor(index / layout.columns) + 0.5) * layout.height;
      expect(cellAt(layout, x, y)).toBe(index);
    }
    expect(cellAt(layout, 739, 10_000)).toBe(-1);
  });
});

test('search ranks what begins with the text, then by volume', () => {
  const symbols = ['WBETHUSDT', 'ETCUSDT', 'ETHUSDT', 'BTCUSDT'];
  expect(search(symbols, [1, 5, 9, 99], 'et').map((index) => symbols[index])).toEqual(['ETHUSDT', 'ETCUSDT', 'WBETHUSDT']);
  expect(search(symbols, [1, 5, NaN, 99], '').map((index) => symbols[index])[0]).toBe('BTCUSDT');
});

describe('what is remembered', () => {
  test('stored settings win over the defaults; what is missing or of the wrong kind does not', () => {
    const read = readSettings(JSON.stringify({ version: 1, theme: 'colour-safe', imbalance: { sort: 'net', descending: 'yes' }, later: 1 }));
    expect(read.theme).toBe('colour-safe');
    expect(read.imbalance).toEqual({ ...DEFAULTS.imbalance, sort: 'net' });
    expect(read.footprint).toEqual(DEFAULTS.footprint);
    expect((read as unknown as { later: number }).later).toBe(1);
  });

  test('another version starts from the defaults', () => {
    expect(readSettings(JSON.stringify({ version: 99, theme: 'colour-safe' }))).toEqual(DEFAULTS);
    expect(readSettings(null)).toEqual(DEFAULTS);
  });
});

describe('address', () => {
  const remembered = DEFAULTS.linked;

  test('its parameters win over what was remembered', () => {
    expect(linkedFromUrl('?symbol=ETHUSDT&tf=5m&step=1', remembered)).toEqual({ exchange: 'binance', symbol: 'ETHUSDT', timeframe: '5m', step: '1' });
  });

  test('a timeframe that does not exist is ignored, and a bin remembered for another symbol too', () => {
    expect(linkedFromUrl('?tf=7m', remembered).timeframe).toBe('1m');
    expect(linkedFromUrl('?symbol=ETHUSDT', { ...remembered, step: '50' }).step).toBe('auto');
  });

  test('it follows what is shown, as far as it names it', () => {
    const linked = { ...remembered, symbol: 'SOLUSDT', step: '0.5' };
    expect(linkedToUrl('http://x/?panels=footprint&symbol=BTCUSDT&step=1', linked)).toBe('http://x/?panels=footprint&symbol=SOLUSDT&step=0.5');
    expect(linkedToUrl('http://x/', linked)).toBe('http://x/');
  });
});

describe('colours', () => {
  test('text on the background and both sides of both themes are readable', () => {
    for (const { bg, text, muted, buy, sell } of Object.values(THEMES)) {
      for (const colour of [text, muted, buy, sell]) expect(contrast(colour, bg)).toBeGreaterThanOrEqual(4.5);
    }
  });

  test('a figure is lightened until it can be read on its bar', () => {
    expect(contrast(readable('#ff4444', '#6f2c2c'), '#6f2c2c')).toBeGreaterThanOrEqual(4.5);
    expect(readable('#00ff88', '#1e1e1e')).toBe('#00ff88');
  });
});

test('the minutes shown are sixty in a row, empty ones included', () => {
  const minute = (ms: number, longNotional: number) => ({ ms, longNotional, shortNotional: 0, longs: 1, shorts: 0 });
  const hour = wholeHour([minute(60_000 * 100, 5), minute(60_000 * 103, 7)]);
  expect(hour).toHaveLength(60);
  expect(hour.at(-1)).toEqual(minute(60_000 * 103, 7));
  expect(hour.slice(-4).map(({ longNotional }) => longNotional)).toEqual([5, 0, 0, 7]);
});
