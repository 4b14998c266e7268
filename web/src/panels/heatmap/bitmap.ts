/**
 * The picture of all columns as one offscreen bitmap, a pixel a bin: a ring in time, so that a new column costs one
 * strip of pixels and scrolling costs two scaled copies. Pixels of what is not known stay transparent.
 */

import { type HeatmapData, KEPT } from '../../data/heatmap';
import { level, rampWords, type Ramp, type Scale } from './scale';

/** Bins of the bitmap's height; a picture that needs others is drawn anew around them. */
export const ROWS = 1024;
const STRIP = 32;
const NONE = -1;

export class Bitmap {
  readonly canvas = document.createElement('canvas');
  readonly #context: CanvasRenderingContext2D;
  readonly #strip: ImageData;
  readonly #pixels: Uint32Array;
  /** Number of the column that each slot shows. */
  readonly #shown = new Float64Array(KEPT).fill(NONE);
  #words = rampWords('thermal');
  #ramp: Ramp = 'thermal';
  #scale: Scale = { low: 0, high: 1 };
  /** Bin of the uppermost row. */
  #topBin = 0;
  #generation = -1;

  constructor() {
    this.canvas.width = KEPT;
    this.canvas.height = ROWS;
    this.#context = this.canvas.getContext('2d')!;
    this.#strip = this.#context.createImageData(STRIP, ROWS);
    this.#pixels = new Uint32Array(this.#strip.data.buffer);
  }

  get scale(): Scale {
    return this.#scale;
  }

  /** Draw with other colours from now on. */
  paint(ramp: Ramp, scale: Scale): void {
    if (ramp === this.#ramp && scale.low === this.#scale.low && scale.high === this.#scale.high) return;
    if (ramp !== this.#ramp) this.#words = rampWords(ramp);
    this.#ramp = ramp;
    this.#scale = scale;
    this.#shown.fill(NONE);
  }

  /**
   * Bring columns [first, last] up to date, the newest first, for `budgetMs`; true when none is left. Bins from
   * `lowBin` to `highBin` have to fit.
   */
  update(data: HeatmapData, first: number, last: number, lowBin: number, highBin: number, budgetMs: number): boolean {
    if (data.generation !== this.#generation) {
      this.#generation = data.generation;
      this.#shown.fill(NONE);
      this.#context.clearRect(0, 0, KEPT, ROWS);
    }
    if (highBin > this.#topBin || lowBin <= this.#topBin - ROWS) {
      this.#topBin = Math.round((lowBin + highBin + ROWS) / 2);
      this.#shown.fill(NONE);
    }
    const until = performance.now() + budgetMs;
    let number = last;
    while (number >= first) {
      if (this.#shown[slotOf(number)] === number) {
        number -= 1;
        continue;
      }
      number = this.#drawStrip(data, number, first) - 1;
      if (performance.now() > until && number >= first) return false;
    }
    return true;
  }

  /** Copy columns [first, last] and the bins from `topBin` down to `lowBin` into a rectangle. */
  copy(context: CanvasRenderingContext2D, first: number, last: number, topBin: number, bins: number, x: number, y: number, width: number, height: number): void {
    const perColumn = width / (last - first + 1);
    const row = this.#topBin - topBin;
    for (let number = first; number <= last; ) {
      const slot = slotOf(number);
      const run = Math.min(last - number + 1, KEPT - slot);
      context.drawImage(this.canvas, slot, row, run, bins, x + (number - first) * perColumn, y, run * perColumn, height);
      number += run;
    }
  }

  /** Draw up to STRIP columns that end at `last` and lie side by side; returns the first of them. */
  #drawStrip(data: HeatmapData, last: number, least: number): number {
    const room = Math.min(STRIP, slotOf(last) + 1, last - least + 1);
    let columns = 1;
    while (columns < room && this.#shown[slotOf(last - columns)] !== last - columns) columns += 1;
    const first = last - columns + 1;
    const pixels = this.#pixels;
    pixels.fill(0);
    for (let k = 0; k < columns; k++) {
      this.#drawColumn(data, first + k, k);
      this.#shown[slotOf(first + k)] = first + k;
    }
    this.#context.putImageData(this.#strip, slotOf(first), 0, 0, 0, columns, ROWS);
    return first;
  }

  #drawColumn(data: HeatmapData, number: number, k: number): void {
    if (!data.has(number)) return;
    const lots = data.lots(number);
    const row = this.#topBin - data.firstBin[slotOf(number)]!;
    const scale = this.#scale;
    for (let bin = 0; bin < lots.length; bin++) {
      const at = row - bin;
      const size = lots[bin]!;
      if (at < 0 || at >= ROWS || Number.isNaN(size)) continue;
      this.#pixels[at * STRIP + k] = this.#words[level(size, scale)]!;
    }
  }
}

const slotOf = (number: number): number => ((number % KEPT) + KEPT) % KEPT;
