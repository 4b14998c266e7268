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
  /** What it shows, for somebody who sees it for the first time. */
  about: string;
  make(seat: Seat): CanvasPanel;
  /** Shows one instrument, so that it can be held on one and opened once for each. */
  bySymbol?: boolean;
  // Each kind's controls know their own panel; the registry only pairs them.
  tools: Component<any>;
}

export const PANELS: readonly PanelKind[] = [
  {
    id: 'footprint', title: 'Footprint', make: (seat) => new FootprintPanel(seat), tools: FootprintTools, bySymbol: true,
    about: 'What was sold into bids and bought from asks at each price, candle by candle',
  },
  {
    id: 'candles', title: 'Candles', make: (seat) => new CandlesPanel(seat), tools: NoTools, bySymbol: true,
    about: 'The same candles as a table; a row opens to its prices',
  },
  {
    id: 'big-flow', title: 'Big flow', make: (seat) => new BigFlowPanel(seat), tools: BigFlowTools,
    about: "Orders and one-sided flow that are large for the symbol's average day",
  },
  {
    id: 'imbalance', title: 'Imbalance', make: (seat) => new ImbalancePanel(seat), tools: ImbalanceTools,
    about: 'Who is more aggressive, buyers or sellers, for every symbol over four windows',
  },
  {
    id: 'heatmap', title: 'Heatmap', make: (seat) => new HeatmapPanel(seat), tools: HeatmapTools, bySymbol: true,
    about: 'Orders that rest at each price over time, and the trades that meet them',
  },
  {
    id: 'depth', title: 'Depth', make: (seat) => new DepthPanel(seat), tools: DepthTools, bySymbol: true,
    about: 'How much would be taken from each side up to a distance from the mid price',
  },
  {
    id: 'surface', title: 'Surface', make: (seat) => new SurfacePanel(seat), tools: SurfaceTools, bySymbol: true,
    about: 'The heatmap as a landscape: size over price and time',
  },
  {
    id: 'ladder', title: 'Ladder', make: (seat) => new LadderPanel(seat), tools: LadderTools, bySymbol: true,
    about: 'What rests, trades, is pulled and stacked at each price now',
  },
  {
    id: 'liquidations', title: 'Liquidations', make: (seat) => new LiquidationsPanel(seat), tools: LiquidationTools,
    about: 'Positions closed by force, as the venue reports them',
  },
  {
    id: 'flow', title: 'Order flow', make: (seat) => new FlowPanel(seat), tools: NoTools,
    about: 'One coin at every venue: share bought and sold, and where it tends',
  },
  {
    id: 'cvd', title: 'CVD', make: (seat) => new CvdPanel(seat), tools: CvdTools, bySymbol: true,
    about: 'Bought minus sold, summed up, for every market of one coin',
  },
  {
    id: 'basis', title: 'Basis', make: (seat) => new BasisPanel(seat), tools: FilterTools,
    about: 'Futures against spot, and mark price against index, at every venue',
  },
  {
    id: 'funding', title: 'Funding', make: (seat) => new FundingPanel(seat), tools: FilterTools,
    about: 'What longs pay shorts, at every venue',
  },
  {
    id: 'interest', title: 'Open interest', make: (seat) => new InterestPanel(seat), tools: FilterTools,
    about: 'Open contracts of each coin, every venue counted once',
  },
  {
    id: 'clusters', title: 'Liquidation clusters', make: (seat) => new ClustersPanel(seat), tools: ClusterTools, bySymbol: true,
    about: 'Prices around which positions were, or may be, closed by force',
  },
  {
    id: 'whales', title: 'Whales', make: (seat) => new WhalesPanel(seat), tools: WhaleTools,
    about: 'Single large orders of every venue',
  },
  {
    id: 'features', title: 'Features', make: (seat) => new FeaturesPanel(seat), tools: FeatureTools, bySymbol: true,
    about: 'Microstructure figures of the book, second by second',
  },
  {
    id: 'detections', title: 'Detections', make: (seat) => new DetectionsPanel(seat), tools: DetectionTools, bySymbol: true,
    about: 'Walls, sweeps, absorption, layering, icebergs, exhaustion, with their evidence and how they did',
  },
  {
    id: 'impact', title: 'Impact', make: (seat) => new ImpactPanel(seat), tools: NoTools, bySymbol: true,
    about: 'What a market order of a size would cost in the book as it stands',
  },
  {
    id: 'diagnostics', title: 'Diagnostics', make: (seat) => new DiagnosticsPanel(seat), tools: NoTools,
    about: 'How fresh and how costly the data are, symbol by symbol',
  },
  {
    id: 'alerts', title: 'Alerts', make: (seat) => new AlertsPanel(seat), tools: AlertTools,
    about: 'Rules over any figure, and what they have told',
  },
  {
    id: 'analytics', title: 'Pair', make: (seat) => new AnalyticsPanel(seat), tools: NoTools,
    about: 'Two series against each other: moments, regression, cointegration',
  },
  {
    id: 'spread', title: 'Spread', make: (seat) => new SpreadPanel(seat), tools: NoTools,
    about: "The pair's spread and its z-score over time",
  },
  {
    id: 'regression', title: 'Regression', make: (seat) => new RegressionPanel(seat), tools: NoTools,
    about: 'One series explained by the other',
  },
  {
    id: 'correlation', title: 'Correlation', make: (seat) => new CorrelationPanel(seat), tools: NoTools,
    about: "Rolling correlation of the pair's returns",
  },
  {
    id: 'scanner', title: 'Pair scanner', make: (seat) => new ScannerPanel(seat), tools: ScannerTools,
    about: 'All pairs, those that belong together first',
  },
  {
    id: 'hawkes', title: 'Hawkes', make: (seat) => new HawkesPanel(seat), tools: NoTools, bySymbol: true,
    about: 'How far trades call forth more trades',
  },
];

/** The kind of panel an id such as `footprint` or `footprint:ETHUSDT` asks for; undefined where there is none. */
export function kindOf(id: string): PanelKind | undefined {
  const asked = readInstance(id);
  return PANELS.find((kind) => kind.id === asked?.kind && (kind.bySymbol || !asked.symbol));
}
