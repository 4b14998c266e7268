/** What a venue lists, and where the same asset is listed elsewhere. */

import { getJson } from '../core/access';

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
