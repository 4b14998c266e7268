/** The footprint as plain data, for tests, scripts and copying: decimals computed exactly from ticks and lots. */

import { type Grid, toNumber, toText } from '../../core/decimal';
import { clockSeconds } from '../../core/format';
import type { Shown } from '../../core/panel';
import type { Candle, FootprintData, FootprintHead } from '../../data/footprint';
import type { Auction } from './auctions';

export function footprintSnapshot(data: FootprintData, session: FootprintData, auctions: readonly Auction[]): object {
  const { head, candles } = data;
  if (!head) return { symbol: '', tf_ms: 0, step: 0, candles: [], rows: [], session: null, auctions: [] };
  return {
    symbol: head.symbol,
    tf_ms: head.timeframeMs,
    step: toNumber(head.stepTicks, head.tick),
    candles: candles.map((candle) => plain(candle, head)),
    rows: candles.map((candle) => printed(candle, head)),
    session: session.head && session.candles[0] ? plain(session.candles[0], session.head) : null,
    auctions: auctions.map(({ openMs, end, price, touched }) => ({ open_ts: openMs, end, p: toNumber(price, head.tick), touched })),
  };
}

/** A row a bin of a candle, as files have it; prices are lower edges. */
export function levelRows(candles: readonly Candle[], { tick, lot }: FootprintHead): Shown {
  const rows = candles.flatMap((candle) =>
    Array.from(candle.price as ArrayLike<number>, (price, k) => [
      candle.openMs, toNumber(price, tick), toNumber(candle.cellBid[k]!, lot), toNumber(candle.cellAsk[k]!, lot), candle.cellTrades[k]!,
    ]),
  );
  return { columns: ['open_ms', 'price', 'bid', 'ask', 'trades'], rows };
}

/** A bin's edge or price; null where a candle has no trades. */
const priceOf = (ticks: number, tick: Grid): number | null => (ticks < 0 ? null : toNumber(ticks, tick));

export function plain(candle: Candle, { tick, lot }: FootprintHead): object {
  const levels = Array.from(candle.price as ArrayLike<number>, (price, k) => ({
    p: toNumber(price, tick),
    bid: toNumber(candle.cellBid[k]!, lot),
    ask: toNumber(candle.cellAsk[k]!, lot),
    n: candle.cellTrades[k]!,
  }));
  return {
    open_ts: candle.openMs,
    open: priceOf(candle.open, tick),
    high: priceOf(candle.high, tick),
    low: priceOf(candle.low, tick),
    close: priceOf(candle.close, tick),
    bid: toNumber(candle.bid, lot),
    ask: toNumber(candle.ask, lot),
    delta: toNumber(candle.ask - candle.bid, lot),
    cvd: toNumber(candle.cvd, lot),
    n: candle.trades,
    poc: priceOf(candle.poc, tick),
    vah: priceOf(candle.vah, tick),
    val: priceOf(candle.val, tick),
    gap: candle.gap,
    klines: candle.klines,
    levels,
  };
}

function printed(candle: Candle, { tick, lot }: FootprintHead): string[] {
  const prices = [candle.open, candle.high, candle.low, candle.close].map((price) => (price < 0 ? '—' : toText(price, tick)));
  const volumes = [candle.bid, candle.ask, candle.ask - candle.bid, candle.cvd].map((lots) => toText(lots, lot));
  return [clockSeconds(candle.openMs), ...prices, ...volumes, String(candle.trades)];
}
