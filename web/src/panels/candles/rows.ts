/** Rows of the candle table: the session, candles from the newest back, and under an opened one its price levels. */

import type { Candle } from '../../data/footprint';
import { diagonalImbalances, RATIO, type Stack } from '../footprint/diagonal';
import type { Auction } from '../footprint/auctions';

export interface CandleRow {
  kind: 'session' | 'candle';
  candle: Candle;
  open: boolean;
  /** The side that traded `RATIO` times as much as the other, or more. */
  dominant: 'buy' | 'sell' | undefined;
  stacks: readonly Stack[];
  auctions: readonly Auction[];
}

export interface LevelRow {
  kind: 'level';
  candle: Candle;
  /** Position among the candle's cells. */
  at: number;
  /** Strength of a diagonal imbalance, 0 for none. */
  buy: number;
  sell: number;
  /** In a run of three or more. */
  stacked: boolean;
}

export type Row = CandleRow | LevelRow;

export interface Shown {
  session: Candle | undefined;
  /** Oldest first. */
  candles: readonly Candle[];
  step: number;
  minQuantity: number;
  auctions: readonly Auction[];
  /** Opened candles by their time, the session as `SESSION`. */
  open: ReadonlySet<number>;
}

export const SESSION = -1;

/** 3:1 over the whole candle. What traded on one side only is as uneven as can be. */
export function dominant({ bid, ask }: { bid: number; ask: number }): 'buy' | 'sell' | undefined {
  if (ask > 0 && ask >= RATIO * bid) return 'buy';
  return bid > 0 && bid >= RATIO * ask ? 'sell' : undefined;
}

export function tableRows(shown: Shown): Row[] {
  const rows: Row[] = [];
  const { session, candles, step, minQuantity, open } = shown;
  const auctions = new Map<number, Auction[]>();
  for (const auction of shown.auctions) auctions.set(auction.openMs, [...(auctions.get(auction.openMs) ?? []), auction]);
  const add = (kind: CandleRow['kind'], candle: Candle, name: number, least: number): void => {
    const isOpen = open.has(name);
    // Only what is looked at is compared: a day has thousands of levels.
    const found = isOpen || kind === 'candle' ? diagonalImbalances(candle, step, least) : undefined;
    rows.push({ kind, candle, open: isOpen, dominant: dominant(candle), stacks: found?.stacks ?? [], auctions: auctions.get(candle.openMs) ?? [] });
    if (!isOpen) return;
    for (let at = 0; at < candle.price.length; at++) {
      const price = candle.price[at]!;
      const stacked = found!.stacks.some((stack) => price >= stack.low && price <= stack.high && found![stack.side][at]! > 0);
      rows.push({ kind: 'level', candle, at, buy: found!.buy[at]!, sell: found!.sell[at]!, stacked });
    }
  };
  if (session && session.trades > 0) add('session', session, SESSION, Infinity);
  for (const candle of [...candles].reverse()) add('candle', candle, candle.openMs, minQuantity);
  return rows;
}
