/** What the page remembers: one versioned JSON document in localStorage. A corrupted one is set aside, not fatal. See `follow`. */

import { Store } from './store';
import type { Linked, Timeframe } from './link';
import type { ThemeName } from './theme';

const KEY = 'tapewatch.settings';
const SETTINGS_VERSION = 1;

export interface Settings {
  version: number;
  theme: ThemeName;
  /** The line for somebody who is here for the first time. */
  hint: boolean;
  linked: Linked;
  bigFlow: { minNotional: number; side: 'all' | 'buy' | 'sell'; rule: 'all' | 'parent' | 'flow_10s' | 'flow_1m' | 'flow_5m'; linkedOnly: boolean };
  imbalance: { sort: string; descending: boolean; mode: 'table' | 'heat'; window: '10s' | '1m' | '5m' | '15m' };
  footprint: { style: 'bid-ask' | 'delta' | 'volume'; imbalance: boolean; valueArea: boolean; auctions: boolean; session: boolean };
  liquidations: { minNotional: number; linkedOnly: boolean };
  /** `ramp`: colours of sizes by name, or `auto` for those of the theme; `locks`: the sizes at the ends of the colour scale, by `exchange:symbol`, where a hand has set them. */
  heatmap: { ramp: string; bubbles: boolean; locks: Record<string, [number, number]> };
  /** `steps`: ticks a row, by `exchange:symbol`, where they were chosen. */
  ladder: { steps: Record<string, number> };
  /** Basis points each side of the mid price. */
  depth: { range: number };
  /** Seconds. */
  surface: { span: number };
  basis: { sort: string; descending: boolean };
  funding: { sort: string; descending: boolean };
  interest: { sort: string; descending: boolean };
  whales: { minNotional: number; linkedOnly: boolean };
  clusters: { window: '1h' | '4h' | '24h' };
  /** `hidden`: markets switched off, as `venue:symbol`. */
  cvd: { span: '5m' | '15m' | '1h' | '4h' | '24h'; unit: 'usd' | 'base'; hidden: string[] };
  /** Ids of the strips shown, comma separated. */
  features: { strips: string };
  /** Kinds left out, comma separated; whether the footprint marks events; report cards even where there is little room. */
  detections: { hidden: string; onFootprint: boolean; cards: boolean };
  /** `unit`: what the size is entered in. */
  impact: { side: 'buy' | 'sell'; size: string; unit: 'base' | 'quote'; feeBps: number };
  /** What the research panels are about. `x` explains `y`; `returns` is the window of the rolling correlation. */
  research: {
    x: string;
    y: string;
    tf: Timeframe;
    bars: number;
    window: number;
    returns: number;
    method: 'ols' | 'huber' | 'tls';
    center: 'mean' | 'median';
    log: boolean;
    prices: 'trades' | 'mids';
  };
  /** `shown`: rules, or what they fired. */
  alerts: { shown: 'rules' | 'log'; sound: boolean };
  scanner: { symbols: number; uploads: boolean; sort: string; descending: boolean };
}

export const DEFAULTS: Settings = {
  version: SETTINGS_VERSION,
  theme: 'classic',
  hint: true,
  linked: { exchange: 'binance', symbol: 'BTCUSDT', timeframe: '1m', step: 'auto' },
  bigFlow: { minNotional: 0, side: 'all', rule: 'all', linkedOnly: false },
  imbalance: { sort: 'volume', descending: true, mode: 'table', window: '1m' },
  footprint: { style: 'bid-ask', imbalance: true, valueArea: true, auctions: true, session: true },
  liquidations: { minNotional: 0, linkedOnly: false },
  heatmap: { ramp: 'auto', bubbles: true, locks: {} },
  ladder: { steps: {} },
  depth: { range: 25 },
  surface: { span: 180 },
  basis: { sort: 'basis', descending: true },
  funding: { sort: 'rate', descending: true },
  interest: { sort: 'usd', descending: true },
  whales: { minNotional: 0, linkedOnly: false },
  clusters: { window: '24h' },
  cvd: { span: '15m', unit: 'usd', hidden: [] },
  features: { strips: 'mid_price,spread,stoikov_microprice,imbalance_10,imbalance_10bps,ofi_ckS,ofi,trade_flow,cumulative_10bps,slope,effective_spread_bps' },
  detections: { hidden: '', onFootprint: true, cards: false },
  impact: { side: 'buy', size: '1', unit: 'base', feeBps: 0 },
  research: {
    x: 'binance:BTCUSDT',
    y: 'binance:ETHUSDT',
    tf: '1m',
    bars: 1440,
    window: 20,
    returns: 60,
    method: 'ols',
    center: 'mean',
    log: true,
    prices: 'trades',
  },
  alerts: { shown: 'rules', sound: true },
  scanner: { symbols: 600, uploads: false, sort: 'p_corrected', descending: false },
};

export const settings = new Store<Settings>(DEFAULTS);

/** Merge what is stored over the defaults; keys we do not know survive, keys of the wrong type do not. */
export function readSettings(text: string | null): Settings {
  if (text === null) return DEFAULTS;
  const stored: unknown = JSON.parse(text);
  if (!isRecord(stored) || stored['version'] !== SETTINGS_VERSION) return DEFAULTS;
  return merge(DEFAULTS as unknown as Record<string, unknown>, stored) as unknown as Settings;
}

function merge(defaults: Record<string, unknown>, stored: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = { ...stored };
  for (const [name, value] of Object.entries(defaults)) {
    const given = stored[name];
    if (isRecord(value)) result[name] = merge(value, isRecord(given) ? given : {});
    else if (typeof given !== typeof value) result[name] = value;
  }
  return result;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function loadSettings(): void {
  const text = localStorage.getItem(KEY);
  try {
    settings.set(readSettings(text));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    localStorage.setItem(`${KEY}.bak`, text ?? '');
    settings.set(DEFAULTS);
  }
  settings.onChange((value) => localStorage.setItem(KEY, JSON.stringify(value)));
}
