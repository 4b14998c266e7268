/** One sentence for the person at the screen, gone after a while. */

import { Store } from '../core/store';

const SHOWN_MS = 7_000;

export const notice = new Store('');

let timer: ReturnType<typeof setTimeout> | undefined;

export function tell(sentence: string): void {
  clearTimeout(timer);
  notice.set(sentence);
  timer = setTimeout(() => notice.set(''), SHOWN_MS);
}

/** Do something for the person at the screen; where it fails, tell why. */
export function orTell(work: Promise<unknown>): void {
  work.catch((error: unknown) => tell(error instanceof Error ? error.message : String(error)));
}
