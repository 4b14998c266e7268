/** The player of a replay: what the server tells of it, where it must be by now, and its buttons. */

import { postJson } from '../core/access';
import { Store } from '../core/store';

export interface Replay {
  state: 'playing' | 'paused' | 'seeking' | 'ended';
  speed: number | 'max';
  /** Replayed time: all up to it has been played. */
  ts: number;
  first_ts: number;
  last_ts: number;
  events: number;
  /** Rises when an earlier state has replaced the one shown. */
  epoch: number;
  /** Of a seek under way. */
  progress: number | null;
  inputs: string[];
}

export type Step = 'event' | 'second' | 'trade' | 'big-flow';

export const SPEEDS = [0.5, 1, 2, 5, 10, 60, 'max'] as const;

/** Undefined where nothing is played back. */
export const replay = new Store<Replay | undefined>(undefined);
/** An earlier state is shown from now on: what was fetched of the later one is the future. */
export const rewound = new Store(0);

let toldAt = 0;

export function onReplay(told: Replay | undefined, now = performance.now()): void {
  toldAt = now;
  replay.set(told);
  if (told) rewound.set(told.epoch);
}

/** The replayed time at `now` (performance.now): told five times a second, carried on by the pace in between. */
export function replayedMs(told: Replay, now: number): number {
  if (told.state !== 'playing' || told.speed === 'max') return told.ts;
  return Math.min(told.last_ts, told.ts + (now - toldAt) * told.speed);
}

type Command =
  | { action: 'play' | 'pause' }
  | { action: 'speed'; speed: number | 'max' }
  | { action: 'seek'; ts: number }
  | { action: 'seek'; by_ms: number }
  | { action: 'step'; step: Step; symbol?: string };

/** Press a button; fails with the server's own sentence. */
export async function command(what: Command): Promise<void> {
  onReplay(await postJson<Replay>('/api/replay', what));
}

export const toggle = (): Promise<void> => command({ action: isMoving(replay.get()) ? 'pause' : 'play' });

export const isMoving = (told: Replay | undefined): boolean => told?.state === 'playing';

/** Seek relative to where the server stands, which may be further than what we were told. */
export const move = (byMs: number): Promise<void> => command({ action: 'seek', by_ms: byMs });

/** What stands behind the word REPLAY. */
export function replayWord(told: Replay): string {
  if (told.state === 'seeking') return told.progress === null ? 'seeking' : `seeking ${Math.round(told.progress * 100)} %`;
  if (told.state === 'ended') return 'at the end';
  return told.state === 'paused' ? 'paused' : speedLabel(told.speed);
}

export const speedLabel = (speed: number | 'max'): string => (speed === 'max' ? 'max' : `${speed}×`);
