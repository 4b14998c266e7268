/** Columns of resting size of one instrument, by the number of their moment, and the prints that fell between them. */

import { type Grid, gridOf } from '../core/decimal';
import { column, type Frame } from '../core/wire';

/** Columns kept: ten minutes at four a second, more than the server sends at first. */
export const KEPT = 2400;
const PRINTS = 1 << 15;

export interface HeatHead {
  symbol: string;
  tick: Grid;
  lot: Grid;
  columnMs: number;
  bins: number;
  /** Ticks a bin. */
  step: number;
}

/** Why a place of the picture is not known. */
export type Unknown = 'before the first column' | 'nothing was received' | 'book not live' | 'beyond the known book';

export class HeatmapData {
  head: HeatHead | undefined;
  /** Number of the newest column: its time divided by the time between columns. -1 before the first. */
  newest = -1;
  /** Number of the oldest column held. */
  oldest = 0;
  /** Rises when columns that were held mean something else now, so that all must be drawn anew. */
  generation = 0;
  revision = 0;

  /** Rings by column number modulo KEPT. `number` says whose slot it is; `firstBin` is -1 where no book was live. */
  readonly number = new Float64Array(KEPT).fill(-1);
  readonly firstBin = new Float64Array(KEPT).fill(-1);
  readonly bid = new Float64Array(KEPT);
  readonly ask = new Float64Array(KEPT);
  #lots = new Float32Array(0);

  /** Rings by print number modulo PRINTS; lots are positive, `printSide` +1 where the aggressor bought. */
  readonly printMs = new Float64Array(PRINTS);
  readonly printPrice = new Float64Array(PRINTS);
  readonly printLots = new Float64Array(PRINTS);
  readonly printSide = new Int8Array(PRINTS);
  prints = 0;

  onFrame(frame: Frame): void {
    this.#adopt(frame);
    const head = this.head!;
    const [times, bases, steps] = [column(frame, 'ts_ms'), column(frame, 'base'), column(frame, 'step')];
    const [bids, asks, lots] = [column(frame, 'bid'), column(frame, 'ask'), column(frame, 'lots')];
    for (let k = 0; k < times.length; k++) {
      const number = Math.round(times[k]! / head.columnMs);
      const slot = number % KEPT;
      if (this.newest < 0) this.oldest = number;
      this.number[slot] = number;
      this.firstBin[slot] = steps[k]! > 0 ? bases[k]! / steps[k]! : -1;
      this.bid[slot] = bids[k]!;
      this.ask[slot] = asks[k]!;
      this.#lots.set(lots.subarray(k * head.bins, (k + 1) * head.bins), slot * head.bins);
      this.newest = Math.max(this.newest, number);
    }
    this.oldest = Math.max(this.oldest, this.newest - KEPT + 1);
    this.#addPrints(frame);
    this.revision += 1;
  }

  clear(): void {
    this.head = undefined;
    this.#forget();
  }

  /** The column with this number is held and its book was live. */
  has(number: number): boolean {
    const slot = ((number % KEPT) + KEPT) % KEPT;
    return this.number[slot] === number && this.firstBin[slot]! >= 0;
  }

  /** Resting lots of a held column, bids positive, asks negative, NaN unknown; a view. */
  lots(number: number): Float32Array {
    const bins = this.head!.bins;
    const slot = number % KEPT;
    return this.#lots.subarray(slot * bins, (slot + 1) * bins);
  }

  /** What rests at a moment in the bin of a price: signed lots, or why it is not known. */
  at(number: number, price: number): number | Unknown {
    const head = this.head;
    const slot = ((number % KEPT) + KEPT) % KEPT;
    if (!head || number < this.oldest) return 'before the first column';
    if (this.number[slot] !== number) return 'nothing was received';
    if (this.firstBin[slot]! < 0) return 'book not live';
    const bin = Math.floor(price / head.step) - this.firstBin[slot]!;
    const lots = bin >= 0 && bin < head.bins ? this.lots(number)[bin]! : NaN;
    return Number.isNaN(lots) ? 'beyond the known book' : lots;
  }

  /** Prints held, as [first, last) of print numbers. */
  get firstPrint(): number {
    return Math.max(0, this.prints - PRINTS);
  }

  printSlot(number: number): number {
    return number % PRINTS;
  }

  /** Take over the head; columns of another instrument, grid or time are forgotten, older ones of the same are kept. */
  #adopt(frame: Frame): void {
    const meta = frame.meta as unknown as { symbol: string; tick: [number, number]; lot: [number, number]; column_ms: number; bins: number };
    if (frame.type === 'delta' && this.head && this.head.step > 0) return;
    const times = column(frame, 'ts_ms');
    const step = (column(frame, 'step') as Float64Array).find((ticks) => ticks > 0) ?? 0;
    const head: HeatHead = { symbol: meta.symbol, tick: gridOf(meta.tick), lot: gridOf(meta.lot), columnMs: meta.column_ms, bins: meta.bins, step };
    const same = this.head && step === this.head.step && sameMeaning(head, this.head);
    const onward = times.length === 0 || times[times.length - 1]! / head.columnMs >= this.newest;
    if (!same || !onward) this.#forget();
    if (!this.head || this.head.bins !== head.bins || this.#lots.length === 0) this.#lots = new Float32Array(KEPT * head.bins);
    this.head = head;
    if (frame.type === 'snapshot') this.prints = 0;
  }

  #forget(): void {
    this.number.fill(-1);
    this.newest = -1;
    this.oldest = 0;
    this.prints = 0;
    this.generation += 1;
  }

  #addPrints(frame: Frame): void {
    const [times, prices] = [column(frame, 'p_ts_ms'), column(frame, 'p_price')];
    const [lots, sides] = [column(frame, 'p_lots'), column(frame, 'p_side')];
    for (let k = 0; k < times.length; k++) {
      const slot = this.prints++ % PRINTS;
      this.printMs[slot] = times[k]!;
      this.printPrice[slot] = prices[k]!;
      this.printLots[slot] = lots[k]!;
      this.printSide[slot] = sides[k]!;
    }
  }
}

const sameMeaning = (a: HeatHead, b: HeatHead): boolean =>
  a.symbol === b.symbol && a.bins === b.bins && a.columnMs === b.columnMs && a.tick.units === b.tick.units &&
  a.tick.decimals === b.tick.decimals && a.lot.units === b.lot.units && a.lot.decimals === b.lot.decimals;
