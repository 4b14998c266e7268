/** What the whole workspace looks at: one venue, symbol, timeframe and bin, shared by every panel that is not held. */

import { Store } from './store';

export const TIMEFRAMES = ['1s', '1m', '5m', '15m', '1h', '4h', '1d'] as const;
export type Timeframe = (typeof TIMEFRAMES)[number];

export const TIMEFRAME_MS: Record<Timeframe, number> = {
  '1s': 1_000,
  '1m': 60_000,
  '5m': 300_000,
  '15m': 900_000,
  '1h': 3_600_000,
  '4h': 14_400_000,
  '1d': 86_400_000,
};

export interface Linked {
  exchange: string;
  symbol: string;
  timeframe: Timeframe;
  /** Bin width as a decimal price (`0.5`), `auto`, or a multiple of the tick (`x5`). */
  step: string;
}

export const link = new Store<Linked>({ exchange: 'binance', symbol: 'BTCUSDT', timeframe: '1m', step: 'auto' });

const isTimeframe = (text: string): text is Timeframe => (TIMEFRAMES as readonly string[]).includes(text);

/** Look at another symbol; a bin chosen for the last one says nothing about this one's prices. */
export function show(symbol: string): void {
  if (symbol === link.get().symbol) return;
  link.update({ symbol, step: steps.get(`${link.get().exchange}:${symbol}`) ?? 'auto' });
}

/** Bins chosen by hand, by `exchange:symbol`, for as long as the page is open. */
const steps = new Map<string, string>();

export function chooseStep(step: string, of: Store<Linked> = link): void {
  steps.set(`${of.get().exchange}:${of.get().symbol}`, step);
  of.update({ step });
}

/** A look at one instrument for good, at the timeframe of all others; call `release` when nobody needs it any more. */
export function held(exchange: string, symbol: string): { look: Store<Linked>; release: () => void } {
  const look = new Store<Linked>({ ...link.get(), exchange, symbol, step: steps.get(`${exchange}:${symbol}`) ?? 'auto' });
  return { look, release: link.onChange(({ timeframe }) => look.update({ timeframe })) };
}

/** Parameters of the address bar over what was remembered. */
export function linkedFromUrl(search: string, remembered: Linked): Linked {
  const query = new URLSearchParams(search);
  const timeframe = query.get('tf') ?? '';
  const symbol = query.get('symbol') ?? remembered.symbol;
  return {
    exchange: query.get('exchange') ?? remembered.exchange,
    symbol,
    timeframe: isTimeframe(timeframe) ? timeframe : remembered.timeframe,
    step: query.get('step') ?? (symbol === remembered.symbol ? remembered.step : 'auto'),
  };
}

/** Keep the address bar true where it names what the page shows, so that a reload or a copy opens the same. */
export function linkedToUrl(href: string, linked: Linked): string {
  const url = new URL(href);
  const names = { exchange: linked.exchange, symbol: linked.symbol, tf: linked.timeframe, step: linked.step };
  for (const [name, value] of Object.entries(names)) {
    if (!url.searchParams.has(name)) continue;
    if (value === 'auto') url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.href;
}
