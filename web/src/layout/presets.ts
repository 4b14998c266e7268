/** Ready-made layouts, and the one an address asks for. */

import type { AddPanelOptions, DockviewApi } from 'dockview';
import { kindOf } from '../panels/registry';
import { instanceId, instanceTitle, readInstance } from './instance';

export interface Preset {
  id: string;
  title: string;
  build(dock: DockviewApi): void;
}

/** Shares of the workspace's width and height that the left column and the upper row have. */
const LEFT = 0.585;
const UPPER = 0.63;

export const PRESETS: readonly Preset[] = [
  { id: 'workspace', title: 'Workspace: all four', build: (dock) => arrange(dock, ['footprint', 'big-flow', 'imbalance', 'liquidations']) },
  { id: 'chart', title: 'Chart: footprint, the rest in tabs', build: buildChart },
  { id: 'lab', title: 'Liquidity lab: BTCUSDT and ETHUSDT', build: buildLab },
  { id: 'derivatives', title: 'Derivatives: CVD, basis, funding, clusters, whales', build: buildDerivatives },
  { id: 'research', title: 'Research: a pair, its spread, the scanner', build: buildResearch },
  { id: 'flow', title: 'Flow: no chart', build: (dock) => arrange(dock, ['big-flow', 'liquidations', 'imbalance']) },
];

/**
 * Up to four panels in two columns: the first and second share the left one, the third and fourth the right one;
 * more become tabs of the last.
 */
export function arrange(dock: DockviewApi, ids: readonly string[]): void {
  const [first, second, third, fourth, ...more] = ids;
  if (!first) return;
  add(dock, first);
  if (third) add(dock, third, { referencePanel: first, direction: 'right' }, { initialWidth: dock.width * (1 - LEFT) });
  if (second) add(dock, second, { referencePanel: first, direction: 'below' }, { initialHeight: dock.height * (1 - UPPER) });
  if (third && fourth) add(dock, fourth, { referencePanel: third, direction: 'below' }, { initialHeight: dock.height * (1 - UPPER) });
  for (const id of more) add(dock, id, { referencePanel: fourth!, direction: 'within' });
  dock.getPanel(first)?.api.setActive();
}

function buildChart(dock: DockviewApi): void {
  add(dock, 'footprint');
  add(dock, 'big-flow', { referencePanel: 'footprint', direction: 'below' }, { initialHeight: dock.height * 0.3 });
  add(dock, 'imbalance', { referencePanel: 'big-flow', direction: 'within' });
  add(dock, 'liquidations', { referencePanel: 'big-flow', direction: 'within' });
  dock.getPanel('big-flow')?.api.setActive();
}

const LAB_SYMBOLS = ['BTCUSDT', 'ETHUSDT'];
/** Columns of a symbol's row in the lab, with the share of the width from each to the right edge. */
const LAB_COLUMNS = [['footprint', 0.65], ['ladder', 0.45], ['depth', 0.245]] as const;

/** Share of the height that the strips of features have under a heatmap; on a low screen they are a tab instead. */
const STRIPS = 0.17;
const STRIPS_FROM_PX = 860;

/** A row for each symbol: heatmap, footprint, ladder, and depth above the surface. What reports has tabs beside them. */
function buildLab(dock: DockviewApi): void {
  let above: string | undefined;
  for (const symbol of LAB_SYMBOLS) {
    const of = (kind: string): string => `${kind}:${symbol}`;
    add(dock, of('heatmap'), above ? { referencePanel: above, direction: 'below' } : undefined, above ? { initialHeight: dock.height / 2 } : {});
    above ??= of('heatmap');
  }
  for (const symbol of LAB_SYMBOLS) {
    const of = (kind: string): string => `${kind}:${symbol}`;
    let left = of('heatmap');
    for (const [kind, share] of LAB_COLUMNS) {
      add(dock, of(kind), { referencePanel: left, direction: 'right' }, { initialWidth: dock.width * share });
      left = of(kind);
    }
    add(dock, of('surface'), { referencePanel: left, direction: 'below' }, { initialHeight: dock.height / 4 });
    if (dock.height >= STRIPS_FROM_PX) add(dock, of('features'), { referencePanel: of('heatmap'), direction: 'below' }, { initialHeight: dock.height * STRIPS });
    else add(dock, of('features'), { referencePanel: of('footprint'), direction: 'within' });
  }
  for (const kind of ['detections', 'impact', 'diagnostics']) {
    add(dock, kind, { referencePanel: `footprint:${LAB_SYMBOLS[0]!}`, direction: 'within' });
  }
  for (const symbol of LAB_SYMBOLS) dock.getPanel(`footprint:${symbol}`)?.api.setActive();
}

/** Flow on the left, what derivatives cost in the middle, who was forced and who is large on the right. */
function buildDerivatives(dock: DockviewApi): void {
  const half = { initialHeight: dock.height * 0.5 };
  add(dock, 'cvd');
  add(dock, 'basis', { referencePanel: 'cvd', direction: 'right' }, { initialWidth: dock.width * 0.66 });
  add(dock, 'clusters', { referencePanel: 'basis', direction: 'right' }, { initialWidth: dock.width * 0.33 });
  add(dock, 'flow', { referencePanel: 'cvd', direction: 'below' }, { initialHeight: dock.height * 0.32 });
  add(dock, 'funding', { referencePanel: 'basis', direction: 'below' }, half);
  add(dock, 'whales', { referencePanel: 'clusters', direction: 'below' }, half);
  add(dock, 'interest', { referencePanel: 'funding', direction: 'within' });
  dock.getPanel('funding')?.api.setActive();
  dock.getPanel('cvd')?.api.setActive();
}

/** Figures and scanner on the left; the pair over time above its regression and correlation on the right. */
function buildResearch(dock: DockviewApi): void {
  add(dock, 'analytics');
  add(dock, 'spread', { referencePanel: 'analytics', direction: 'right' }, { initialWidth: dock.width * 0.66 });
  add(dock, 'scanner', { referencePanel: 'analytics', direction: 'below' }, { initialHeight: dock.height * 0.3 });
  add(dock, 'regression', { referencePanel: 'spread', direction: 'below' }, { initialHeight: dock.height * 0.42 });
  add(dock, 'correlation', { referencePanel: 'regression', direction: 'right' }, { initialWidth: dock.width * 0.36 });
  add(dock, 'hawkes', { referencePanel: 'correlation', direction: 'within' });
  dock.getPanel('correlation')?.api.setActive();
}

export interface Instrument {
  exchange: string;
  symbol: string;
}

/** Share of the width that footprints have when they are compared. */
const COMPARED = 0.72;

/** Footprints in two rows, the odd ones above; the coin's merged CVD and all candle tables at the right. */
export function buildCompare(dock: DockviewApi, instruments: readonly Instrument[]): void {
  const ids = (kind: string): string[] => instruments.map(({ exchange, symbol }) => instanceId(kind, exchange, symbol));
  const footprints = ids('footprint');
  const columns = Math.ceil(footprints.length / 2);
  footprints.forEach((id, k) => {
    const left = footprints[k - 1];
    // Each is added with all the width from its left edge on.
    const width = dock.width * (1 - (COMPARED * k) / columns);
    if (k < columns) add(dock, id, left === undefined ? undefined : { referencePanel: left, direction: 'right' }, { initialWidth: width });
  });
  add(dock, 'cvd', { referencePanel: footprints[columns - 1]!, direction: 'right' }, { initialWidth: dock.width * (1 - COMPARED) });
  footprints.forEach((id, k) => {
    if (k >= columns) add(dock, id, { referencePanel: footprints[k - columns]!, direction: 'below' });
  });
  const [first, ...others] = ids('candles');
  add(dock, first!, { referencePanel: 'cvd', direction: 'below' }, { initialHeight: dock.height / 2 });
  for (const id of others) add(dock, id, { referencePanel: first!, direction: 'within' });
  dock.getPanel(first!)?.api.setActive();
}

type Place = { referencePanel: string; direction: 'right' | 'below' | 'within'; index?: number };

function add(dock: DockviewApi, id: string, position?: Place, size: { initialWidth?: number; initialHeight?: number } = {}): void {
  const kind = kindOf(id);
  if (!kind) return;
  const title = instanceTitle(kind.title, readInstance(id)!);
  dock.addPanel({ id, component: kind.id, title, renderer: 'always', ...(position ? { position } : {}), ...size } as AddPanelOptions);
}

/** Put `next` where `id` is. */
export function exchangePanel(dock: DockviewApi, id: string, next: string): void {
  const old = dock.getPanel(id);
  if (!old || dock.getPanel(next)) return;
  add(dock, next, { referencePanel: id, direction: 'within', index: old.group.panels.indexOf(old) });
  dock.removePanel(old);
}

/** Open one more panel beside what is there. */
export function addBeside(dock: DockviewApi, id: string): void {
  const neighbour = dock.activePanel?.id;
  add(dock, id, neighbour ? { referencePanel: neighbour, direction: 'right' } : undefined);
}
