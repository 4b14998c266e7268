/** Another venue: the same asset there, for the page, for one panel, or side by side. */

import { link } from '../core/link';
import type { Dock } from '../layout/dock';
import type { CanvasPanel } from '../core/panel';
import { counterpart, listed, sameAsset } from '../data/instruments';
import { status } from '../data/status';
import { tell } from './notice';

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
