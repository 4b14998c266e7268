import { describe, expect, it } from 'vitest';
import { counterpart } from '../../src/data/instruments';

const row = (symbol: string, base: string, quote = 'USDT') => ({ symbol, base, quote });
const futures = [row('BTCUSDT', 'BTC'), row('1000PEPEUSDT', '1000PEPE'), row('TSLAUSDT', 'TSLA')];

describe('the same asset at another venue', () => {
  it('has the same base and, if it can, the same quote currency', () => {
    const there = [row('ETH-USDT-SWAP', 'ETH'), row('BTC-USDC-SWAP', 'BTC', 'USDC'), row('BTC-USDT-SWAP', 'BTC')];
    expect(counterpart(futures, 'BTCUSDT', there)?.symbol).toBe('BTC-USDT-SWAP');
  });
  it('knows names that stand for many units', () => {
    expect(counterpart(futures, '1000PEPEUSDT', [row('BTCUSDT', 'BTC'), row('PEPEUSDT', 'PEPE')])?.symbol).toBe('PEPEUSDT');
  });
  it('is the first instrument where the venue has no such asset', () => {
    expect(counterpart(futures, 'TSLAUSDT', [row('BTCUSDT', 'BTC')])?.symbol).toBe('BTCUSDT');
    expect(counterpart(futures, 'BTCUSDT', [])).toBeUndefined();
  });
});
