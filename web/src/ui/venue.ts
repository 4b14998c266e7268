/** Another venue: the same asset there, for the page, for one panel, or side by side. */

import { getJson } from '../core/access';
import { link } from '../core/link';
import type { Dock } from '../layout/dock';
import type { CanvasPanel } from '../core/panel';
import { status } from '../data/status';
import { tell } from './notice';

export interface Listed {
  symbol: string;
  base: string;
  quote: string;
}

/** An instrument as the palette shows it. */
export interface Priced extends Listed {
  status: string;
  tick_grid: [number, number];
  lot_grid: [number, number];
  last: number | null;
  change_24h_pct: number | null;
  quote_volume_24h: number | null;
}

export async function listed(exchange: string): Promise<Priced[]> {
  return (await getJson<{ symbols: Priced[] }>('/api/symbols', { exchange })).symbols;
}

/** 1000PEPE, 1MBABYDOGE: so many units of the coin in one of the name. */
const bare = (base: string): string => base.replace(/^(1000000|100000|10000|1000|1M)(?=[A-Z])/, '');

/** The row of `there` that is about the same asset as `symbol` of `here`, in the same quote currency if there is one. */
export function sameAsset<T extends Listed>(here: readonly Listed[], symbol: string, there: readonly T[]): T | undefined {
  const shown = here.find((row) => row.symbol === symbol);
  const same = shown ? there.filter((row) => bare(row.base) === bare(shown.base)) : [];
  return same.find((row) => row.quote === shown?.quote) ?? same[0];
}

/** The same asset, or where the venue has none its first instrument. */
export const counterpart = <T extends Listed>(here: readonly Listed[], symbol: string, there: readonly T[]): T | undefined =>
  sameAsset(here, symbol, there) ?? there[0];

async function findCounterpart(from: { exchange: string; symbol: string }, exchange: string): Promise<string | undefined> {
  try {
    const [here, there] = await Promise.all([listed(from.exchange), listed(exchange)]);
    const found = counterpart(here, from.symbol, there);
    if (!found) tell(`${exchange} has not told its instruments yet.`);
    return found?.symbol;
  } catch (error) {
    tell(`${exchange} cannot be shown: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** Open the page anew at another venue, in the same layout. */
export async function openVenue(exchange: string): Promise<void> {
  const symbol = await findCounterpart(link.get(), exchange);
  if (symbol === undefined) return;
  const url = new URL(location.href);
  url.searchParams.set('exchange', exchange);
  url.searchParams.set('symbol', symbol);
  url.searchParams.delete('step');
  location.assign(url);
}

/** Let one panel show its asset at another venue. */
export async function movePanel(dock: Dock, panel: CanvasPanel, exchange: string): Promise<void> {
  const symbol = await findCounterpart(panel.look.get(), exchange);
  if (symbol !== undefined) dock.look(panel, exchange, symbol);
}

/** Footprints of the linked asset at every running venue that has it, side by side. */
export async function compareVenues(dock: Dock): Promise<void> {
  const { exchange, symbol } = link.get();
  const here = await listed(exchange).catch(() => []);
  const markets = await Promise.all(
    Object.keys(status.get().venues).map(async (venue) => {
      const found = venue === exchange ? { symbol } : sameAsset(here, symbol, await listed(venue).catch(() => []));
      return found ? [{ exchange: venue, symbol: found.symbol }] : [];
    }),
  );
  dock.compare(markets.flat().sort((a, b) => Number(b.exchange === exchange) - Number(a.exchange === exchange)));
}

/** Footprints of the linked symbol and of those traded most at its venue, side by side. */
export async function compareSymbols(dock: Dock): Promise<void> {
  const { exchange, symbol } = link.get();
  const most = (await listed(exchange).catch(() => []))
    .filter((row) => row.status === 'TRADING' && row.symbol !== symbol)
    .sort((a, b) => (b.quote_volume_24h ?? 0) - (a.quote_volume_24h ?? 0));
  dock.compare([symbol, ...most.slice(0, 3).map((row) => row.symbol)].map((name) => ({ exchange, symbol: name })));
}
