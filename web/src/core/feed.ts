/**
 * The page's one websocket: subscriptions by topic and parameters, sequence check and resync, reconnect.
 *
 * A topic starts with a snapshot; a delta applies only to the state it names (`prev`). A hole means that something
 * was lost, so the topic is subscribed anew and shows nothing wrong meanwhile: no frame reaches its listener until
 * the fresh snapshot is there.
 */

import { Store } from './store';
import { decodeFrame, type Frame, WireError } from './wire';

export interface Listener {
  onFrame(frame: Frame): void;
  /** The server refused the subscription; `reason` is its sentence. It is asked again by and by. */
  onRefused?(reason: string): void;
}

export interface Link {
  phase: 'connecting' | 'open' | 'down';
  /** When the next attempt is due (performance.now clock), while `down`. */
  retryAt: number;
  attempt: number;
}

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;
/** `status` comes every second; this long without a byte and the connection is dead whatever TCP thinks. */
const SILENCE_MS = 8_000;
const PING_MS = 5_000;
const SNAPSHOT_TIMEOUT_MS = 10_000;
const REFUSED_RETRY_MS = 3_000;

/** One subscription as the server knows it; `id` is new with every attempt. */
interface Topic {
  topic: string;
  params: Record<string, unknown>;
  listener: Listener;
  id: number;
  key: string | undefined;
  /** Last applied sequence number; undefined until the snapshot is there. */
  seq: number | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Feed {
  readonly link = new Store<Link>({ phase: 'connecting', retryAt: 0, attempt: 0 });
  /** Server clock minus ours, ms; from the fastest of the recent pings. */
  clockOffsetMs = 0;
  /** Holes found in sequences since the page was opened. */
  resyncs = 0;

  readonly #url: string;
  readonly #open: (url: string) => WebSocket;
  readonly #topics = new Set<Topic>();
  #socket: WebSocket | undefined;
  #nextId = 1;
  #lastMessageAt = 0;
  #bestRoundTripMs = Infinity;
  #watch: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, open: (url: string) => WebSocket = (address) => new WebSocket(address)) {
    this.#url = url;
    this.#open = open;
  }

  start(): void {
    this.#connect();
    this.#watch = setInterval(() => this.#check(), PING_MS);
  }

  stop(): void {
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#drop();
  }

  /** Ask for `topic`; frames reach `listener` in order, a snapshot first. Returns the way to stop. */
  subscribe(topic: string, params: Record<string, unknown>, listener: Listener): () => void {
    const entry: Topic = { topic, params, listener, id: 0, key: undefined, seq: undefined, timer: undefined };
    this.#topics.add(entry);
    if (this.link.get().phase === 'open') this.#ask(entry);
    return () => {
      this.#leave(entry);
      this.#topics.delete(entry);
    };
  }

  /** The server's clock, by our own. */
  serverNow(): number {
    return Date.now() + this.clockOffsetMs;
  }

  /** Try again now instead of waiting for the timer. */
  reconnect(): void {
    if (this.link.get().phase !== 'down') return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  #connect(): void {
    const { attempt } = this.link.get();
    this.link.set({ phase: 'connecting', retryAt: 0, attempt });
    this.#lastMessageAt = performance.now();
    const socket = this.#open(this.#url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#onOpen();
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.#onMessage(event.data);
    socket.onclose = () => this.#onClose();
    this.#socket = socket;
  }

  #onOpen(): void {
    this.#lastMessageAt = performance.now();
    this.#bestRoundTripMs = Infinity;
    this.link.set({ phase: 'open', retryAt: 0, attempt: this.link.get().attempt });
    for (const entry of this.#topics) this.#ask(entry);
    this.#ping();
  }

  #onClose(): void {
    this.#drop();
    const attempt = this.link.get().attempt + 1;
    const ceiling = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1));
    // Half fixed, half random: many pages must not come back in the same instant.
    const wait = ceiling / 2 + (Math.random() * ceiling) / 2;
    this.link.set({ phase: 'down', retryAt: performance.now() + wait, attempt });
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  /** Forget the socket; its late events must not reach us. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    for (const entry of this.#topics) this.#forget(entry);
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #check(): void {
    if (this.link.get().phase === 'down') return;
    if (performance.now() - this.#lastMessageAt > SILENCE_MS) this.#onClose();
    else if (this.link.get().phase === 'open') this.#ping();
  }

  #ping(): void {
    this.#send({ op: 'ping', t: Date.now() });
  }

  #send(message: Record<string, unknown>): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #ask(entry: Topic): void {
    this.#forget(entry);
    entry.id = this.#nextId++;
    entry.timer = setTimeout(() => this.#again(entry), SNAPSHOT_TIMEOUT_MS);
    this.#send({ op: 'subscribe', id: entry.id, topic: entry.topic, params: entry.params });
  }

  #again(entry: Topic): void {
    if (this.link.get().phase !== 'open') return;
    this.#leave(entry);
    this.#ask(entry);
  }

  #leave(entry: Topic): void {
    if (entry.id !== 0 && this.link.get().phase === 'open') this.#send({ op: 'unsubscribe', id: entry.id });
    this.#forget(entry);
  }

  #forget(entry: Topic): void {
    clearTimeout(entry.timer);
    entry.timer = undefined;
    entry.id = 0;
    entry.key = undefined;
    entry.seq = undefined;
  }

  #onMessage(data: string | ArrayBuffer): void {
    this.#lastMessageAt = performance.now();
    if (typeof data === 'string') return this.#onControl(JSON.parse(data) as Record<string, unknown>);
    let frame: Frame;
    try {
      frame = decodeFrame(data);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      // We no longer know what the state is: start over on a new connection.
      console.error(`stream: ${error.message}`);
      return this.#onClose();
    }
    for (const entry of [...this.#topics]) if (entry.key === frame.key) this.#deliver(entry, frame);
  }

  #onControl(message: Record<string, unknown>): void {
    if (message['op'] === 'pong') return this.#onPong(Number(message['t']), Number(message['server_ms']));
    const entry = [...this.#topics].find((topic) => topic.id === message['id']);
    if (!entry) return; // an answer to a subscription we have left since
    if (message['op'] === 'subscribed') entry.key = String(message['key']);
    if (message['op'] === 'error') {
      clearTimeout(entry.timer);
      entry.timer = setTimeout(() => this.#ask(entry), REFUSED_RETRY_MS);
      entry.listener.onRefused?.(String(message['message']));
    }
  }

  #deliver(entry: Topic, frame: Frame): void {
    if (frame.type === 'snapshot') {
      clearTimeout(entry.timer);
      entry.seq = frame.seq;
      if (this.link.get().attempt) this.link.update({ attempt: 0 }); // back-off resets on data only
      return entry.listener.onFrame(frame);
    }
    if (entry.seq === undefined) return; // a delta to a state we do not have; the snapshot is on its way
    if (frame.prev !== entry.seq) {
      this.resyncs += 1;
      return this.#again(entry);
    }
    entry.seq = frame.seq;
    entry.listener.onFrame(frame);
  }

  #onPong(sentMs: number, serverMs: number): void {
    const now = Date.now();
    const roundTrip = now - sentMs;
    if (roundTrip > this.#bestRoundTripMs + 20) return;
    this.#bestRoundTripMs = Math.max(1, roundTrip);
    this.clockOffsetMs = serverMs - (sentMs + now) / 2;
  }
}
