import { expect, test } from 'vitest';
import { aim, point, pointedElsewhere, unpoint } from '../../src/core/aim';
import { assets } from '../../src/core/assets';
import type { Linked } from '../../src/core/link';
import { Store } from '../../src/core/store';
import { contrast, readable, THEMES } from '../../src/core/theme';

const panel = (symbol: string, exchange = 'binance') => ({ look: new Store<Linked>({ exchange, symbol, timeframe: '1m', step: 'auto' }) });

test('a moment is pointed at everywhere, a price only where it is one of the same instrument', () => {
  const [here, same, other, elsewhere] = [panel('BTCUSDT'), panel('BTCUSDT'), panel('ETHUSDT'), panel('BTCUSDT', 'bybit')];
  point(here!, 1000, 61_000.5);
  expect(pointedElsewhere(here!)).toEqual({ ms: undefined, price: undefined });
  expect(pointedElsewhere(same!)).toEqual({ ms: 1000, price: 61_000.5 });
  for (const one of [other, elsewhere]) expect(pointedElsewhere(one!)).toEqual({ ms: 1000, price: undefined });
  unpoint(same!); // another panel's hand is not its own
  expect(aim.get()?.ms).toBe(1000);
  unpoint(here!);
  expect(pointedElsewhere(same!)).toEqual({ ms: undefined, price: undefined });
});

test.each([
  ['BTCUSDT', 'BTC', 'USDT'],
  ['1000PEPEUSDC', '1000PEPE', 'USDC'],
  ['BTC-USDT-SWAP', 'BTC', 'USDT'],
  ['BTCUSDT_260327', 'BTC', 'USDT'],
  ['ETHPERP', 'ETH', 'USDC'],
  ['ETHFDUSD', 'ETH', 'FDUSD'],
  ['BTCTUSD', 'BTC', 'TUSD'],
  ['BTCUSD1', 'BTC', 'USD1'],
  ['SOLUSDT-26DEC25', 'SOL', 'USDT'],
  ['BTC-26DEC25', 'BTC', 'USDC'],
  ['ODD', 'ODD', 'quote'],
])('%s is about %s in %s', (symbol, base, quote) => {
  expect(assets(symbol)).toEqual({ base, quote });
});

test('what has to be read is brought to a contrast that can be, on dark and on light ground', () => {
  for (const { bg, label, buy, sell, muted, faint, neutral } of Object.values(THEMES)) {
    for (const colour of [buy, sell, muted, faint, neutral]) {
      for (const ground of [bg, label, buy]) expect(contrast(readable(colour, ground), ground)).toBeGreaterThanOrEqual(4.5);
    }
  }
});
