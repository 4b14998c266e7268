/** The program's figures as lines of text: a label and a value; a line without a value is a heading. */

import { MISSING, quantity, span } from '../../core/format';
import type { Monitor } from './monitor';

/** What is read of `GET /health`. */
export interface Health {
  status: string;
  uptime_s: number;
  venues: Record<string, VenueHealth>;
  storage: { state: string; detail: string; journals?: Record<string, JournalHealth> };
  load: { name: string; busy: number; late_ms: number };
  hub: { clients: number; topics: number; delivered: number; skipped: number; faults: number; late_ms_max: number };
}

interface VenueHealth {
  state: string;
  detail: string;
  last_message_age_ms: number | null;
  reconnects: number;
  silent: string[];
  depth_gaps: number;
  resyncs: number;
  books_in_sync: number;
  books_resyncing: number;
  dropped: number;
  missing: number;
  latency_p50_ms: number | null;
  latency_p99_ms: number | null;
  latency: Record<string, { p50_ms: number | null; p99_ms: number | null }>;
}

interface JournalHealth {
  queue_bytes: number;
  queue_high_bytes: number;
  dropped_reads: number;
  sync_age_ms: number;
}

export interface Line {
  label: string;
  value: string;
  warn?: boolean;
}

const ms = (value: number | null | undefined): string =>
  value === null || value === undefined ? MISSING : value < 0.1 ? value.toFixed(3) : value < 10 ? value.toFixed(2) : value.toFixed(1);
const bytes = (value: number): string => `${(value / 2 ** 20).toFixed(value < 2 ** 20 * 10 ? 1 : 0)} MB`;

export function linesOf(health: Health | undefined, monitor: Monitor, exchange: string, failed: string): Line[] {
  if (!health) return [{ label: failed || 'waiting for the figures', value: '' }];
  const venue = health.venues[exchange];
  return [...(failed ? [{ label: failed, value: '' }] : []), ...watchdog(venue, exchange), ...latency(venue), ...memory(monitor), ...queues(health)];
}

function watchdog(venue: VenueHealth | undefined, exchange: string): Line[] {
  if (!venue) return [{ label: `watchdog · ${exchange} is not running`, value: '' }];
  const silent = venue.silent.length;
  return [
    { label: `watchdog · ${exchange}`, value: '' },
    { label: 'state', value: [venue.state, venue.detail].filter(Boolean).join(': '), warn: venue.state !== 'live' },
    { label: 'heartbeat', value: venue.last_message_age_ms === null ? MISSING : `${span(venue.last_message_age_ms)} since the newest message` },
    { label: 'silent streams', value: silent ? venue.silent.slice(0, 4).join(', ') : 'none', warn: silent > 0 },
    { label: 'books', value: `${venue.books_in_sync} in sync · ${venue.books_resyncing} resyncing · ${venue.depth_gaps} breaks`, warn: venue.books_resyncing > 0 },
    { label: 'reconnects', value: `${venue.reconnects} · trades missing ${venue.missing}`, warn: venue.missing > 0 },
    { label: 'frames refused', value: String(venue.dropped), warn: venue.dropped > 0 },
  ];
}

function latency(venue: VenueHealth | undefined): Line[] {
  if (!venue) return [];
  const stages = Object.entries(venue.latency).map(([stage, { p50_ms: half, p99_ms: most }]) => ({ label: stage, value: `${ms(half)} / ${ms(most)} ms` }));
  return [
    { label: 'latency · median / 99 %', value: '' },
    ...stages,
    { label: 'exchange to applied', value: `${ms(venue.latency_p50_ms)} / ${ms(venue.latency_p99_ms)} ms` },
  ];
}

function memory(monitor: Monitor): Line[] {
  const found = monitor.memory;
  if (!found) return [];
  const { growth } = monitor;
  const slope = growth ? ` · ${growth.bytesPerMinute >= 0 ? '+' : '−'}${bytes(Math.abs(growth.bytesPerMinute))}/min over ${growth.minutes.toFixed(0)} min` : '';
  return [
    { label: 'memory · and rates of all symbols', value: '' },
    { label: 'resident', value: found.resident === null ? `${MISSING} the system does not tell` : bytes(found.resident) + slope },
    { label: 'books, cells', value: `${bytes(found.books)} · ${bytes(found.footprint_cells)}` },
    { label: 'studies', value: `${bytes(found.studies)} · ${monitor.studied.join(' ')}` },
    { label: 'diffs, trades, quotes', value: (['diffs', 'trades', 'quotes'] as const).map((name) => quantity(monitor.total(name), 0)).join(' · ') + ' /s' },
  ];
}

function queues({ hub, load, storage, uptime_s: up }: Health): Line[] {
  const journals = Object.entries(storage.journals ?? {}).map(([venue, one]) => ({
    label: `journal ${venue}`,
    value: `${bytes(one.queue_bytes)} queued, most ${bytes(one.queue_high_bytes)} · ${one.dropped_reads} dropped`,
    warn: one.dropped_reads > 0,
  }));
  return [
    { label: 'queues and drops', value: '' },
    { label: 'views', value: `${hub.topics} topics · ${hub.clients} clients · ${quantity(hub.skipped)} replaced · ${hub.faults} faults`, warn: hub.faults > 0 },
    { label: 'event loop', value: `${(load.busy * 100).toFixed(0)} % busy · late ${ms(load.late_ms)} ms · ${load.name}` },
    ...(journals.length ? journals : [{ label: 'recording', value: storage.detail || storage.state }]),
    { label: 'running for', value: span(up * 1000) },
  ];
}
