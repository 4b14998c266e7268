import { expect, test, vi } from 'vitest';
import { held, link } from '../../src/core/link';
import { LAYOUT_VERSION, LayoutError, parseLayout } from '../../src/layout/document';
import { instanceTitle, readInstance } from '../../src/layout/instance';

vi.mock('../../src/panels/registry', () => ({ kindOf: (id: string) => (['footprint', 'big-flow'].includes(id) ? { id } : undefined) }));

const layout = (part: Record<string, unknown> = {}): string =>
  JSON.stringify({
    schema_version: LAYOUT_VERSION,
    dock: { grid: { root: {} }, panels: { footprint: { id: 'footprint', contentComponent: 'footprint' } } },
    ...part,
  });

test('a layout of this version is taken, with keys it does not know', () => {
  expect(parseLayout(layout({ later: 1 }))).toMatchObject({ schema_version: 1, later: 1 });
});

test.each([
  ['not JSON', '{', 'not JSON'],
  ['another version', layout({ schema_version: 7 }), 'version 1'],
  ['null', 'null', 'version 1'],
  ['no panels', layout({ dock: {} }), 'no panels'],
  ['a panel we do not have', layout({ dock: { grid: {}, panels: { surface: { contentComponent: 'surface' } } } }), 'surface'],
])('%s is refused with a sentence', (_, text, part) => {
  expect(() => parseLayout(text)).toThrow(LayoutError);
  expect(() => parseLayout(text)).toThrow(part);
});

test.each([
  ['heatmap', { kind: 'heatmap', exchange: undefined, symbol: undefined }],
  ['heatmap:ETHUSDT', { kind: 'heatmap', exchange: undefined, symbol: 'ETHUSDT' }],
  ['heatmap:okx:BTC-USDT-SWAP', { kind: 'heatmap', exchange: 'okx', symbol: 'BTC-USDT-SWAP' }],
  ['heatmap:', undefined],
  ['heatmap:a:b:c', undefined],
  ['', undefined],
])('the id %j is read', (id, expected) => {
  expect(readInstance(id)).toEqual(expected);
});

test('a held panel names its symbol, and its venue where that is not the usual one', () => {
  expect(instanceTitle('Heatmap', readInstance('heatmap')!)).toBe('Heatmap');
  expect(instanceTitle('Heatmap', readInstance('heatmap:binance:ETHUSDT')!)).toBe('Heatmap · ETHUSDT');
  expect(instanceTitle('Heatmap', readInstance('heatmap:bybit:ETHUSDT')!)).toBe('Heatmap · ETHUSDT · bybit');
});

test('a held panel keeps its instrument while the workspace moves on', () => {
  link.set({ ...link.get(), exchange: 'binance', symbol: 'BTCUSDT', timeframe: '1m', step: '5' });
  const { look, release } = held('bybit', 'ETHUSDT');
  link.update({ symbol: 'SOLUSDT', timeframe: '5m' });
  expect(look.get()).toEqual({ exchange: 'bybit', symbol: 'ETHUSDT', timeframe: '5m', step: 'auto' });
  release();
  link.update({ timeframe: '1h' });
  expect(look.get().timeframe).toBe('5m');
});
