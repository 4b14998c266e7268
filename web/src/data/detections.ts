/**
 * Events of one instrument's detectors, for the log and for marks on charts. Panels that look at the same instrument
 * subscribe each: equal questions of one page are one topic on the wire.
 */

import { type Grid, gridOf } from '../core/decimal';
import { column, type Frame } from '../core/wire';

export const DETECTION_KINDS = ['wall', 'sweep', 'absorption', 'layering', 'iceberg', 'exhaustion', 'pull'] as const;
export type DetectionKind = (typeof DETECTION_KINDS)[number];

/** When, at which tick, how many lots, what happened there. */
export type EvidenceRow = [ms: number, tick: number, lots: number, what: string];

/** Prices are ticks, quantities lots. */
export interface Detection {
  id: number;
  kind: DetectionKind;
  /** +1 what favours a rise: resting bids, a buyer's sweep, asks that run dry; -1 the opposite. */
  side: 1 | -1;
  startMs: number;
  /** Last change. */
  tsMs: number;
  low: number;
  high: number;
  lots: number;
  confidence: number;
  /** `open`, then what became of it: `filled`, `pulled`, `moved`, `mixed`, `unknown`; `done` where nothing follows. */
  state: string;
  /** What was measured, by name; `…_limit` is the threshold it was compared with. */
  evidence: Record<string, number>;
  rows: EvidenceRow[];
  /** performance.now() when it first came, for the flash. */
  cameAt: number;
}

export interface DetectionHead {
  symbol: string;
  tick: Grid;
  lot: Grid;
}

interface Meta {
  symbol: string;
  tick: [number, number];
  lot: [number, number];
  events: { kind: DetectionKind; state: string; evidence: Record<string, number>; rows: EvidenceRow[] }[];
  fired: Record<DetectionKind, number>;
}

const KEPT = 500;

export class DetectionLog {
  head: DetectionHead | undefined;
  /** Newest begun first. */
  newest: Detection[] = [];
  /** How often each detector has fired since the study began. */
  fired: Partial<Record<DetectionKind, number>> = {};
  /** Rises with every frame. */
  revision = 0;
  readonly #events = new Map<number, Detection>();

  onFrame(frame: Frame, now: number): void {
    const meta = frame.meta as unknown as Meta;
    if (frame.type === 'snapshot') this.#events.clear();
    this.head = { symbol: meta.symbol, tick: gridOf(meta.tick), lot: gridOf(meta.lot) };
    this.fired = meta.fired;
    meta.events.forEach((said, k) => {
      const at = (name: string): number => column(frame, name)[k]!;
      const id = at('id');
      const cameAt = this.#events.get(id)?.cameAt ?? (frame.type === 'snapshot' ? -Infinity : now);
      this.#events.set(id, {
        id, kind: said.kind, side: at('side') > 0 ? 1 : -1, startMs: at('start_ms'), tsMs: at('ts_ms'), low: at('low'), high: at('high'),
        lots: at('qty'), confidence: at('confidence'), state: said.state, evidence: said.evidence, rows: said.rows, cameAt,
      });
    });
    this.newest = [...this.#events.values()].sort((a, b) => b.id - a.id);
    for (const old of this.newest.splice(KEPT)) this.#events.delete(old.id);
    this.revision += 1;
  }

  get(id: number): Detection | undefined {
    return this.#events.get(id);
  }

  /** Events whose life touches [fromMs, toMs], oldest first: what a chart of that time marks. */
  between(fromMs: number, toMs: number): Detection[] {
    return this.newest.filter((event) => event.startMs <= toMs && event.tsMs >= fromMs).reverse();
  }
}

/** What a side is called: an aggressor's side, the side that runs dry, else the side that liquidity rests on. */
export function sideName(kind: DetectionKind, side: 1 | -1): string {
  if (kind === 'sweep') return side > 0 ? 'buy' : 'sell';
  if (kind === 'exhaustion') return side > 0 ? 'ask' : 'bid';
  return side > 0 ? 'bid' : 'ask';
}
