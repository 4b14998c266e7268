/** The panels there are. */

import type { Component } from 'svelte';
import type { CanvasPanel, Seat } from '../core/panel';
import { readInstance } from '../layout/instance';
import AlertTools from '../ui/AlertTools.svelte';
import BigFlowTools from '../ui/BigFlowTools.svelte';
import ClusterTools from '../ui/ClusterTools.svelte';
import CvdTools from '../ui/CvdTools.svelte';
import DepthTools from '../ui/DepthTools.svelte';
import FilterTools from '../ui/FilterTools.svelte';
import DetectionTools from '../ui/DetectionTools.svelte';
import FeatureTools from '../ui/FeatureTools.svelte';
import FootprintTools from '../ui/FootprintTools.svelte';
import HeatmapTools from '../ui/HeatmapTools.svelte';
import ImbalanceTools from '../ui/ImbalanceTools.svelte';
import LadderTools from '../ui/LadderTools.svelte';
import LiquidationTools from '../ui/LiquidationTools.svelte';
import NoTools from '../ui/NoTools.svelte';
import ScannerTools from '../ui/ScannerTools.svelte';
import SurfaceTools from '../ui/SurfaceTools.svelte';
import WhaleTools from '../ui/WhaleTools.svelte';
import { AlertsPanel } from './alerts/panel';
import { BasisPanel } from './basis/panel';
import { BigFlowPanel } from './bigflow/panel';
import { CandlesPanel } from './candles/panel';
import { ClustersPanel } from './clusters/panel';
import { CvdPanel } from './cvd/panel';
import { DepthPanel } from './depth/panel';
import { FlowPanel } from './flow/panel';
import { DetectionsPanel } from './detections/panel';
import { DiagnosticsPanel } from './diagnostics/panel';
import { FeaturesPanel } from './features/panel';
import { FootprintPanel } from './footprint/panel';
import { FundingPanel } from './funding/panel';
import { HeatmapPanel } from './heatmap/panel';
import { ImbalancePanel } from './imbalance/panel';
import { LadderPanel } from './ladder/panel';
import { ImpactPanel } from './impact/panel';
import { InterestPanel } from './interest/panel';
import { LiquidationsPanel } from './liquidations/panel';
import { AnalyticsPanel } from './research/analytics';
import { CorrelationPanel } from './research/correlation';
import { HawkesPanel } from './research/hawkes';
import { RegressionPanel } from './research/regression';
import { ScannerPanel } from './research/scanner';
import { SpreadPanel } from './research/spread';
import { SurfacePanel } from './surface/panel';
import { WhalesPanel } from './whales/panel';

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
  { id: 'candles', title: 'Candles', make: (seat) => new CandlesPanel(seat), tools: NoTools, bySymbol: true },
  { id: 'big-flow', title: 'Big flow', make: (seat) => new BigFlowPanel(seat), tools: BigFlowTools },
  { id: 'imbalance', title: 'Imbalance', make: (seat) => new ImbalancePanel(seat), tools: ImbalanceTools },
  { id: 'heatmap', title: 'Heatmap', make: (seat) => new HeatmapPanel(seat), tools: HeatmapTools, bySymbol: true },
  { id: 'depth', title: 'Depth', make: (seat) => new DepthPanel(seat), tools: DepthTools, bySymbol: true },
  { id: 'surface', title: 'Surface', make: (seat) => new SurfacePanel(seat), tools: SurfaceTools, bySymbol: true },
  { id: 'ladder', title: 'Ladder', make: (seat) => new LadderPanel(seat), tools: LadderTools, bySymbol: true },
  { id: 'liquidations', title: 'Liquidations', make: (seat) => new LiquidationsPanel(seat), tools: LiquidationTools },
  { id: 'flow', title: 'Order flow', make: (seat) => new FlowPanel(seat), tools: NoTools },
  { id: 'cvd', title: 'CVD', make: (seat) => new CvdPanel(seat), tools: CvdTools, bySymbol: true },
  { id: 'basis', title: 'Basis', make: (seat) => new BasisPanel(seat), tools: FilterTools },
  { id: 'funding', title: 'Funding', make: (seat) => new FundingPanel(seat), tools: FilterTools },
  { id: 'interest', title: 'Open interest', make: (seat) => new InterestPanel(seat), tools: FilterTools },
  { id: 'clusters', title: 'Liquidation clusters', make: (seat) => new ClustersPanel(seat), tools: ClusterTools, bySymbol: true },
  { id: 'whales', title: 'Whales', make: (seat) => new WhalesPanel(seat), tools: WhaleTools },
  { id: 'features', title: 'Features', make: (seat) => new FeaturesPanel(seat), tools: FeatureTools, bySymbol: true },
  { id: 'detections', title: 'Detections', make: (seat) => new DetectionsPanel(seat), tools: DetectionTools, bySymbol: true },
  { id: 'impact', title: 'Impact', make: (seat) => new ImpactPanel(seat), tools: NoTools, bySymbol: true },
  { id: 'diagnostics', title: 'Diagnostics', make: (seat) => new DiagnosticsPanel(seat), tools: NoTools },
  { id: 'alerts', title: 'Alerts', make: (seat) => new AlertsPanel(seat), tools: AlertTools },
  { id: 'analytics', title: 'Pair', make: (seat) => new AnalyticsPanel(seat), tools: NoTools },
  { id: 'spread', title: 'Spread', make: (seat) => new SpreadPanel(seat), tools: NoTools },
  { id: 'regression', title: 'Regression', make: (seat) => new RegressionPanel(seat), tools: NoTools },
  { id: 'correlation', title: 'Correlation', make: (seat) => new CorrelationPanel(seat), tools: NoTools },
  { id: 'scanner', title: 'Pair scanner', make: (seat) => new ScannerPanel(seat), tools: ScannerTools },
  { id: 'hawkes', title: 'Hawkes', make: (seat) => new HawkesPanel(seat), tools: NoTools, bySymbol: true },
];

/** The kind of panel an id such as `footprint` or `footprint:ETHUSDT` asks for; undefined where there is none. */
export function kindOf(id: string): PanelKind | undefined {
  const asked = readInstance(id);
  return PANELS.find((kind) => kind.id === asked?.kind && (kind.bySymbol || !asked.symbol));
}
