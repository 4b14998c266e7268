/** The pair that the research panels are about: asked for once, shown by all of them. */

import { getJson, Refusal } from '../core/access';
import { clockMinutes, day } from '../core/format';
import { TIMEFRAME_MS } from '../core/link';
import { type Settings, settings } from '../core/settings';
import { Store } from '../core/store';

export type Figures = readonly (number | null)[];
/** A part that cannot be had, and why. */
export interface Unknown {
  unknown: string;
}
export const known = <T extends object>(part: T | Unknown): part is T => !('unknown' in part);

export interface Sample {
  n: number;
  tf_ms: number;
  first_ms: number;
  last_ms: number;
  missing: number;
  gaps: number;
  basis: string;
}

export interface Moments {
  n: number;
  mean: number | null;
  median: number | null;
  std: number | null;
  min: number | null;
  max: number | null;
  skew: number | null;
  kurtosis: number | null;
}

export interface Statistics {
  sample: Sample;
  close: Moments;
  log_return: Moments;
  volatility_annual: number | null;
  trades: number | null;
  volume: number | null;
}

export interface Fit {
  method: 'ols' | 'huber' | 'tls';
  y: string;
  x: string;
  sample: Sample;
  alpha: number;
  beta: number;
  alpha_se: number | null;
  beta_se: number | null;
  r2: number | null;
  residual_std: number;
  note: string;
}

export interface UnitRoot {
  test: string;
  of: string;
  n: number;
  lags: number;
  lag_rule: string;
  statistic: number;
  p: number;
  critical: Record<'1%' | '5%' | '10%', number>;
  rejects_at_5pct: boolean;
}

export interface Johansen {
  n: number;
  lag_differences: number;
  trace: number[];
  trace_critical: number[][];
  rank_at_5pct: number;
}

export interface HalfLife {
  bars: number | null;
  low: number | null;
  high: number | null;
  n: number;
  reason: string;
}

export interface Spread {
  sample: Sample;
  fit: Fit;
  calibrated: number;
  values: number[];
  unhedged: number[];
  z: { of: string; window: number; center: 'mean' | 'median'; values: Figures; newest: number | null; reason: string };
  half_life: HalfLife;
  beta_drift_pct: number | null;
}

export interface Correlation {
  n: number;
  r: number | null;
  low_all: number | null;
  high_all: number | null;
  window: number;
  open_ms: number[];
  rolling: Figures;
  low: Figures;
  high: Figures;
}

interface Adf {
  level: UnitRoot;
  change: UnitRoot;
}

export interface PairAnswer {
  x: string;
  y: string;
  sample: Sample;
  left_out: number;
  open_ms: number[];
  x_close: number[];
  y_close: number[];
  lines: Fit[] | Unknown;
  kalman: { delta: number; beta: Figures; alpha: Figures } | Unknown;
  spread: Spread | Unknown;
  cointegration: { y_on_x: UnitRoot; x_on_y: UnitRoot; johansen: Johansen } | Unknown;
  correlation: Correlation | Unknown;
  x_statistics: Statistics | Unknown;
  y_statistics: Statistics | Unknown;
  x_adf: Adf | Unknown;
  y_adf: Adf | Unknown;
  doubts: string[];
}

export interface TickCorrelation {
  x_of: string;
  y_of: string;
  first_ms: number;
  last_ms: number;
  without_grid: { r: number | null; overlaps: number; n_x: number; n_y: number; reason: string };
  on_grids: { grid_ms: number; n: number; r: number | null; low: number | null; high: number | null; reason: string }[];
}

export interface Upload {
  series: string;
  exchange: string;
  symbol: string;
  tf_ms: number;
  bars: number;
  first_ms: number;
  last_ms: number;
}

export type Wish = Settings['research'];

/** What is known of the pair at the moment. */
export interface Study {
  wish: Wish;
  /** Undefined while it is asked for the first time, or where it cannot be had. */
  pair: PairAnswer | undefined;
  ticks: TickCorrelation | Unknown | undefined;
  /** Why there is no pair; '' while there is one or it is on its way. */
  why: string;
  /** Bars there are of how many it takes, while they are still to come; undefined: nothing is waited for. */
  short: { have: number; need: number } | undefined;
  /** When the answer was given, ms, and how long the page waited for it. */
  at: number;
  tookMs: number;
  asking: boolean;
}

const FASTEST_MS = 5_000;
const SLOWEST_MS = 60_000;

/** Where the pointer is on any of the charts, ms; the others mark the same moment. */
export const cursor = new Store<number | undefined>(undefined);

export const study = new Store<Study>({ wish: settings.get().research, pair: undefined, ticks: undefined, why: '', short: undefined, at: 0, tookMs: 0, asking: false });

let users = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let turn = 0;
let leave: (() => void) | undefined;

/** Keep the study up to date for as long as somebody looks; call what is returned to stop. */
export function follow(): () => void {
  if (users++ === 0) {
    leave = settings.onChange(({ research }) => research !== study.get().wish && void ask(research));
    void ask(settings.get().research);
  }
  return () => {
    if (--users > 0) return;
    leave?.();
    clearTimeout(timer);
    turn += 1;
  };
}

export const isUpload = (series: string): boolean => series.startsWith('upload:');

/** Ask for the pair; bars of live series follow as they are completed. */
async function ask(wish: Wish): Promise<void> {
  const mine = ++turn;
  clearTimeout(timer);
  const before = study.get();
  const same = before.wish === wish && before.pair !== undefined;
  study.set({ ...before, wish, asking: true, ...(same ? {} : { pair: undefined, ticks: undefined, why: '', short: undefined }) });
  const began = performance.now();
  try {
    const { result, server_ts } = await getJson<{ result: PairAnswer; server_ts: number }>('/api/analytics/pair', parameters(wish));
    if (mine !== turn) return;
    study.update({ pair: result, why: '', short: undefined, at: server_ts, tookMs: performance.now() - began, asking: false });
    const ticks = await tickCorrelation(wish);
    if (mine === turn) study.update({ ticks });
  } catch (error) {
    if (mine === turn) study.update({ why: sentence(error), short: shortage(error, wish), asking: false, ...(same ? {} : { pair: undefined }) });
  }
  if (mine !== turn || (isUpload(wish.x) && isUpload(wish.y))) return;
  const pause = study.get().pair ? Math.min(SLOWEST_MS, Math.max(FASTEST_MS, TIMEFRAME_MS[wish.tf])) : FASTEST_MS;
  timer = setTimeout(() => void ask(wish), pause);
}

/** Of a live pair, how many bars are still to come. */
function shortage(error: unknown, wish: Wish): Study['short'] {
  if (!(error instanceof Refusal) || error.have === undefined || error.need === undefined) return undefined;
  return isUpload(wish.x) || isUpload(wish.y) ? undefined : { have: error.have, need: error.need };
}

async function tickCorrelation({ x, y, tf, bars }: Wish): Promise<TickCorrelation | Unknown> {
  try {
    return (await getJson<{ result: TickCorrelation }>('/api/analytics/ticks', { x, y, tf, bars: String(bars) })).result;
  } catch (error) {
    return { unknown: sentence(error) };
  }
}

export const sentence = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function parameters(wish: Wish): Record<string, string> {
  return Object.fromEntries(Object.entries(wish).map(([name, value]) => [name, String(value)]));
}

/** `ETHUSDT` as `binance:ETHUSDT`; other names as they are. */
export const fullName = (text: string, exchange: string): string => (text.includes(':') ? text : `${exchange}:${text.toUpperCase()}`);

/** A series without its venue, for the legends of charts. */
export const shortName = (series: string): string => series.split(':').at(-1)!;

/** The two of a pair as legends call them: by symbol, with the venue where the symbols are the same. */
export function namesOf(pair: { x: string; y: string }): { x: string; y: string } {
  const [x, y] = [shortName(pair.x), shortName(pair.y)];
  return x === y ? { x: pair.x.replace(/^upload:/, ''), y: pair.y.replace(/^upload:/, '') } : { x, y };
}

/** What every figure says of where it comes from. */
export function sampleText(sample: Sample, tf: string, leftOut?: number): string {
  const when = (ms: number): string => `${day(ms).slice(5)} ${clockMinutes(ms)}`;
  const parts = [
    `n ${sample.n.toLocaleString('en')}`,
    `${tf} closes of ${sample.basis === 'upload' ? 'uploads' : sample.basis}`,
    `${when(sample.first_ms)} – ${when(sample.last_ms + sample.tf_ms)} UTC`,
    `missing ${sample.missing}`,
    `gaps ${sample.gaps}`,
  ];
  if (leftOut) parts.push(`unpaired ${leftOut}`);
  return parts.join(' · ');
}
