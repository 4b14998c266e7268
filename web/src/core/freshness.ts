/** Whether what a panel shows is the present. Old numbers are never painted in live colours. */

import { type Replay, replayWord } from '../data/replay';
import { lost, type VenueStatus } from '../data/status';
import type { Link } from './feed';
import { span } from './format';

export type State = 'live' | 'partial' | 'replay' | 'resync' | 'quiet' | 'delayed' | 'stale' | 'waiting' | 'disconnected';

export interface Health {
  state: State;
  /** The word and its number or reason, as the panel's chip prints them. */
  text: string;
}

export interface Evidence {
  now: number;
  link: Link;
  /** performance.now() of the newest status frame. */
  statusAt: number;
  venue: VenueStatus | undefined;
  /** Of a panel about several venues: which of them deliver nothing, and why; empty while all do, or none does. */
  missing?: string;
  /** The player, where there is one. */
  replay?: Replay | undefined;
  /** performance.now() of the newest frame of the panel's own topic; undefined before the first. */
  dataAt: number | undefined;
  /** Why the server refused the subscription. */
  refused: string | undefined;
  /** State of the book behind the panel, where it shows one. */
  book?: string | undefined;
  /** Whether silence on the topic means that something is wrong (many symbols) or only that nobody trades (one). */
  continuous: boolean;
}

/** The server reports its state every second. */
const STATUS_LATE_MS = 3_500;
const TOPIC_LATE_MS = 5_000;
/** Why a book is not live. */
const BOOK_WORDS: Record<string, string> = { waiting: 'waiting for a snapshot', stale: 'updates were lost', off: 'book not followed' };

export function judge(evidence: Evidence): Health {
  const { link, now, dataAt, venue, refused } = evidence;
  if (link.phase === 'down') return { state: 'disconnected', text: `DISCONNECTED retry in ${retrySeconds(link, now)} s` };
  if (link.phase === 'connecting') return { state: 'disconnected', text: 'DISCONNECTED connecting' };
  if (refused !== undefined) return { state: 'waiting', text: `WAITING ${refused}` };
  if (dataAt === undefined) return { state: 'waiting', text: `WAITING ${lost(venue) ?? 'for the first snapshot'}` };
  const age = now - dataAt;
  if (now - evidence.statusAt > STATUS_LATE_MS) return { state: 'stale', text: `STALE ${span(Math.max(age, now - evidence.statusAt))}` };
  const gone = lost(venue);
  if (gone !== undefined) return { state: 'stale', text: `STALE ${span(age)} · ${gone}` };
  if (evidence.book !== undefined && evidence.book !== 'live') {
    const why = venue?.detail && venue.mode !== 'replay' ? ` · ${venue.detail}` : '';
    return { state: 'resync', text: `RESYNC ${BOOK_WORDS[evidence.book] ?? evidence.book}${why}` };
  }
  // A recording is as old as it is and ends when it ends: it cannot go stale, and is never called live.
  if (venue?.mode === 'replay') return { state: 'replay', text: `REPLAY ${evidence.replay ? replayWord(evidence.replay) : span(age)}` };
  // Some of the venue's sockets deliver, others are still being opened: what is shown is fresh but not yet everything.
  if (venue?.state === 'connecting' && age <= TOPIC_LATE_MS) return { state: 'delayed', text: `STARTING ${span(age)}` };
  if (age > TOPIC_LATE_MS) return evidence.continuous ? { state: 'stale', text: `STALE ${span(age)}` } : { state: 'quiet', text: `QUIET ${span(age)}` };
  if (evidence.missing) return { state: 'partial', text: `PARTIAL ${evidence.missing}` };
  if (venue?.state === 'delayed') return { state: 'delayed', text: `DELAYED +${span(venue.lag_ms_p50 ?? 0)}` };
  return { state: 'live', text: `LIVE ${span(age)}` };
}

export const retrySeconds = (link: Link, now: number): number => Math.max(0, Math.ceil((link.retryAt - now) / 1000));
