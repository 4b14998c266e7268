/** Reported liquidations, newest first, and the totals of each of the last 60 minutes. */

import { column, type Frame } from '../core/wire';

export interface Liquidation {
  /** Position in the order of arrival; tells rows apart. */
  serial: number;
  instrument: number;
  tsMs: number;
  eventMs: number;
  /** A long position was closed: a forced sell. */
  long: boolean;
  price: number;
  /** Lots. */
  quantity: number;
  notional: number;
  arrivedAt: number;
}

export interface Minute {
  ms: number;
  longNotional: number;
  shortNotional: number;
  longs: number;
  shorts: number;
}

const KEPT = 500;

export class Liquidations {
  newest: Liquidation[] = [];
  minutes: Minute[] = [];
  revision = 0;
  serverMs = 0;
  #serial = 0;

  onFrame(frame: Frame, now: number): void {
    const snapshot = frame.type === 'snapshot';
    if (snapshot) this.newest = [];
    const times = column(frame, 'ts_ms');
    const fresh: Liquidation[] = [];
    for (let k = 0; k < times.length; k++) fresh.push(this.#read(frame, k, snapshot ? -Infinity : now));
    // Rows of a frame are oldest first, as they were reported.
    this.newest = [...fresh.reverse(), ...this.newest].slice(0, KEPT);
    const minutes = frame.meta['minutes'] as [number, number, number, number, number][] | undefined;
    if (minutes) this.minutes = minutes.map(readMinute);
    this.serverMs = frame.serverMs;
    this.revision += 1;
  }

  #read(frame: Frame, k: number, arrivedAt: number): Liquidation {
    const at = (name: string): number => column(frame, name)[k]!;
    return {
      serial: this.#serial++,
      instrument: at('i'),
      tsMs: at('ts_ms'),
      eventMs: at('event_ms'),
      long: at('long') !== 0,
      price: at('price'),
      quantity: at('qty'),
      notional: at('notional'),
      arrivedAt,
    };
  }
}

function readMinute([ms, longNotional, shortNotional, longs, shorts]: [number, number, number, number, number]): Minute {
  return { ms, longNotional, shortNotional, longs, shorts };
}
