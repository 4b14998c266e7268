import { describe, expect, test } from 'vitest';
import { type Evidence, judge } from '../../src/core/freshness';
import type { VenueStatus } from '../../src/data/status';

const venue = (part: Partial<VenueStatus> = {}): VenueStatus => ({
  state: 'live', detail: '', connected: true, lag_ms_p50: 3, lag_ms_p99: 9, stages: {}, msg_per_s: 100, gaps: 0, gaps_filled: 0, dropped: 0,
  depth_gaps: 0, reconnects: 0, books_live: 1, books_resync: 0, silent: [], clock_ms: 0, mode: 'live', missing: 0, given_up: 0, unknown_gaps: 0,
  history: { percent: null, reading: false, symbols: 0, complete: 0, trades: 0, klines: { symbols: 0, loaded: 0 } }, ...part,
});

const at = (part: Partial<Evidence>) =>
  judge({
    now: 100_000, link: { phase: 'open', retryAt: 0, attempt: 0 }, statusAt: 99_500, venue: venue(),
    dataAt: 99_600, refused: undefined, continuous: true, ...part,
  });

describe('a panel says', () => {
  test('LIVE with the age of what it shows', () => expect(at({})).toEqual({ state: 'live', text: 'LIVE 0.4 s' }));

  test('DISCONNECTED before anything else, with the time to the next attempt', () => {
    expect(at({ link: { phase: 'down', retryAt: 103_200, attempt: 2 }, refused: 'no' })).toEqual({ state: 'disconnected', text: 'DISCONNECTED retry in 4 s' });
    expect(at({ link: { phase: 'connecting', retryAt: 0, attempt: 1 } }).state).toBe('disconnected');
  });

  test('WAITING with the reason', () => {
    expect(at({ dataAt: undefined })).toEqual({ state: 'waiting', text: 'WAITING for the first snapshot' });
    expect(at({ dataAt: undefined, refused: "unknown symbol 'X'" }).text).toBe("WAITING unknown symbol 'X'");
    expect(at({ dataAt: undefined, venue: venue({ connected: false }) }).text).toBe('WAITING not connected');
  });

  test('STARTING while some sockets of the venue are still being opened', () => {
    expect(at({ venue: venue({ state: 'connecting' }) })).toEqual({ state: 'delayed', text: 'STARTING 0.4 s' });
    expect(at({ venue: venue({ state: 'connecting' }), dataAt: 88_000 }).state).toBe('stale');
  });

  test('STALE when the venue is lost, the server silent, or a busy topic has stopped', () => {
    expect(at({ dataAt: 88_000, venue: venue({ connected: false, state: 'down' }) })).toEqual({ state: 'stale', text: 'STALE 12 s · not connected' });
    expect(at({ statusAt: 80_000 })).toEqual({ state: 'stale', text: 'STALE 20 s' });
    expect(at({ dataAt: 88_000 })).toEqual({ state: 'stale', text: 'STALE 12 s' });
  });

  test('in the words of what is wrong with the venue', () => {
    const detail = 'api.example refuses the connection';
    expect(at({ dataAt: 88_000, venue: venue({ connected: false, state: 'down', detail }) }).text).toBe(`STALE 12 s · ${detail}`);
    expect(at({ book: 'stale', venue: venue({ detail }) }).text).toBe(`RESYNC updates were lost · ${detail}`);
    expect(at({ book: 'stale', venue: venue({ connected: false, detail }) }).state).toBe('stale');
    expect(at({ venue: venue({ detail }) })).toEqual({ state: 'live', text: 'LIVE 0.4 s' });
  });

  test('PARTIAL where only some of its venues deliver', () => {
    expect(at({ missing: 'okx: not connected' })).toEqual({ state: 'partial', text: 'PARTIAL okx: not connected' });
  });

  test('QUIET, not stale, when one symbol or a rare event does not come', () => {
    expect(at({ dataAt: 88_000, continuous: false })).toEqual({ state: 'quiet', text: 'QUIET 12 s' });
  });

  test('REPLAY for recorded data, also after its end', () => {
    expect(at({ dataAt: 60_000, venue: venue({ mode: 'replay', state: 'replay', connected: false }) })).toEqual({ state: 'replay', text: 'REPLAY 40 s' });
  });

  test('DELAYED with the lag', () => {
    expect(at({ venue: venue({ state: 'delayed', lag_ms_p50: 1400 }) })).toEqual({ state: 'delayed', text: 'DELAYED +1.4 s' });
  });
});
