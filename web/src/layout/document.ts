/** A layout as a versioned JSON document: what localStorage keeps and what is exported and imported. */

import type { SerializedDockview } from 'dockview';
import type { Settings } from '../core/settings';
import { kindOf } from '../panels/registry';

export const LAYOUT_VERSION = 1;

export interface LayoutDocument {
  schema_version: number;
  dock: SerializedDockview;
  /** Present in an exported file only. */
  settings?: Settings;
}

/** Said to the person whose file it is. */
export class LayoutError extends Error {}

/** Read a document, refusing what this page could not show. Unknown keys are left alone. */
export function parseLayout(text: string): LayoutDocument {
  let document: Partial<LayoutDocument>;
  try {
    document = JSON.parse(text) as Partial<LayoutDocument>;
  } catch {
    throw new LayoutError('This file is not JSON.');
  }
  if (typeof document !== 'object' || document === null || document.schema_version !== LAYOUT_VERSION) {
    throw new LayoutError(`This is no layout of version ${LAYOUT_VERSION}.`);
  }
  const panels = document.dock?.panels;
  if (!document.dock?.grid || typeof panels !== 'object') throw new LayoutError('This layout holds no panels.');
  for (const [id, panel] of Object.entries(panels)) {
    if (!kindOf(id) || panel.contentComponent !== kindOf(id)?.id) throw new LayoutError(`This layout has a panel called ${id}, which this version does not know.`);
  }
  return document as LayoutDocument;
}

export const writeLayout = (dock: SerializedDockview, settings?: Settings): string =>
  JSON.stringify({ schema_version: LAYOUT_VERSION, dock, ...(settings ? { settings } : {}) }, null, settings ? 2 : 0);
