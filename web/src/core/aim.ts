/** Where the hand points: one moment, and of one instrument one price, told to every panel that has such an axis. */

import type { Linked } from './link';
import { Store } from './store';

/** A panel, as far as pointing goes. */
export interface Looker {
  readonly look: Store<Linked>;
}

interface Aim {
  /** The panel under the hand; it draws a crosshair of its own. */
  by: Looker;
  exchange: string;
  symbol: string;
  /** Either may be missing: a ladder has no time. */
  ms: number | undefined;
  price: number | undefined;
}

export const aim = new Store<Aim | undefined>(undefined);

export function point(by: Looker, ms: number | undefined, price: number | undefined): void {
  const known = aim.get();
  if (known?.by === by && known.ms === ms && known.price === price) return;
  const { exchange, symbol } = by.look.get();
  aim.set({ by, exchange, symbol, ms, price });
}

/** The hand has left this panel. */
export function unpoint(by: Looker): void {
  if (aim.get()?.by === by) aim.set(undefined);
}

/** What the hand points at elsewhere. A moment is the same for all; a price says something of its own instrument only. */
export function pointedElsewhere(from: Looker): { ms: number | undefined; price: number | undefined } {
  const at = aim.get();
  if (!at || at.by === from) return { ms: undefined, price: undefined };
  const { exchange, symbol } = from.look.get();
  return { ms: at.ms, price: at.exchange === exchange && at.symbol === symbol ? at.price : undefined };
}
