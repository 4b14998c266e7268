/**
 * Layouts kept under a name, each as the document that a file holds. The server keeps them for every screen; where it
 * stores nothing, this browser keeps its own. What a browser kept before is shown beside the server's.
 */

import type { SerializedDockview } from 'dockview';
import { getJson, sendJson } from '../core/access';
import { Store } from '../core/store';
import { LayoutError, parseLayout, writeLayout } from './document';

const KEY = 'tapewatch.layouts';
/** A menu holds so many of a browser's own. */
const MOST = 20;

type Named = Readonly<Record<string, string>>;
interface Told {
  kept: boolean;
  layouts: readonly { name: string; layout: object }[];
}

let own = read();
let shared: Named = {};
/** Whether the server keeps layouts. */
let serving = false;

export const saved = new Store<Named>(own);

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
  own = layouts;
  saved.set({ ...own, ...shared });
}

function take(told: Told): void {
  serving = told.kept;
  shared = Object.fromEntries(told.layouts.map(({ name, layout }) => [name, JSON.stringify(layout)]));
  saved.set({ ...own, ...shared });
}

/** Ask the server what other screens have kept; fails with its sentence. */
export async function refresh(): Promise<void> {
  take(await getJson<Told>('/api/layouts', {}));
}

/** Keep a layout; one of that name is replaced. Fails with a sentence when there are too many. */
export async function keep(name: string, dock: SerializedDockview): Promise<void> {
  await refresh();
  const text = writeLayout(dock);
  if (serving) {
    take(await sendJson<Told>('PUT', '/api/layouts', JSON.parse(text), { name }));
    return write(without(own, name));
  }
  const layouts = { ...own, [name]: text };
  if (Object.keys(layouts).length > MOST) throw new LayoutError(`At most ${MOST} layouts are kept; remove one first.`);
  write(layouts);
}

export async function drop(name: string): Promise<void> {
  if (name in shared) take(await sendJson<Told>('DELETE', '/api/layouts', undefined, { name }));
  write(without(own, name));
}

const without = (layouts: Named, name: string): Named => Object.fromEntries(Object.entries(layouts).filter(([known]) => known !== name));

/** A kept layout; throws `LayoutError` when this page cannot show it. */
export const kept = (name: string): SerializedDockview => parseLayout(saved.get()[name] ?? '').dock;
