/** State of the feeds, once a second: what the status bar says and what every panel's freshness rests on. */

import { Store } from '../core/store';
import type { Frame } from '../core/wire';
import { onReplay, type Replay } from './replay';

export interface VenueStatus {
  state: string;
  /** One sentence while something is wrong. */
  detail: string;
  connected: boolean;
  lag_ms_p50: number | null;
  lag_ms_p99: number | null;
  /** Delay by stage, in the order an event passes them. */
  stages: Record<string, { p50_ms: number | null; p99_ms: number | null }>;
  msg_per_s: number;
  gaps: number;
  gaps_filled: number;
  /** Trade ids missing now, and those of them that the venue cannot give any more. */
  missing: number;
  given_up: number;
  /** Gaps of which nobody knows how many trades they hide. */
  unknown_gaps: number;
  /** Today's trades of before the start: how far they are loaded. */
  history: { percent: number | null; reading: boolean; symbols: number; complete: number; trades: number; klines: { symbols: number; loaded: number } };
  depth_gaps: number;
  dropped: number;
  reconnects: number;
  books_live: number;
  books_resync: number;
  silent: string[];
  /** Newest event time of the venue. */
  clock_ms: number;
  mode: 'live' | 'demo' | 'replay';
}

export interface Status {
  venues: Record<string, VenueStatus>;
  clock_offset_ms: number | null;
  /** Whether what comes is being recorded: `recording`, `reduced`, `stopped` or `off`; `detail` says why. */
  storage: { state: string; detail: string };
  /** How much the server's event loop carries; above tier 0 views come less often. */
  load: { tier: number; name: string; detail: string; busy: number };
  version: string;
  /** What is not served yet and why, in a first start; empty: all is. */
  preparing: string;
  replay?: Replay | null;
}

export const status = new Store<Status>({
  venues: {},
  clock_offset_ms: null,
  storage: { state: '', detail: '' },
  load: { tier: 0, name: 'full', detail: '', busy: 0 },
  version: '',
  preparing: '',
});

/** The present as a venue's data has it: `serverMs`, but a recording's own time where one is replayed. */
export function venueNow(serverMs: number, exchange: string): number {
  const venue = status.get().venues[exchange];
  return venue?.mode === 'replay' ? venue.clock_ms : serverMs;
}

/** Why nothing of a venue is the present; undefined while it delivers, or plays a recording. */
export function lost(venue: VenueStatus | undefined): string | undefined {
  if (!venue || venue.mode === 'replay') return undefined;
  if (venue.connected && venue.state !== 'down' && venue.state !== 'stale') return undefined;
  return venue.detail || (venue.connected ? 'nothing comes any more' : 'not connected');
}

/** performance.now() of the newest status frame. */
export let statusAt = -Infinity;

export function onStatusFrame(frame: Frame, now: number): void {
  statusAt = now;
  const told = frame.meta as unknown as Status;
  status.set(told);
  onReplay(told.replay ?? undefined, now);
}
