/** Alert rules and what fired, as the server tells them: kept by name, a delta brings the rows that differ, whole. */

import { getJson, sendJson } from '../core/access';
import { clockSeconds, MISSING, percent } from '../core/format';
import { settings } from '../core/settings';
import { Store } from '../core/store';
import type { Frame } from '../core/wire';

export interface RuleBody {
  name: string;
  exchange: string;
  symbols: string[];
  metric: string;
  window: string;
  compare: string;
  threshold: number;
  clear: number | null;
  for_s: number;
  cooldown_s: number;
  quiet: { start: string; end: string; zone: string } | null;
  severity: 'info' | 'warning' | 'critical';
  sinks: string[];
  tell_end: boolean;
  per_minute: number;
  against: string;
  bars: number;
  beta: number;
  note: string;
  enabled: boolean;
}

export interface RuleRow extends RuleBody {
  id: number;
  revision: number;
  condition: string;
  unit: string;
  decimals: number;
  state: 'off' | 'watching' | 'firing';
  waiting: string;
  value: number | null;
  firing: number;
  pending: number;
  last_fired_ts: number | null;
  counts: { fired: number; sent: number; summarised: number; quiet: number; cooling: number };
}

export interface EpisodeRow {
  key: string;
  rule_id: number;
  rule: string;
  severity: RuleBody['severity'];
  exchange: string;
  symbol: string | null;
  start_ts: number;
  fired_ts: number;
  value: number | null;
  price: number | null;
  told: string;
  ended_ts: number | null;
  ended_by: 'cleared' | 'edited' | 'deleted' | 'not_trading' | 'restarted' | null;
  acked_ts: number | null;
  after_1m_pct: number | null;
  after_5m_pct: number | null;
  after_15m_pct: number | null;
}

export interface SinkRow {
  name: string;
  kind: string;
  target: string;
  waiting: number;
  delivered: number;
  failed: number;
  dead: number;
  last_ok_ts: number | null;
  last_error: string;
}

export interface MetricRow {
  name: string;
  label: string;
  unit: string;
  words: string;
  source: string;
  null_means: string;
  windows: string[];
  scope: 'instrument' | 'named' | 'pair' | 'venue';
  decimals: number;
  values: Record<string, number | null>;
}

interface Moved {
  n: number;
  mean_pct: number | null;
  median_pct: number | null;
}

/** What a rule would have done over stored minutes. */
export interface DryRunTold {
  unit: string;
  decimals: number;
  from_ts: number;
  to_ts: number;
  instruments: number;
  not_stored: string[];
  looks: number;
  looks_known: number;
  count: number;
  per_day: number | null;
  open: number;
  cooling: number;
  quiet: number;
  symbols: { symbol: string; count: number }[];
  symbols_fired: number;
  episodes: (Pick<EpisodeRow, 'fired_ts' | 'value' | 'after_1m_pct' | 'after_5m_pct' | 'after_15m_pct'> & { symbol: string })[];
  followed: (Moved & { minutes: number; baseline: Moved })[];
}

export interface AlertsState {
  rules: RuleRow[];
  /** Newest first. */
  episodes: EpisodeRow[];
  sinks: SinkRow[];
  /** Why the sinks that were set up are not used; empty: they are. */
  sinks_refused: string;
  unacknowledged: number;
  storage: { stored: boolean; detail: string; unkept: number };
  /** A sentence where there are none (a replay). */
  refused: string;
}

export const alerts = new Store<AlertsState>({
  rules: [],
  episodes: [],
  sinks: [],
  sinks_refused: '',
  unacknowledged: 0,
  storage: { stored: true, detail: '', unkept: 0 },
  refused: '',
});

/** The alert that the status bar shows; undefined: none. */
export const toast = new Store<EpisodeRow | undefined>(undefined);
/** Why the browser shows no notifications of the system although a rule wants them; empty: it does. */
export const desktopTrouble = new Store('');
/** Whether a browser that wants a click first would keep an alert's sound back. */
export const soundLocked = new Store(false);

const TOAST_MS = 15_000;
const TONES = { info: [660], warning: [660, 880], critical: [880, 660, 880] } as const;
const TONE_S = 0.14;

const rules = new Map<number, RuleRow>();
const episodes = new Map<string, EpisodeRow>();
let begun = false;
let hide: ReturnType<typeof setTimeout> | undefined;
let audio: AudioContext | undefined;

export function onAlertsFrame({ type, meta }: Frame): void {
  const told = meta as unknown as Omit<AlertsState, 'refused'> & { limit: number };
  const first = type === 'snapshot';
  const known = new Set(episodes.keys());
  if (first) {
    rules.clear();
    episodes.clear();
  }
  for (const row of told.rules) rules.set(row.id, row);
  for (const row of told.episodes) episodes.set(row.key, row);
  const newest = [...episodes.values()].sort((a, b) => b.fired_ts - a.fired_ts || (a.key < b.key ? -1 : 1));
  for (const row of newest.splice(told.limit)) episodes.delete(row.key);
  alerts.set({
    rules: [...rules.values()].sort((a, b) => a.id - b.id),
    episodes: newest,
    sinks: told.sinks,
    sinks_refused: told.sinks_refused,
    unacknowledged: told.unacknowledged,
    storage: told.storage,
    refused: '',
  });
  lockSound();
  // What the first snapshot brings is the past; what a later one brings and we did not have is news all the same.
  if (begun) announce(newest.filter((row) => !known.has(row.key) && row.acked_ts === null && row.told !== 'quiet'));
  begun = true;
  const shown = toast.get();
  if (shown && episodes.get(shown.key)?.acked_ts) toast.set(undefined);
}

/** Show, play and notify what is new, as its rule wants. */
function announce(fresh: EpisodeRow[]): void {
  const wanting = (sink: string): EpisodeRow | undefined => fresh.find((row) => rules.get(row.rule_id)?.sinks.includes(sink));
  const shown = wanting('page');
  if (shown) {
    toast.set(shown);
    clearTimeout(hide);
    hide = setTimeout(() => toast.set(undefined), TOAST_MS);
  }
  const heard = wanting('sound');
  if (heard && settings.get().alerts.sound) play(heard.severity);
  const notified = wanting('desktop');
  if (notified) notify(notified);
}

/** Note that a rule wants to be heard and nobody has clicked yet; the first click or key lets it. */
function lockSound(): void {
  const wanted = [...rules.values()].some((rule) => rule.enabled && rule.sinks.includes('sound'));
  if (!wanted || navigator.userActivation?.hasBeenActive !== false) return;
  if (!soundLocked.get()) for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, () => soundLocked.set(false), { once: true });
  soundLocked.set(true);
}

export function play(severity: RuleBody['severity']): void {
  if (soundLocked.get()) return; // played at the first click, it would tell of something long over
  audio ??= new AudioContext();
  void audio.resume();
  TONES[severity].forEach((hertz, k) => {
    const from = audio!.currentTime + k * TONE_S;
    const tone = audio!.createOscillator();
    const loud = audio!.createGain();
    tone.frequency.value = hertz;
    loud.gain.setValueAtTime(0.08, from);
    loud.gain.exponentialRampToValueAtTime(0.001, from + TONE_S);
    tone.connect(loud).connect(audio!.destination);
    tone.start(from);
    tone.stop(from + TONE_S);
  });
}

/** Ask the browser for its leave; to be called from a click. */
export async function allowDesktop(): Promise<void> {
  if (!('Notification' in globalThis)) desktopTrouble.set('this browser has no notifications');
  else desktopTrouble.set(refusal(await Notification.requestPermission()));
}

function refusal(permission: NotificationPermission): string {
  return permission === 'granted' ? '' : permission === 'denied' ? 'the browser refuses notifications; allow them for this page' : 'notifications are not allowed yet';
}

function notify(row: EpisodeRow): void {
  if (!('Notification' in globalThis) || Notification.permission !== 'granted') {
    desktopTrouble.set('Notification' in globalThis ? refusal(Notification.permission) : 'this browser has no notifications');
    return;
  }
  // The tag is the alert's own name: two pages show one notification.
  new Notification(row.rule, { body: sentence(row), tag: row.key });
}

/** `BTCUSDT binance 1.21 %`. */
export function sentence(row: EpisodeRow): string {
  return `${row.symbol ?? row.exchange} ${figure(row.value, rules.get(row.rule_id))}`;
}

/** A value with the digits of its figure, and its unit. */
export function figure(value: number | null, of: { unit: string; decimals: number } | undefined): string {
  if (value === null) return MISSING;
  const text = !of || of.decimals < 0 ? String(value) : value.toLocaleString('en-US', { minimumFractionDigits: of.decimals, maximumFractionDigits: of.decimals });
  return !of || ['quote', '[-1, 1]', '1 = yes', 'confidence'].includes(of.unit) ? text : `${text} ${of.unit}`;
}

export const ruleOf = (row: EpisodeRow): RuleRow | undefined => rules.get(row.rule_id);
export const after = (value: number | null): string => (value === null ? MISSING : percent(value, 2));
export const at = (ms: number | null): string => (ms === null ? MISSING : clockSeconds(ms));

export const acknowledge = (key: string): Promise<unknown> => sendJson('POST', '/api/alerts/ack', undefined, { key });
export const metricsOf = async (exchange: string, symbol: string): Promise<MetricRow[]> =>
  (await getJson<{ metrics: MetricRow[] }>('/api/alerts/metrics', { exchange, symbol })).metrics;
export const saveRule = (body: RuleBody, id?: number): Promise<{ rule: RuleRow }> =>
  id === undefined ? sendJson('POST', '/api/alerts/rules', body) : sendJson('PUT', `/api/alerts/rules/${id}`, body);
/** Try a rule on stored minutes: from a day before the end, and to the newest, where nothing is said. */
export const dryRun = (body: RuleBody, from = 0, to = 0): Promise<DryRunTold> =>
  sendJson('POST', '/api/alerts/dry-run', body, { from: String(from), to: String(to) });
export const deleteRule = (id: number): Promise<unknown> => sendJson('DELETE', `/api/alerts/rules/${id}`);
export const saveSink = (name: string, body: Record<string, unknown>): Promise<unknown> => sendJson('PUT', `/api/alerts/sinks/${name}`, body);
export const deleteSink = (name: string): Promise<unknown> => sendJson('DELETE', `/api/alerts/sinks/${name}`);
export const testSink = (name: string): Promise<{ ok: boolean; detail: string }> => sendJson('POST', `/api/alerts/sinks/${name}/test`);
export const retrySink = (name: string): Promise<{ again: number }> => sendJson('POST', `/api/alerts/sinks/${name}/retry`);

/** The part of a rule that is written; the rest is where it stands. */
export function bodyOf(row: RuleRow): RuleBody {
  const { name, exchange, symbols, metric, window, compare, threshold, clear, for_s, cooldown_s, quiet, severity, sinks, tell_end, per_minute, against, bars, beta, note, enabled } = row;
  return { name, exchange, symbols, metric, window, compare, threshold, clear, for_s, cooldown_s, quiet, severity, sinks, tell_end, per_minute, against, bars, beta, note, enabled };
}
