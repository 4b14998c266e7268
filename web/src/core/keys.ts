/** The keyboard: the panel under the pointer comes first, then what belongs to the whole page. */

import { link, TIMEFRAMES } from './link';
import type { Draft } from '../data/drafts';
import type { CanvasPanel } from './panel';
import { Store } from './store';

export type Overlay =
  | { kind: 'none' }
  | { kind: 'symbols'; text: string; panel?: CanvasPanel }
  | { kind: 'help' }
  | { kind: 'data'; what: string }
  | { kind: 'alerts'; tab: 'rule' | 'sinks'; rule?: number; draft?: Draft }
  | { kind: 'journal'; panel: CanvasPanel; title: string };

export const overlay = new Store<Overlay>({ kind: 'none' });

export function closeOverlay(): void {
  overlay.set({ kind: 'none' });
}

/** `first` is asked before the panel under the pointer. */
export function installKeys(panels: ReadonlyMap<string, CanvasPanel>, first: (event: KeyboardEvent) => boolean): void {
  let under: string | undefined;
  const panelOf = (target: EventTarget | null): string | undefined =>
    target instanceof Element ? target.closest<HTMLElement>('[data-instance]')?.dataset['instance'] : undefined;
  document.addEventListener('pointerover', (event) => (under = panelOf(event.target)));
  document.addEventListener('keydown', (event) => {
    const panel = panels.get(panelOf(document.activeElement) ?? under ?? '') ?? panels.get(under ?? '');
    if (handle(event, panel, first)) event.preventDefault();
  });
}

function handle(event: KeyboardEvent, panel: CanvasPanel | undefined, first: (event: KeyboardEvent) => boolean): boolean {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    overlay.set({ kind: 'symbols', text: '' });
    return true;
  }
  if (event.key === 'Escape' && overlay.get().kind !== 'none') {
    closeOverlay();
    return true;
  }
  if (overlay.get().kind !== 'none' || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return false;
  return first(event) || (panel?.onKey(event) ?? false) || global(event);
}

function global(event: KeyboardEvent): boolean {
  const timeframe = TIMEFRAMES[Number(event.key) - 1];
  if (timeframe) link.update({ timeframe });
  else if (event.key === '?') overlay.set({ kind: 'help' });
  else if (event.key === '/') document.querySelector<HTMLInputElement>('[data-filter]')?.focus();
  else if (/^[a-z]$/i.test(event.key)) overlay.set({ kind: 'symbols', text: event.key });
  else return false;
  return true;
}

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'SELECT', 'TEXTAREA'].includes(target.tagName));
