/** The columns of the ladder: sells left, buys right, the price between them. */

import type { Figure } from '../../data/ladder';

export interface Column {
  id: string;
  title: string;
  hint: string;
  /** Share of the width. */
  weight: number;
  side: 'bid' | 'ask' | 'price';
  /** What is shown: one figure, or the difference of two. */
  plus?: Figure;
  minus?: Figure;
  /** Bars grow from this edge, in shares of the largest figure of the columns that share the name. */
  bar?: { from: 'left' | 'right'; group: 'resting' | 'traded' };
  signed?: boolean;
}

const SOLD: Column = { id: 'sold', title: 'sold', hint: 'sold into bids since the session began or the reset', weight: 1, side: 'bid', plus: 'sold', bar: { from: 'right', group: 'traded' } };
const BOUGHT: Column = { id: 'bought', title: 'bought', hint: 'bought from asks since the session began or the reset', weight: 1, side: 'ask', plus: 'bought', bar: { from: 'left', group: 'traded' } };
const BID: Column = { id: 'bid', title: 'bid', hint: 'resting bids', weight: 1.25, side: 'bid', plus: 'bid', bar: { from: 'right', group: 'resting' } };
const ASK: Column = { id: 'ask', title: 'ask', hint: 'resting asks', weight: 1.25, side: 'ask', plus: 'ask', bar: { from: 'left', group: 'resting' } };
const PRICE: Column = { id: 'price', title: 'price', hint: 'lower edge of the row', weight: 1.15, side: 'price' };

const net = (side: 'bid' | 'ask'): Column => ({
  id: `${side}_net`, title: 'stack±', hint: `${side}s stacked minus pulled in the window`, weight: 0.95, side, plus: `${side}_stacked`, minus: `${side}_pulled`, signed: true,
});
const pulled = (side: 'bid' | 'ask'): Column => ({
  id: `${side}_pulled`, title: 'pulled', hint: `${side}s withdrawn without being executed`, weight: 0.85, side, minus: `${side}_pulled`, signed: true,
});
const stacked = (side: 'bid' | 'ask'): Column => ({
  id: `${side}_stacked`, title: 'stacked', hint: `${side}s placed`, weight: 0.85, side, plus: `${side}_stacked`, signed: true,
});

const WIDE_FROM = 520;
const NET_FROM = 370;
const TRADED_FROM = 250;

/** The columns there is room for. */
export function columnsFor(width: number): readonly Column[] {
  if (width >= WIDE_FROM) return [SOLD, pulled('bid'), stacked('bid'), BID, PRICE, ASK, stacked('ask'), pulled('ask'), BOUGHT];
  if (width >= NET_FROM) return [SOLD, net('bid'), BID, PRICE, ASK, net('ask'), BOUGHT];
  if (width >= TRADED_FROM) return [SOLD, BID, PRICE, ASK, BOUGHT];
  return [BID, PRICE, ASK];
}

export interface Placed extends Column {
  x: number;
  w: number;
}

export function place(columns: readonly Column[], width: number): Placed[] {
  const total = columns.reduce((sum, { weight }) => sum + weight, 0);
  let at = 0;
  let taken = 0;
  return columns.map((column) => {
    taken += column.weight;
    const x = at;
    at = Math.round((width * taken) / total);
    return { ...column, x, w: at - x };
  });
}
