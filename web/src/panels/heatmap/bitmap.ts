/**
 * The picture of all columns as offscreen bitmaps, a pixel a bin: a ring in time, so that a new column costs one strip
 * of pixels and scrolling costs a few scaled copies. Pixels of what is not known stay transparent.
 *
 * The ring is cut into tiles because a browser copies a whole bitmap before the first write after it was drawn from:
 * ten megabytes for each new column of an undivided one.
 */

import { snap } from '../../core/dots';
import { type HeatmapData, KEPT } from '../../data/heatmap';
import { level, rampWords, type Ramp, type Scale } from './scale';

/** Bins of the bitmap's height; a picture that needs others is drawn anew around them. */
export const ROWS = 1024;
const STRIP = 32;
/** Columns of a tile; the ring is a whole number of tiles, a tile a whole number of strips. */
const TILE = 96;
const NONE = -1;

export class Bitmap {
  readonly #tiles = Array.from({ length: KEPT / TILE }, tile);
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
    this.#strip = this.#tiles[0]!.createImageData(STRIP, ROWS);
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
      for (const one of this.#tiles) one.clearRect(0, 0, TILE, ROWS);
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

  /**
   * Copy columns [first, last] and the bins from `topBin` down to `lowBin` into a rectangle. Each tile ends on a whole
   * pixel of the screen: edges between tiles would show as lines otherwise.
   */
  copy(context: CanvasRenderingContext2D, first: number, last: number, topBin: number, bins: number, x: number, y: number, width: number, height: number): void {
    const perColumn = width / (last - first + 1);
    const edge = (number: number): number => snap(x + (number - first) * perColumn);
    const row = this.#topBin - topBin;
    for (let number = first; number <= last; ) {
      const slot = slotOf(number);
      const run = Math.min(last - number + 1, TILE - (slot % TILE));
      const left = edge(number);
      context.drawImage(this.#tileOf(slot).canvas, slot % TILE, row, run, bins, left, y, edge(number + run) - left, height);
      number += run;
    }
  }

  #tileOf(slot: number): CanvasRenderingContext2D {
    return this.#tiles[Math.floor(slot / TILE)]!;
  }

  /** Draw up to STRIP columns that end at `last` and lie side by side; returns the first of them. */
  #drawStrip(data: HeatmapData, last: number, least: number): number {
    const room = Math.min(STRIP, (slotOf(last) % TILE) + 1, last - least + 1);
    let columns = 1;
    while (columns < room && this.#shown[slotOf(last - columns)] !== last - columns) columns += 1;
    const first = last - columns + 1;
    const pixels = this.#pixels;
    pixels.fill(0);
    for (let k = 0; k < columns; k++) {
      this.#drawColumn(data, first + k, k);
      this.#shown[slotOf(first + k)] = first + k;
    }
    this.#tileOf(slotOf(first)).putImageData(this.#strip, slotOf(first) % TILE, 0, 0, 0, columns, ROWS);
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

function tile(): CanvasRenderingContext2D {
  const canvas = document.createElement('canvas');
  canvas.width = TILE;
  canvas.height = ROWS;
  return canvas.getContext('2d')!;
}
