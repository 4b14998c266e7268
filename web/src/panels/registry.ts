/** The panels there are. */

import type { Component } from 'svelte';
import type { CanvasPanel, Workspace } from '../core/panel';
import BigFlowTools from '../ui/BigFlowTools.svelte';
import FootprintTools from '../ui/FootprintTools.svelte';
import ImbalanceTools from '../ui/ImbalanceTools.svelte';
import LiquidationTools from '../ui/LiquidationTools.svelte';
import { BigFlowPanel } from './bigflow/panel';
import { FootprintPanel } from './footprint/panel';
import { ImbalancePanel } from './imbalance/panel';
import { LiquidationsPanel } from './liquidations/panel';

export interface PanelKind {
  id: string;
  title: string;
  make(workspace: Workspace): CanvasPanel;
  // Each kind's controls know their own panel; the registry only pairs them.
  tools: Component<any>;
}

export const PANELS: readonly PanelKind[] = [
  { id: 'footprint', title: 'Footprint', make: (workspace) => new FootprintPanel(workspace), tools: FootprintTools },
  { id: 'big-flow', title: 'Big flow', make: (workspace) => new BigFlowPanel(workspace), tools: BigFlowTools },
  { id: 'imbalance', title: 'Imbalance', make: (workspace) => new ImbalancePanel(workspace), tools: ImbalanceTools },
  { id: 'liquidations', title: 'Liquidations', make: (workspace) => new LiquidationsPanel(workspace), tools: LiquidationTools },
];

export const kindOf = (id: string): PanelKind | undefined => PANELS.find((kind) => kind.id === id);
