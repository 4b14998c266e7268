/** The scan of a universe for pairs: begun, followed, ended over HTTP; one at a time on the server, whoever began it. */

import { getJson, postJson, sendJson } from '../core/access';
import { Store } from '../core/store';
import { type HalfLife, sentence, type UnitRoot } from './study';

export interface Candidate {
  y: string;
  x: string;
  beta: number;
  alpha: number;
  correlation: number;
  statistic: number;
  p: number;
  p_corrected: number;
  half_life: HalfLife;
  hold_out: UnitRoot;
  beta_drift_pct: number;
  z: number | null;
  qualified: boolean;
  reasons: string[];
}

export interface Found {
  symbols: number;
  excluded: Record<string, string>;
  pairs: number;
  tf_ms: number;
  first_ms: number;
  last_ms: number;
  bars: number;
  hold_out_bars: number;
  lags: number;
  false_discovery_rate: number;
  passed: number;
  candidates: Candidate[];
}

export interface ScanState {
  id: number;
  state: 'none' | 'running' | 'done' | 'failed';
  done: number;
  of: number;
  detail: string;
  result: Found | null;
}

const POLL_MS = 300;

/** The newest scan; undefined before one was made. `why`: it could not be begun or looked at. */
export const scan = new Store<{ state: ScanState | undefined; why: string; tookMs: number }>({ state: undefined, why: '', tookMs: 0 });

let looking = false;
let beganAt = 0;

/** Look at the newest scan until it has ended. */
export async function look(): Promise<void> {
  if (looking) return;
  looking = true;
  try {
    for (;;) {
      const state = await getJson<ScanState>('/api/analytics/scan', {});
      scan.set({ state: state.state === 'none' ? undefined : state, why: '', tookMs: beganAt ? performance.now() - beganAt : 0 });
      if (state.state !== 'running') return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } catch (error) {
    scan.update({ why: sentence(error) });
  } finally {
    looking = false;
  }
}

export async function begin(wish: Record<string, string>): Promise<void> {
  const query = new URLSearchParams(wish);
  try {
    beganAt = performance.now();
    await postJson(`/api/analytics/scan?${query}`, null);
    await look();
  } catch (error) {
    scan.update({ why: sentence(error) });
  }
}

export async function end(): Promise<void> {
  try {
    await sendJson('DELETE', '/api/analytics/scan');
  } catch (error) {
    scan.update({ why: sentence(error) });
  }
}
