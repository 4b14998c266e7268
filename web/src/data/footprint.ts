/** Candles of one symbol with their cells, exactly as the server binned them from the tick-level original. */

import { type Grid, gridOf } from '../core/decimal';
import { column, type Frame } from '../core/wire';

/** Prices are ticks, volumes lots. Cells are parallel views, highest bin first. */
export interface Candle {
  openMs: number;
  open: number;
  high: number;
  low: number;
  close: number;
  bid: number;
  ask: number;
  trades: number;
  cvd: number;
  /** Lower edges of bins; -1 without trades. */
  poc: number;
  vah: number;
  val: number;
  quote: number;
  /** Known holes in it: its totals are then at least, not exactly. */
  gap: number;
  /** How many of its minutes the venue's klines tell: they have no cells. */
  klines: number;
  price: ArrayLike<number>;
  cellBid: ArrayLike<number>;
  cellAsk: ArrayLike<number>;
  cellTrades: ArrayLike<number>;
  /** Unique per received version, so that a drawing of it can be kept. */
  version: number;
}

export interface FootprintHead {
  symbol: string;
  timeframeMs: number;
  stepTicks: number;
  tick: Grid;
  lot: Grid;
}

/** Trades that are missing: when they happened, how many, how they were lost and what becomes of them. */
export interface Gap {
  from_ts: number;
  to_ts: number;
  first_id: number;
  last_id: number;
  cause: string;
  fate: string;
}

interface Meta {
  symbol: string;
  cvd_since: number | null;
  trades_since: number | null;
  gaps: Gap[];
  tf_ms: number;
  step_ticks: number;
  tick: [number, number];
  lot: [number, number];
}

export class FootprintData {
  head: FootprintHead | undefined;
  /** Oldest first, each `openMs` once. */
  candles: Candle[] = [];
  revision = 0;
  serverMs = 0;
  /** The newest gaps that touch what is shown, oldest first. */
  gaps: Gap[] = [];
  /** From when on CVD is counted, and from when on by trades: what is before comes from klines. */
  cvdSince: number | null = null;
  tradesSince: number | null = null;
  #version = 0;
  readonly #lookback: number;

  constructor(lookback: number) {
    this.#lookback = lookback;
  }

  onFrame(frame: Frame): void {
    const meta = frame.meta as unknown as Meta;
    this.gaps = meta.gaps ?? this.gaps;
    this.cvdSince = meta.cvd_since ?? this.cvdSince;
    this.tradesSince = meta.trades_since ?? this.tradesSince;
    if (frame.type === 'snapshot') {
      this.candles = [];
      this.head = {
        symbol: meta.symbol,
        timeframeMs: meta.tf_ms,
        stepTicks: meta.step_ticks,
        tick: gridOf(meta.tick),
        lot: gridOf(meta.lot),
      };
    }
    for (const candle of this.#read(frame)) this.#place(candle);
    this.candles.splice(0, this.candles.length - this.#lookback);
    this.serverMs = frame.serverMs;
    this.revision += 1;
  }

  /** Replace the candle of the same time or put it in its place; nearly always at the end. */
  #place(candle: Candle): void {
    let at = this.candles.length;
    while (at > 0 && this.candles[at - 1]!.openMs >= candle.openMs) at -= 1;
    const replaced = this.candles[at]?.openMs === candle.openMs ? 1 : 0;
    this.candles.splice(at, replaced, candle);
  }

  *#read(frame: Frame): Generator<Candle> {
    const of = (name: string): ArrayLike<number> => column(frame, name);
    const cells = { price: column(frame, 'p'), bid: column(frame, 'bid'), ask: column(frame, 'ask'), n: column(frame, 'n') };
    const counts = of('c_cells');
    const opens = of('c_open_ms');
    let from = 0;
    for (let k = 0; k < opens.length; k++) {
      const to = from + counts[k]!;
      yield {
        openMs: opens[k]!,
        open: of('c_open')[k]!,
        high: of('c_high')[k]!,
        low: of('c_low')[k]!,
        close: of('c_close')[k]!,
        bid: of('c_bid')[k]!,
        ask: of('c_ask')[k]!,
        trades: of('c_n')[k]!,
        cvd: of('c_cvd')[k]!,
        poc: of('c_poc')[k]!,
        vah: of('c_vah')[k]!,
        val: of('c_val')[k]!,
        quote: of('c_quote')[k]!,
        gap: of('c_gap')[k]!,
        klines: of('c_klines')[k]!,
        price: cells.price.subarray(from, to),
        cellBid: cells.bid.subarray(from, to),
        cellAsk: cells.ask.subarray(from, to),
        cellTrades: cells.n.subarray(from, to),
        version: ++this.#version,
      };
      from = to;
    }
  }
}
