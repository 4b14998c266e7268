/** Keys of a replay. They come before those of panels: ← and → move time here, not the picture. */

import { command, move, replay, toggle } from '../data/replay';
import { link } from '../core/link';
import { tell } from './notice';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

/** True when the key was one of ours; never where nothing is played back. */
export function replayKey(event: KeyboardEvent): boolean {
  if (!replay.get()) return false;
  const by = event.shiftKey ? MINUTE_MS : SECOND_MS;
  const { symbol } = link.get();
  const actions: Record<string, () => Promise<void>> = {
    ' ': toggle,
    ArrowLeft: () => move(-by),
    ArrowRight: () => (event.shiftKey ? move(by) : command({ action: 'step', step: 'second' })),
    '.': () => command({ action: 'step', step: 'event', symbol }),
    '>': () => command({ action: 'step', step: 'trade', symbol }),
  };
  const action = actions[event.key];
  // Space on a button presses that button.
  if (!action || (event.key === ' ' && event.target instanceof HTMLButtonElement)) return false;
  void attempt(action);
  return true;
}

/** Do it, or say in a sentence why not. */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
  }
}
