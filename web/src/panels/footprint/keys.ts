/** What keys do to a footprint, besides moving it. */

import { stepText } from '../../core/decimal';
import { chooseStep, type Linked } from '../../core/link';
import { settings, type Settings } from '../../core/settings';
import type { Store } from '../../core/store';
import type { FootprintHead } from '../../data/footprint';
import { neighbour } from './bins';

const STYLES: readonly Settings['footprint']['style'][] = ['bid-ask', 'delta', 'volume'];

/** Do what the key says to the footprint under the hand; whether it says anything. */
export function footprintKey(key: string, look: Store<Linked>, head: FootprintHead | undefined): boolean {
  const chosen = settings.get().footprint;
  const choose = (change: Partial<Settings['footprint']>): void => settings.update({ footprint: { ...chosen, ...change } });
  const bin = (direction: 1 | -1): void => {
    if (head) chooseStep(stepText(neighbour(head.stepTicks, direction), head.tick), look);
  };
  const actions: Record<string, () => void> = {
    '[': () => bin(-1),
    ']': () => bin(1),
    f: () => choose({ style: STYLES[(STYLES.indexOf(chosen.style) + 1) % STYLES.length]! }),
    i: () => choose({ imbalance: !chosen.imbalance }),
    v: () => choose({ valueArea: !chosen.valueArea }),
    u: () => choose({ auctions: !chosen.auctions }),
    p: () => choose({ session: !chosen.session }),
  };
  actions[key]?.();
  return key in actions;
}
