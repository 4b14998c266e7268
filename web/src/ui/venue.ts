/** The page at another venue: the same asset there, in the same layout. */

import { getJson } from '../core/access';
import { link } from '../core/link';
import { tell } from './notice';

interface Listed {
  symbol: string;
  base: string;
  quote: string;
}

/** 1000PEPE, 1MBABYDOGE: so many units of the coin in one of the name. */
const bare = (base: string): string => base.replace(/^(1000000|100000|10000|1000|1M)(?=[A-Z])/, '');

/** The row of `there` that is about the same asset as `symbol` of `here`, in the same quote currency if there is one. */
export function counterpart(here: Listed[], symbol: string, there: Listed[]): Listed | undefined {
  const shown = here.find((row) => row.symbol === symbol);
  const same = shown ? there.filter((row) => bare(row.base) === bare(shown.base)) : [];
  return same.find((row) => row.quote === shown?.quote) ?? same[0] ?? there[0];
}

export async function openVenue(exchange: string): Promise<void> {
  const { exchange: now, symbol } = link.get();
  try {
    const [here, there] = await Promise.all(
      [now, exchange].map((name) => getJson<{ symbols: Listed[] }>('/api/symbols', { exchange: name })),
    );
    const found = counterpart(here!.symbols, symbol, there!.symbols);
    if (!found) return tell(`${exchange} has not told its instruments yet.`);
    const url = new URL(location.href);
    url.searchParams.set('exchange', exchange);
    url.searchParams.set('symbol', found.symbol);
    url.searchParams.delete('step');
    location.assign(url);
  } catch (error) {
    tell(`${exchange} cannot be shown: ${error instanceof Error ? error.message : String(error)}`);
  }
}
