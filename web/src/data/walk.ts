/** The simulated market order that is looked at: whoever simulates one sets it, the depth curve draws its path. */

import { Store } from '../core/store';

export interface Walk {
  exchange: string;
  symbol: string;
  side: 'buy' | 'sell';
  /** Base units that find a counterpart in the known book, and those that do not. */
  filled: number;
  unfilled: number;
  /** Price of the last level taken, and the average over what is filled; null where nothing is. */
  marginal: number | null;
  average: number | null;
}

export const walk = new Store<Walk | undefined>(undefined);
