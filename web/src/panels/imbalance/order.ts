/** In which order symbols stand, and which of them. */

import type { Sort } from '../../core/textgrid';
import type { Market } from '../../data/market';

/** Column of the table -> figure of the topic. */
export const FIGURE_OF: Record<string, string> = {
  last: 'last',
  change: 'chg24',
  '10s': 'ti_10s',
  '1m': 'ti_1m',
  '5m': 'ti_5m',
  '15m': 'ti_15m',
  book: 'bi',
  net: 'net_1m',
  volume: 'qv24',
};

/** Indices of the symbols whose name contains `filter`, sorted; what is not known comes last either way. */
export function ordered(market: Market, sort: Sort, filter: string): number[] {
  const wanted = filter.trim().toUpperCase();
  const indices = market.symbols.map((_, index) => index).filter((index) => market.symbols[index]!.toUpperCase().includes(wanted));
  const sign = sort.descending ? -1 : 1;
  const byName = (a: number, b: number): number => (market.symbols[a]! < market.symbols[b]! ? -1 : 1);
  const figure = FIGURE_OF[sort.id];
  if (figure === undefined) return indices.sort((a, b) => sign * byName(a, b));
  const values = market.figure(figure);
  return indices.sort((a, b) => compare(values[a]!, values[b]!, sign) || byName(a, b));
}

function compare(a: number, b: number, sign: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return sign * (a - b);
}
