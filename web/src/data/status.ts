/** State of the feeds, once a second: what the status bar says and what every panel's freshness rests on. */

import { Store } from '../core/store';
import type { Frame } from '../core/wire';

export interface VenueStatus {
  state: string;
  connected: boolean;
  lag_ms_p50: number | null;
  lag_ms_p99: number | null;
  msg_per_s: number;
  gaps: number;
  gaps_filled: number;
  dropped: number;
  reconnects: number;
  books_live: number;
  books_resync: number;
  silent: string[];
  mode: 'live' | 'demo' | 'replay';
}

export interface Status {
  venues: Record<string, VenueStatus>;
  clock_offset_ms: number | null;
  version: string;
}

export const status = new Store<Status>({ venues: {}, clock_offset_ms: null, version: '' });

/** performance.now() of the newest status frame. */
export let statusAt = -Infinity;

export function onStatusFrame(frame: Frame, now: number): void {
  statusAt = now;
  status.set(frame.meta as unknown as Status);
}
