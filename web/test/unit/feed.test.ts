import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Feed } from '../../src/core/feed';
import type { Frame } from '../../src/core/wire';
import { frameBytes } from './frames';

/** The far end of the socket, played by the test. */
class Wire {
  static all: Wire[] = [];
  static get last(): Wire {
    return Wire.all.at(-1)!;
  }

  binaryType = '';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: Record<string, unknown>[] = [];
  closed = false;

  constructor() {
    Wire.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.closed = true;
  }

  reply(message: Record<string, unknown>): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  frame(type: 'snapshot' | 'delta', seq: number, prev: number, key = 'k'): void {
    this.onmessage?.({ data: frameBytes({ topic: 'imbalance', key, type, seq, prev }, { i: [0] }) });
  }

  asks(op: string): Record<string, unknown>[] {
    return this.sent.filter((message) => message['op'] === op);
  }
}

const open = (): Feed => {
  const feed = new Feed('ws://test', () => new Wire() as unknown as WebSocket);
  feed.start();
  Wire.last.onopen?.();
  return feed;
};

/** A subscription that is being answered, and the sequence numbers its listener saw. */
const subscribed = (feed: Feed): { seen: number[]; leave: () => void } => {
  const seen: number[] = [];
  const leave = feed.subscribe('imbalance', { exchange: 'binance' }, { onFrame: (frame: Frame) => seen.push(frame.seq) });
  answer();
  return { seen, leave };
};

const answer = (): void => Wire.last.reply({ op: 'subscribed', id: Wire.last.asks('subscribe').at(-1)!['id'], key: 'k' });

beforeEach(() => {
  vi.useFakeTimers();
  Wire.all = [];
});
afterEach(() => vi.useRealTimers());

describe('sequence', () => {
  test('a snapshot and its deltas reach the listener in order', () => {
    const { seen } = subscribed(open());
    Wire.last.frame('snapshot', 10, 9);
    Wire.last.frame('delta', 11, 10);
    Wire.last.frame('delta', 12, 11);
    expect(seen).toEqual([10, 11, 12]);
  });

  test('a delta before the snapshot is not applied', () => {
    const { seen } = subscribed(open());
    Wire.last.frame('delta', 11, 10);
    expect(seen).toEqual([]);
  });

  test('a hole makes it subscribe anew, and nothing reaches the listener until the fresh snapshot', () => {
    const feed = open();
    const { seen } = subscribed(feed);
    Wire.last.frame('snapshot', 10, 9);
    Wire.last.frame('delta', 13, 12);
    expect(Wire.last.asks('unsubscribe')).toEqual([{ op: 'unsubscribe', id: 1 }]);
    expect(Wire.last.asks('subscribe').map((message) => message['id'])).toEqual([1, 2]);
    Wire.last.frame('delta', 14, 13);
    answer();
    Wire.last.frame('snapshot', 14, 13);
    Wire.last.frame('delta', 15, 14);
    expect(seen).toEqual([10, 14, 15]);
    expect(feed.resyncs).toBe(1);
  });

  test('frames of another key are not ours', () => {
    const { seen } = subscribed(open());
    Wire.last.frame('snapshot', 10, 9, 'another');
    expect(seen).toEqual([]);
  });

  test('a snapshot that never comes is asked for again', () => {
    subscribed(open());
    vi.advanceTimersByTime(7_000);
    Wire.last.reply({ op: 'pong', t: Date.now(), server_ms: Date.now() });
    vi.advanceTimersByTime(4_000);
    expect(Wire.last.asks('subscribe')).toHaveLength(2);
  });

  test('after leaving, nothing more is heard and the server is told', () => {
    const { seen, leave } = subscribed(open());
    Wire.last.frame('snapshot', 10, 9);
    leave();
    Wire.last.frame('delta', 11, 10);
    expect(seen).toEqual([10]);
    expect(Wire.last.asks('unsubscribe')).toHaveLength(1);
  });
});

test("a refusal reaches the listener with the server's sentence and is tried again later", () => {
  const feed = open();
  const reasons: string[] = [];
  feed.subscribe('footprint', { symbol: 'NOPE' }, { onFrame: () => {}, onRefused: (reason) => reasons.push(reason) });
  Wire.last.reply({ op: 'error', id: 1, message: "unknown symbol 'NOPE' on binance" });
  expect(reasons).toEqual(["unknown symbol 'NOPE' on binance"]);
  vi.advanceTimersByTime(3_100);
  expect(Wire.last.asks('subscribe')).toHaveLength(2);
});

describe('connection', () => {
  test('a lost one is made again after a wait, and every topic is asked for again', () => {
    const feed = open();
    const { seen } = subscribed(feed);
    Wire.last.frame('snapshot', 10, 9);
    Wire.last.onclose?.();
    expect(feed.link.get().phase).toBe('down');
    vi.advanceTimersByTime(600);
    expect(Wire.all).toHaveLength(2);
    Wire.last.onopen?.();
    answer();
    Wire.last.frame('snapshot', 3, 2);
    expect(seen).toEqual([10, 3]);
  });

  test('waits grow while nothing comes, stay under the ceiling, and start over with data', () => {
    const feed = open();
    subscribed(feed);
    const waits: number[] = [];
    for (let k = 0; k < 8; k++) {
      Wire.last.onclose?.();
      waits.push(feed.link.get().retryAt - performance.now());
      vi.advanceTimersByTime(waits.at(-1)! + 1);
      Wire.last.onopen?.();
    }
    waits.forEach((wait, k) => {
      const ceiling = Math.min(15_000, 500 * 2 ** k);
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThanOrEqual(ceiling);
    });
    answer();
    Wire.last.frame('snapshot', 1, 0);
    expect(feed.link.get().attempt).toBe(0);
  });

  test('an open but silent one is given up', () => {
    const feed = open();
    const first = Wire.last;
    vi.advanceTimersByTime(10_500);
    expect(first.closed).toBe(true);
    expect(feed.link.get().phase).not.toBe('open');
  });

  test('a frame that is none ends the connection instead of being guessed at', () => {
    const feed = open();
    const complaint = vi.spyOn(console, 'error').mockImplementation(() => {});
    Wire.last.onmessage?.({ data: new ArrayBuffer(3) });
    expect(feed.link.get().phase).toBe('down');
    expect(complaint).toHaveBeenCalledOnce();
    complaint.mockRestore();
  });

  test("late events of a socket we left do not touch the new one's state", () => {
    const feed = open();
    const first = Wire.last;
    first.onclose?.();
    expect([first.onopen, first.onmessage, first.onclose]).toEqual([null, null, null]);
    expect(feed.link.get().attempt).toBe(1);
  });
});

test("the server's clock is told from pings", () => {
  const feed = open();
  const sent = Date.now();
  vi.advanceTimersByTime(10);
  Wire.last.reply({ op: 'pong', t: sent, server_ms: sent + 5 + 1_500 });
  expect(feed.clockOffsetMs).toBe(1_500);
});
