/** Big-flow episodes by id: an open one grows in place, a new one goes on top. */

import { column, type Frame } from '../core/wire';

export const RULES = ['parent', 'flow_10s', 'flow_1m', 'flow_5m'] as const;

export interface Episode {
  id: number;
  instrument: number;
  /** Index into `RULES`. */
  rule: number;
  buy: boolean;
  startMs: number;
  tsMs: number;
  /** Lots. */
  quantity: number;
  /** VWAP of the aggressor's prints. */
  price: number;
  notional: number;
  levels: number;
  trades: number;
  open: boolean;
  /** Quote currency within 10 bps on the side that was hit, when it fired; NaN without a live book. */
  depth10: number;
  percentOfAdv: number;
  /** performance.now() when it first came, for the flash. */
  cameAt: number;
}

const KEPT = 500;

export class BigFlow {
  readonly #episodes = new Map<number, Episode>();
  /** Newest episode first. */
  newest: Episode[] = [];
  revision = 0;
  serverMs = 0;

  onFrame(frame: Frame, now: number): void {
    if (frame.type === 'snapshot') this.#episodes.clear();
    const ids = column(frame, 'id');
    for (let k = 0; k < ids.length; k++) {
      const known = this.#episodes.get(ids[k]!);
      const episode = readEpisode(frame, k, known?.cameAt ?? (frame.type === 'snapshot' ? -Infinity : now));
      this.#episodes.set(episode.id, episode);
    }
    this.newest = [...this.#episodes.values()].sort((a, b) => b.id - a.id);
    for (const old of this.newest.splice(KEPT)) this.#episodes.delete(old.id);
    this.serverMs = frame.serverMs;
    this.revision += 1;
  }

  get(id: number): Episode | undefined {
    return this.#episodes.get(id);
  }
}

function readEpisode(frame: Frame, k: number, cameAt: number): Episode {
  const at = (name: string): number => column(frame, name)[k]!;
  return {
    id: at('id'),
    instrument: at('i'),
    rule: at('rule'),
    buy: at('side') > 0,
    startMs: at('start_ms'),
    tsMs: at('ts_ms'),
    quantity: at('qty'),
    price: at('price'),
    notional: at('notional'),
    levels: at('levels'),
    trades: at('trades'),
    open: at('open') !== 0,
    depth10: at('depth10'),
    percentOfAdv: at('pct'),
    cameAt,
  };
}
