/** The panels there are. */

import type { Component } from 'svelte';
import type { CanvasPanel, Seat } from '../core/panel';
import { readInstance } from '../layout/instance';
import BigFlowTools from '../ui/BigFlowTools.svelte';
import DepthTools from '../ui/DepthTools.svelte';
import FootprintTools from '../ui/FootprintTools.svelte';
import HeatmapTools from '../ui/HeatmapTools.svelte';
import ImbalanceTools from '../ui/ImbalanceTools.svelte';
import LadderTools from '../ui/LadderTools.svelte';
import LiquidationTools from '../ui/LiquidationTools.svelte';
import SurfaceTools from '../ui/SurfaceTools.svelte';
import { BigFlowPanel } from './bigflow/panel';
import { DepthPanel } from './depth/panel';
import { FootprintPanel } from './footprint/panel';
import { HeatmapPanel } from './heatmap/panel';
import { ImbalancePanel } from './imbalance/panel';
import { LadderPanel } from './ladder/panel';
import { LiquidationsPanel } from './liquidations/panel';
import { SurfacePanel } from './surface/panel';

export interface PanelKind {
  id: string;
  title: string;
  make(seat: Seat): CanvasPanel;
  /** Shows one instrument, so that it can be held on one and opened once for each. */
  bySymbol?: boolean;
  // Each kind's controls know their own panel; the registry only pairs them.
  tools: Component<any>;
}

export const PANELS: readonly PanelKind[] = [
  { id: 'footprint', title: 'Footprint', make: (seat) => new FootprintPanel(seat), tools: FootprintTools, bySymbol: true },
  { id: 'big-flow', title: 'Big flow', make: (seat) => new BigFlowPanel(seat), tools: BigFlowTools },
  { id: 'imbalance', title: 'Imbalance', make: (seat) => new ImbalancePanel(seat), tools: ImbalanceTools },
  { id: 'heatmap', title: 'Heatmap', make: (seat) => new HeatmapPanel(seat), tools: HeatmapTools, bySymbol: true },
  { id: 'depth', title: 'Depth', make: (seat) => new DepthPanel(seat), tools: DepthTools, bySymbol: true },
  { id: 'surface', title: 'Surface', make: (seat) => new SurfacePanel(seat), tools: SurfaceTools, bySymbol: true },
  { id: 'ladder', title: 'Ladder', make: (seat) => new LadderPanel(seat), tools: LadderTools, bySymbol: true },
  { id: 'liquidations', title: 'Liquidations', make: (seat) => new LiquidationsPanel(seat), tools: LiquidationTools },
];

/** The kind of panel an id such as `footprint` or `footprint:ETHUSDT` asks for; undefined where there is none. */
export function kindOf(id: string): PanelKind | undefined {
  const asked = readInstance(id);
  return PANELS.find((kind) => kind.id === asked?.kind && (kind.bySymbol || !asked.symbol));
}
