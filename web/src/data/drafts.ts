/** What an alert on a panel begins with: the panel's figure and symbol, and a threshold to start from. */

import type { Linked } from '../core/link';
import type { RuleBody } from './alerts';
import { isUpload, known, study } from './study';

export type Draft = Partial<RuleBody>;

const PRESSURE: Draft = { metric: 'book_imbalance', window: '', threshold: 0.6 };
const PRICE: Draft = { metric: 'price_change', window: '5m', threshold: 1 };
const ALL: Draft = { symbols: [] };

const FIGURES: Record<string, Draft> = {
  footprint: PRICE,
  candles: PRICE,
  imbalance: { metric: 'trade_imbalance', window: '1m', threshold: 0.6 },
  flow: { metric: 'net_flow', window: '5m', threshold: 1_000_000 },
  'big-flow': { ...ALL, metric: 'big_flow', window: '1m', compare: 'above', threshold: 0.5 },
  liquidations: { ...ALL, metric: 'liquidations', window: '1m', compare: 'above', threshold: 100_000 },
  heatmap: PRESSURE,
  depth: PRESSURE,
  surface: PRESSURE,
  ladder: PRESSURE,
  features: PRESSURE,
  impact: { metric: 'spread', window: '', compare: 'above', threshold: 5 },
  detections: { metric: 'detection_wall', window: '1m', compare: 'above', threshold: 0.7 },
  basis: { metric: 'basis', window: '', threshold: 20 },
  funding: { metric: 'funding', window: '', threshold: 0.05 },
  clusters: { metric: 'cluster', window: '1h', compare: 'above', threshold: 1_000_000 },
  whales: { ...ALL, metric: 'whale', window: '1m', compare: 'above', threshold: 1_000_000 },
  cvd: { metric: 'cvd_divergence', window: '15m', threshold: 2 },
  diagnostics: { ...ALL, metric: 'data_age', window: '', compare: 'above', threshold: 10 },
};
const OF_PAIRS = ['analytics', 'spread', 'regression', 'correlation'];
const PAIR_WINDOWS = ['1m', '5m', '15m'];

/** Undefined where nothing of the panel can be watched. */
export function draftOf(panel: string, { exchange, symbol }: Linked): Draft | undefined {
  if (OF_PAIRS.includes(panel)) return ofPair();
  const figure = FIGURES[panel];
  return figure && { exchange, symbols: [symbol], ...figure };
}

/** The z-score of the pair that is studied, with the hedge ratio found; of live series only. */
function ofPair(): Draft | undefined {
  const { pair, wish } = study.get();
  if (isUpload(wish.x) || isUpload(wish.y) || !PAIR_WINDOWS.includes(wish.tf)) return undefined;
  const [exchange, symbol] = wish.y.split(':') as [string, string];
  const beta = pair && wish.log && known(pair.spread) ? Number(pair.spread.fit.beta.toPrecision(6)) : 1;
  return { exchange, symbols: [symbol], metric: 'pair_z', window: wish.tf, threshold: 2, against: wish.x, bars: wish.window, beta };
}
