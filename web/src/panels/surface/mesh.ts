/** The height field of the surface, decimated from heatmap columns: the largest size of the bins and moments of a cell. */

import { type HeatmapData, KEPT } from '../../data/heatmap';
import { breadth } from '../heatmap/view';

export const MOMENTS = 72;
export const PRICES = 64;

export class Mesh {
  /** Lots at [moment * PRICES + price], NaN unknown; oldest moment and lowest price first. */
  readonly lots = new Float32Array(MOMENTS * PRICES);
  /** Columns a moment and bins a price step; numbers of the first column and bin. */
  columns = 1;
  bins = 1;
  firstColumn = 0;
  firstBin = 0;

  /** Take the newest `spanMs` and, around the mid price, as much of the book as the heatmap shows at first. */
  build(data: HeatmapData, spanMs: number): void {
    const head = data.head!;
    this.columns = Math.max(1, Math.round(spanMs / head.columnMs / MOMENTS));
    this.bins = Math.max(1, Math.round(breadth(this.#mid(data), head.step, head.bins) / PRICES));
    // Whole groups of columns, so that a moment does not change its content as time goes on.
    const end = Math.floor((data.newest + 1) / this.columns) * this.columns;
    this.firstColumn = end - MOMENTS * this.columns;
    this.firstBin = this.#centre(data) - (PRICES * this.bins) / 2;
    this.lots.fill(NaN);
    for (let moment = 0; moment < MOMENTS; moment++) {
      for (let k = 0; k < this.columns; k++) this.#add(data, moment, this.firstColumn + moment * this.columns + k);
    }
  }

  at(moment: number, price: number): number {
    return this.lots[moment * PRICES + price]!;
  }

  #centre(data: HeatmapData): number {
    const group = Math.max(1, this.bins);
    return Math.round(this.#mid(data) / data.head!.step / group) * group;
  }

  /** The newest mid price, in ticks; 0 where none is known. */
  #mid(data: HeatmapData): number {
    for (let number = data.newest; number >= data.oldest; number--) {
      if (data.has(number)) return (data.bid[number % KEPT]! + data.ask[number % KEPT]!) / 2;
    }
    return 0;
  }

  #add(data: HeatmapData, moment: number, number: number): void {
    if (number < 0 || !data.has(number)) return;
    const lots = data.lots(number);
    const shift = this.firstBin - data.firstBin[number % KEPT]!;
    for (let price = 0; price < PRICES; price++) {
      const at = moment * PRICES + price;
      for (let bin = shift + price * this.bins; bin < shift + (price + 1) * this.bins; bin++) {
        const size = bin >= 0 && bin < lots.length ? Math.abs(lots[bin]!) : NaN;
        if (!(size <= this.lots[at]!) && !Number.isNaN(size)) this.lots[at] = size;
      }
    }
  }
}

/** A high percentile of the sizes standing anywhere: the top of the size axis. */
export function topSize(lots: Float32Array, rank: number): number {
  const standing = lots.filter((size) => size > 0).sort();
  return standing[Math.min(standing.length - 1, Math.floor(standing.length * rank))] ?? 1;
}
