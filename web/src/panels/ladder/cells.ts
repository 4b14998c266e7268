/** The ladder's cells: each remembers what it shows, and only what has changed is painted. */

import { type Grid, toNumber, toText } from '../../core/decimal';
import { MISSING, quantity } from '../../core/format';
import { hatch } from '../../core/hatch';
import { charWidth, font, mix, readable, type Theme } from '../../core/theme';
import type { LadderData } from '../../data/ladder';
import type { Placed } from './columns';

const FONT_PX = 11;
const PAD = 5;

/** Largest figures on screen, that bars are measured against, and the size from which a resting one is large. */
export interface Most {
  resting: number;
  traded: number;
  large: number;
}

interface Row {
  y: number;
  height: number;
}

export class Cells {
  /** Height of a row. */
  row = 18;
  readonly #data: LadderData;
  /** By slot and column: the figure (a row's lower edge in the column of prices), and how it looks. */
  #values = new Float64Array(0);
  #looks = new Int32Array(0);

  constructor(data: LadderData) {
    this.#data = data;
  }

  /** Nothing is on screen any more; there are so many cells. */
  forget(cells: number): void {
    this.#values = new Float64Array(cells).fill(-Infinity);
    this.#looks = new Int32Array(cells);
  }

  get count(): number {
    return this.#values.length;
  }

  /** Lots in a column of the row whose lower edge is `edge`; NaN where they are not known. */
  figure(column: Placed, edge: number): number {
    const plus = column.plus ? this.#data.at(column.plus, edge) : 0;
    const minus = column.minus ? this.#data.at(column.minus, edge) : 0;
    return plus - minus;
  }

  /** What a cell says. */
  text(column: Placed, edge: number): string {
    return textOf(column, column.side === 'price' ? edge : this.figure(column, edge), this.#data.tick, this.#data.lot);
  }

  /** Bring the row of `edge` on screen at `slot`, whose upper end is at `y`. */
  paintRow(context: CanvasRenderingContext2D, columns: readonly Placed[], slot: number, edge: number, y: number, most: Most, theme: Theme): void {
    context.font = font(FONT_PX);
    for (let k = 0; k < columns.length; k++) {
      const column = columns[k]!;
      const value = column.side === 'price' ? edge : this.figure(column, edge);
      const look = column.side === 'price' ? this.#place(edge) : lookOf(column, value, most);
      const at = slot * columns.length + k;
      if (Object.is(value, this.#values[at]) && look === this.#looks[at]) continue;
      this.#values[at] = value;
      this.#looks[at] = look;
      const text = textOf(column, value, this.#data.tick, this.#data.lot);
      if (column.side === 'price') paintPrice(context, column, text, look, { y, height: this.row }, theme);
      else paintFigure(context, column, text, look, { y, height: this.row }, theme);
    }
  }

  /** Where a price stands: 0 below, 1 between, 2 above the best ones; 4, 8, 12 more where the last trade sold, has no side, bought. */
  #place(edge: number): number {
    const { bid, ask, last, lastSide } = this.#data;
    const place = Number.isNaN(bid) ? 1 : edge >= this.#data.edgeOf(ask) ? 2 : edge <= this.#data.edgeOf(bid) ? 0 : 1;
    return place + (edge === this.#data.edgeOf(last) ? 4 * (lastSide + 2) : 0);
  }
}

function textOf(column: Placed, value: number, tick: Grid, lot: Grid): string {
  if (column.side === 'price') return toText(Math.max(0, value), tick);
  if (Number.isNaN(value)) return MISSING;
  if (value === 0) return '';
  const text = quantity(toNumber(Math.abs(value), lot), lot.decimals);
  return column.signed ? `${value > 0 ? '+' : '−'}${text}` : text;
}

/** Length of the bar, doubled, and one more for a large resting size; of a signed figure its sign, of an unknown one -1. */
function lookOf(column: Placed, lots: number, most: Most): number {
  if (Number.isNaN(lots)) return -1;
  if (!column.bar) return Number(lots > 0);
  const bar = lots > 0 ? Math.round((lots / most[column.bar.group]) * (column.w - 2)) : 0;
  return 2 * bar + Number(column.bar.group === 'resting' && lots >= most.large);
}

function paintPrice(context: CanvasRenderingContext2D, { x, w }: Placed, text: string, look: number, { y, height }: Row, { buy, sell, neutral, text: plain, muted, bg }: Theme): void {
  const [place, traded] = [look % 4, look >> 2];
  const ground = traded ? mix([sell, neutral, buy][traded - 1]!, 0.5, bg) : mix(plain, 0.06, bg);
  context.fillStyle = ground;
  context.fillRect(x, y, w, height - 1);
  if (traded) context.font = font(FONT_PX, 600);
  context.fillStyle = traded ? plain : readable([buy, muted, sell][place]!, ground);
  context.fillText(text, centred(text, x, w), y + height - 5);
  if (traded) context.font = font(FONT_PX);
}

function paintFigure(context: CanvasRenderingContext2D, column: Placed, text: string, look: number, { y, height }: Row, theme: Theme): void {
  const { x, w, bar } = column;
  const { buy, sell, bg, text: plain, strong, faint } = theme;
  context.fillStyle = look === -1 && bar?.group === 'resting' ? hatch(context, theme) : bg;
  context.fillRect(x, y, w, height - 1);
  const long = bar && look > 1 ? look >> 1 : 0;
  if (bar && long) {
    // What was sold was sold into bids: it stands on their side in the other colour.
    const colour = (column.side === 'bid') === (bar.group === 'resting') ? buy : sell;
    context.fillStyle = mix(colour, bar.group === 'traded' ? 0.22 : 0.34, bg);
    context.fillRect(bar.from === 'left' ? x + 1 : x + w - 1 - long, y + 1, long, height - 3);
  }
  if (!text) return;
  // What strengthens a side has its colour, what weakens it the other's.
  if (look === -1) context.fillStyle = faint;
  else if (column.signed) context.fillStyle = (look === 1) === (column.side === 'bid') ? buy : sell;
  else context.fillStyle = look % 2 ? strong : plain;
  const right = x + w - PAD - text.length * charWidth(FONT_PX);
  context.fillText(text, look === -1 ? centred(text, x, w) : bar?.from === 'left' ? x + PAD : Math.round(right), y + height - 5);
}

const centred = (text: string, x: number, w: number): number => Math.round(x + (w - text.length * charWidth(FONT_PX)) / 2);
