/**
 * A panel's id in a layout says what it is and, where it is held, on what: `heatmap` follows the workspace,
 * `heatmap:bybit:ETHUSDT` stays with that instrument, `heatmap:ETHUSDT` with it on the venue the workspace opens on.
 */

export interface Instance {
  kind: string;
  /** Both undefined where the panel follows the workspace. */
  exchange: string | undefined;
  symbol: string | undefined;
}

/** What an id says; undefined when it is written otherwise. */
export function readInstance(id: string): Instance | undefined {
  const [kind, ...rest] = id.split(':');
  if (!kind || rest.length > 2 || rest.some((part) => part === '')) return undefined;
  return { kind, exchange: rest.length === 2 ? rest[0] : undefined, symbol: rest.at(-1) };
}

export const instanceId = (kind: string, exchange: string, symbol: string): string => `${kind}:${exchange}:${symbol}`;

/** How a panel is called on its tab. */
export function instanceTitle(title: string, { exchange, symbol }: Instance): string {
  if (!symbol) return title;
  return exchange && exchange !== HOME ? `${title} · ${symbol} · ${exchange}` : `${title} · ${symbol}`;
}

/** The venue that goes without saying. */
export const HOME = 'binance';
