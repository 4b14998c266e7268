import { afterEach, expect, test } from 'vitest';
import { judge } from '../../src/core/freshness';
import { onReplay, replay, replayedMs, replayWord, rewound, type Replay } from '../../src/data/replay';

const told: Replay = {
  state: 'playing', speed: 10, ts: 50_000, first_ts: 10_000, last_ts: 60_000, events: 7, epoch: 2, progress: null, inputs: ['tape.gz'],
};

afterEach(() => onReplay(undefined));

test('the replayed time runs at the pace between two words of the server, and never beyond the end', () => {
  onReplay(told, 1_000);
  expect(replayedMs(told, 1_200)).toBe(52_000);
  expect(replayedMs(told, 9_000)).toBe(60_000);
  for (const still of [{ ...told, state: 'paused' as const }, { ...told, speed: 'max' as const }]) {
    onReplay(still, 1_000);
    expect(replayedMs(still, 1_200)).toBe(50_000);
  }
});

test('a rewind is told once, whoever asked for it', () => {
  onReplay(told, 0);
  const seen: number[] = [];
  const stop = rewound.onChange((epoch) => seen.push(epoch));
  onReplay({ ...told, ts: 20_000 }, 200);
  onReplay({ ...told, ts: 10_000, epoch: 3 }, 400);
  onReplay({ ...told, ts: 10_500, epoch: 3 }, 600);
  stop();
  expect(seen).toEqual([3]);
  expect(replay.get()?.ts).toBe(10_500);
});

test.each([
  [told, '10×'],
  [{ ...told, speed: 0.5 }, '0.5×'],
  [{ ...told, speed: 'max' as const }, 'max'],
  [{ ...told, state: 'paused' as const }, 'paused'],
  [{ ...told, state: 'ended' as const }, 'at the end'],
  [{ ...told, state: 'seeking' as const, progress: 0.456 }, 'seeking 46 %'],
  [{ ...told, state: 'seeking' as const }, 'seeking'],
])('a replay says what it does: %#', (one, word) => expect(replayWord(one)).toBe(word));

test('a paused panel is neither stale nor quiet, however old its numbers are', () => {
  const venue = { mode: 'replay', connected: true, state: 'replay' } as never;
  const link = { phase: 'open', retryAt: 0, attempt: 0 } as const;
  const paused = { ...told, state: 'paused' as const };
  expect(judge({ now: 1e6, link, statusAt: 1e6, venue, replay: paused, dataAt: 0, refused: undefined, continuous: true })).toEqual({ state: 'replay', text: 'REPLAY paused' });
});
