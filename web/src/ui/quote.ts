/** The linked symbol's last price and day, for the top bar and the window's title. */

import { toText } from '../core/decimal';
import { MISSING, money, percent } from '../core/format';
import { link } from '../core/link';
import { Store } from '../core/store';
import type { Market } from '../data/market';
import { replay } from '../data/replay';

export interface Quote {
  last: string;
  change: string;
  volume: string;
  rising: boolean | undefined;
  /** The venue has told its instruments, and this is none of them. */
  unlisted: boolean;
}

const NONE: Quote = { last: MISSING, change: MISSING, volume: MISSING, rising: undefined, unlisted: false };

export const quote = new Store<Quote>(NONE);

export function tellQuote(market: Market): void {
  const { symbol } = link.get();
  const index = market.indexOf(symbol);
  const last = index < 0 ? 0 : market.figure('last')[index]!;
  const change = index < 0 ? NaN : market.figure('chg24')[index]!;
  const next: Quote =
    last > 0
      ? {
          last: toText(last, market.ticks[index]!),
          change: Number.isNaN(change) ? MISSING : `${percent(change)} %`,
          volume: money(market.figure('qv24')[index]!),
          rising: Number.isNaN(change) ? undefined : change >= 0,
          unlisted: false,
        }
      : { ...NONE, unlisted: index < 0 && market.symbols.length > 0 };
  quote.set(next);
  document.title = `${replay.get() ? 'REPLAY ' : ''}${next.last} ${symbol} · tapewatch`;
}
