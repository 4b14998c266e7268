/** The panels there are. */

import type { Component } from 'svelte';
import type { CanvasPanel, Seat } from '../core/panel';
import { readInstance } from '../layout/instance';
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
  { id: 'liquidations', title: 'Liquidations', make: (seat) => new LiquidationsPanel(seat), tools: LiquidationTools },
];

/** The kind of panel an id such as `footprint` or `footprint:ETHUSDT` asks for; undefined where there is none. */
export function kindOf(id: string): PanelKind | undefined {
  const asked = readInstance(id);
  return PANELS.find((kind) => kind.id === asked?.kind && (kind.bySymbol || !asked.symbol));
}
