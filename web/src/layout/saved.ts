/** Layouts kept under a name, in localStorage, each as the document that a file holds. */

import type { SerializedDockview } from 'dockview';
import { Store } from '../core/store';
import { LayoutError, parseLayout, writeLayout } from './document';

const KEY = 'tapewatch.layouts';
/** A menu holds so many. */
const MOST = 20;

type Named = Readonly<Record<string, string>>;

export const saved = new Store<Named>(read());

function read(): Named {
  try {
    const told: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    if (typeof told === 'object' && told !== null) return told as Named;
  } catch {
    localStorage.setItem(`${KEY}.bak`, localStorage.getItem(KEY) ?? '');
  }
  return {};
}

function write(layouts: Named): void {
  localStorage.setItem(KEY, JSON.stringify(layouts));
  saved.set(layouts);
}

/** Keep a layout; one of that name is replaced. Throws `LayoutError` when there are too many. */
export function keep(name: string, dock: SerializedDockview): void {
  const layouts = { ...saved.get(), [name]: writeLayout(dock) };
  if (Object.keys(layouts).length > MOST) throw new LayoutError(`At most ${MOST} layouts are kept; remove one first.`);
  write(layouts);
}

export function drop(name: string): void {
  const { [name]: _, ...others } = saved.get();
  write(others);
}

/** A kept layout; throws `LayoutError` when this page cannot show it. */
export const kept = (name: string): SerializedDockview => parseLayout(saved.get()[name] ?? '').dock;
