/**
 * A table on a canvas that repaints only cells that changed. Rows are written anew every time, as strings; each cell
 * compares with what is on screen and costs nothing when it is the same. Figures are monospaced, so text is cut by
 * counting characters, never by measuring.
 */

import { snap } from './dots';
import { charWidth, font, mix, theme } from './theme';

export interface GridColumn {
  id: string;
  title: string;
  /** Narrowest width in px; what is left over goes to columns by `grow`. */
  width: number;
  grow?: number;
  align: 'left' | 'right' | 'center';
  /**
   * `signed`: from the middle, buy colour right, sell colour left; `share`: from the left in the text's colour;
   * `split`: the whole width, bought from the left and sold from the right, NaN for none.
   */
  bar?: 'signed' | 'share' | 'split';
  /** Columns with the highest number are left out first where the panel is narrow; 0 always stays. */
  drop?: number;
  sortable?: boolean;
  /** Said when the pointer rests on the title. */
  hint?: string;
}

export interface Sort {
  id: string;
  descending: boolean;
}

export interface Put {
  (column: string, text: string, colour: string, bar?: number): void;
}

/** Background of a row and the strip at its left edge ('' for none). */
export interface RowStyle {
  background: string;
  mark: string;
}

export type WriteRow = (row: number, put: Put) => RowStyle;

interface Placed extends GridColumn {
  x: number;
  w: number;
}

const FONT_PX = 11;
const HEADER_PX = 22;
const ROW_PX = 20;
const PAD = 5;
const MARK = 3;
const SCROLLBAR = 8;
/** Height of a signed bar: it runs under the figure, so that neither hides the other. */
const SIGNED_BAR = 4;

export class TextGrid {
  headerHeight = HEADER_PX;
  rowHeight = ROW_PX;
  /** First row on screen. */
  top = 0;
  hovered = -1;

  readonly #all: GridColumn[];
  #columns: Placed[] = [];
  #at = new Map<string, number>();
  #width = 0;
  #height = 0;
  #text: string[] = [];
  #colour: string[] = [];
  #bar: Int16Array = new Int16Array(0);
  #style: string[] = [];
  #painted = { header: '', total: -1, top: -1 };
  #total = 0;

  constructor(columns: GridColumn[]) {
    this.#all = columns;
  }

  /** Rows that fit. */
  get capacity(): number {
    return Math.max(0, Math.floor((this.#height - this.headerHeight) / this.rowHeight));
  }

  get columns(): readonly GridColumn[] {
    return this.#columns;
  }

  /** Lay columns out in `width`; everything is painted anew afterwards. */
  layout(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    this.headerHeight = snap(HEADER_PX);
    this.rowHeight = snap(ROW_PX);
    this.#columns = place(this.#all, width - SCROLLBAR);
    this.#at = new Map(this.#columns.map((column, index) => [column.id, index]));
    this.invalidate();
  }

  /** Forget what is on screen (theme, fonts or size changed). */
  invalidate(): void {
    const cells = (this.capacity + 1) * this.#columns.length;
    this.#text = new Array<string>(cells).fill('\0');
    this.#colour = new Array<string>(cells).fill('');
    this.#bar = new Int16Array(cells);
    this.#style = new Array<string>(this.capacity + 1).fill('\0');
    this.#painted = { header: '\0', total: -1, top: -1 };
  }

  scrollBy(rows: number): boolean {
    return this.scrollTo(this.top + rows);
  }

  scrollTo(row: number): boolean {
    const top = Math.max(0, Math.min(Math.round(row), this.#total - this.capacity));
    if (top === this.top) return false;
    this.top = top;
    return true;
  }

  /** Bring `row` on screen. */
  reveal(row: number): boolean {
    if (row < this.top) return this.scrollTo(row);
    if (row >= this.top + this.capacity) return this.scrollTo(row - this.capacity + 1);
    return false;
  }

  paint(context: CanvasRenderingContext2D, total: number, sort: Sort | undefined, write: WriteRow): void {
    this.#total = total;
    this.top = Math.max(0, Math.min(this.top, total - this.capacity));
    context.font = font(FONT_PX);
    context.textBaseline = 'alphabetic';
    this.#paintHeader(context, sort);
    for (let slot = 0; slot < this.capacity; slot++) {
      if (this.top + slot < total) this.#paintRow(context, slot, write);
      else this.#clearRow(context, slot);
    }
    this.#paintRest(context);
    this.#paintScrollbar(context);
  }

  /** One sentence where the first row would be. */
  paintEmpty(context: CanvasRenderingContext2D, sentence: string): void {
    const { bg, muted } = theme.get();
    context.fillStyle = bg;
    context.fillRect(0, this.headerHeight, this.#width - SCROLLBAR, this.rowHeight);
    context.font = font(FONT_PX);
    context.fillStyle = muted;
    drawText(context, sentence, 'left', PAD, this.#width - SCROLLBAR - 2 * PAD, this.headerHeight + this.rowHeight / 2 + 4);
  }

  /** What is under a point: a row (whole table's numbering), the header, or neither. */
  hit(x: number, y: number): { row: number; column: string; header: boolean } {
    const column = this.#columns.find((candidate) => x >= candidate.x && x < candidate.x + candidate.w)?.id ?? '';
    if (y < this.headerHeight) return { row: -1, column, header: true };
    const slot = Math.floor((y - this.headerHeight) / this.rowHeight);
    const row = this.top + slot;
    return { row: slot < this.capacity && row < this.#total ? row : -1, column, header: false };
  }

  /** Scroll position a press on the scrollbar at height `y` asks for; undefined beside the bar. */
  scrollbarRow(x: number, y: number): number | undefined {
    if (x < this.#width - SCROLLBAR || this.#total <= this.capacity || y < this.headerHeight) return undefined;
    const track = this.capacity * this.rowHeight;
    return ((y - this.headerHeight) / track) * this.#total - this.capacity / 2;
  }

  /** Cells on screen as they are printed, row by row. */
  rows(): string[][] {
    const shown = Math.min(this.capacity, this.#total - this.top);
    const width = this.#columns.length;
    return Array.from({ length: Math.max(0, shown) }, (_, slot) => this.#text.slice(slot * width, (slot + 1) * width));
  }

  #paintRow(context: CanvasRenderingContext2D, slot: number, write: WriteRow): void {
    const width = this.#columns.length;
    const y = this.headerHeight + slot * this.rowHeight;
    const fresh: { text: string; colour: string; bar: number }[] = [];
    const style = write(this.top + slot, (id, text, colour, bar = 0) => {
      const index = this.#at.get(id);
      if (index !== undefined) fresh[index] = { text, colour, bar: this.#barPixels(index, bar) };
    });
    const key = `${style.background}${style.mark}`;
    const restyled = key !== this.#style[slot];
    if (restyled) this.#paintStyle(context, slot, y, style, key);
    for (let index = 0; index < width; index++) {
      const cell = fresh[index] ?? BLANK;
      const at = slot * width + index;
      const same = cell.text === this.#text[at] && cell.colour === this.#colour[at] && cell.bar === this.#bar[at];
      if (same && !restyled) continue;
      this.#text[at] = cell.text;
      this.#colour[at] = cell.colour;
      this.#bar[at] = cell.bar;
      this.#paintCell(context, this.#columns[index]!, y, cell, style.background);
    }
  }

  #paintStyle(context: CanvasRenderingContext2D, slot: number, y: number, style: RowStyle, key: string): void {
    this.#style[slot] = key;
    context.fillStyle = style.background;
    context.fillRect(0, y, this.#width - SCROLLBAR, this.rowHeight);
    if (!style.mark) return;
    context.fillStyle = style.mark;
    context.fillRect(0, y + 1, MARK, this.rowHeight - 2);
  }

  #paintCell(
    context: CanvasRenderingContext2D,
    column: Placed,
    y: number,
    cell: { text: string; colour: string; bar: number },
    background: string,
  ): void {
    const inset = column.x === 0 ? MARK : 0;
    context.fillStyle = background;
    context.fillRect(column.x + inset, y, column.w - inset, this.rowHeight);
    if (column.bar) this.#paintBar(context, column, y, cell, background);
    context.fillStyle = cell.colour;
    const lift = column.bar === 'signed' ? 2 : 0;
    drawText(context, cell.text, column.align, column.x + PAD, column.w - 2 * PAD, y + this.rowHeight / 2 + 4 - lift);
  }

  #paintBar(
    context: CanvasRenderingContext2D,
    column: Placed,
    y: number,
    cell: { colour: string; bar: number },
    background: string,
  ): void {
    if (column.bar === 'share') {
      context.fillStyle = mix(cell.colour, 0.22, background);
      context.fillRect(column.x + 2, y + 2, cell.bar, this.rowHeight - 4);
      return;
    }
    if (column.bar === 'split') return this.#paintSplit(context, column, y, cell.bar, background);
    const middle = Math.round(column.x + column.w / 2);
    const { buy, sell, faint } = theme.get();
    const top = y + this.rowHeight - SIGNED_BAR - 1;
    context.fillStyle = mix(faint, 0.45, background);
    context.fillRect(column.x + 3, top, column.w - 6, SIGNED_BAR);
    context.fillStyle = mix(cell.bar < 0 ? sell : buy, 0.85, background);
    context.fillRect(Math.min(middle, middle + cell.bar), top, Math.abs(cell.bar), SIGNED_BAR);
    context.fillStyle = background;
    context.fillRect(middle, top, 1, SIGNED_BAR);
  }

  #paintSplit(context: CanvasRenderingContext2D, column: Placed, y: number, bought: number, background: string): void {
    if (bought < 0) return;
    const { buy, sell } = theme.get();
    const left = column.x + 3;
    context.fillStyle = mix(sell, 0.7, background);
    context.fillRect(left, y + 4, column.w - 6, this.rowHeight - 8);
    context.fillStyle = mix(buy, 0.7, background);
    context.fillRect(left, y + 4, bought, this.rowHeight - 8);
    context.fillStyle = background;
    context.fillRect(left + bought, y + 4, 1, this.rowHeight - 8);
    context.fillRect(Math.round(column.x + column.w / 2), y + 2, 1, this.rowHeight - 4);
  }

  #barPixels(index: number, bar: number): number {
    const column = this.#columns[index]!;
    if (column.bar === 'split') return Number.isFinite(bar) ? Math.round(((Math.max(-1, Math.min(1, bar)) + 1) / 2) * (column.w - 6)) : -1;
    if (!column.bar || !Number.isFinite(bar)) return 0;
    const room = column.bar === 'signed' ? column.w / 2 - 3 : column.w - 4;
    return Math.round(Math.max(-1, Math.min(1, bar)) * room);
  }

  #clearRow(context: CanvasRenderingContext2D, slot: number): void {
    if (this.#style[slot] === '') return;
    this.#style[slot] = '';
    this.#text.fill('\0', slot * this.#columns.length, (slot + 1) * this.#columns.length);
    context.fillStyle = theme.get().bg;
    context.fillRect(0, this.headerHeight + slot * this.rowHeight, this.#width - SCROLLBAR, this.rowHeight);
  }

  /** The sliver under the last whole row. */
  #paintRest(context: CanvasRenderingContext2D): void {
    if (this.#painted.total >= 0) return;
    const y = this.headerHeight + this.capacity * this.rowHeight;
    context.fillStyle = theme.get().bg;
    context.fillRect(0, y, this.#width, this.#height - y);
  }

  #paintHeader(context: CanvasRenderingContext2D, sort: Sort | undefined): void {
    const key = sort ? `${sort.id}${sort.descending}` : '';
    if (key === this.#painted.header) return;
    this.#painted.header = key;
    const colours = theme.get();
    context.fillStyle = colours.raised;
    context.fillRect(0, 0, this.#width, this.headerHeight);
    context.fillStyle = colours.border;
    context.fillRect(0, this.headerHeight - 1, this.#width, 1);
    for (const column of this.#columns) {
      const sorted = sort?.id === column.id;
      const arrow = sorted ? (sort.descending ? '▾' : '▴') : '';
      context.fillStyle = sorted ? colours.text : colours.muted;
      drawText(context, column.title + arrow, column.align, column.x + PAD, column.w - 2 * PAD + 4, this.headerHeight / 2 + 4);
    }
  }

  #paintScrollbar(context: CanvasRenderingContext2D): void {
    if (this.#painted.total === this.#total && this.#painted.top === this.top) return;
    this.#painted.total = this.#total;
    this.#painted.top = this.top;
    const x = this.#width - SCROLLBAR;
    const track = this.capacity * this.rowHeight;
    context.fillStyle = theme.get().bg;
    context.fillRect(x, this.headerHeight, SCROLLBAR, track);
    if (this.#total <= this.capacity) return;
    const length = Math.max(24, (this.capacity / this.#total) * track);
    const y = (this.top / (this.#total - this.capacity)) * (track - length);
    context.fillStyle = theme.get().label;
    context.fillRect(x + 2, this.headerHeight + Math.round(y), SCROLLBAR - 4, Math.round(length));
  }
}

const BLANK = { text: '', colour: '', bar: 0 };

function place(all: GridColumn[], width: number): Placed[] {
  let kept = [...all];
  const needed = (): number => kept.reduce((sum, column) => sum + column.width, 0);
  while (needed() > width) {
    const last = kept.reduce((worst, column) => ((column.drop ?? 0) > (worst.drop ?? 0) ? column : worst));
    if (!last.drop) break;
    kept = kept.filter((column) => column !== last);
  }
  const shares = kept.reduce((sum, column) => sum + (column.grow ?? 0), 0) || 1;
  const spare = Math.max(0, width - needed());
  let x = 0;
  return kept.map((column, index) => {
    const end = index === kept.length - 1 ? Math.max(width, x + column.width) : snap(x + column.width + Math.floor((spare * (column.grow ?? 0)) / shares));
    const placed = { ...column, x, w: end - x };
    x = end;
    return placed;
  });
}

function drawText(context: CanvasRenderingContext2D, text: string, align: GridColumn['align'], x: number, room: number, y: number): void {
  if (!text) return;
  const advance = charWidth(FONT_PX);
  const fits = Math.floor((room + 1) / advance);
  const ascii = isAscii(text);
  const shown = ascii ? (text.length > fits ? `${text.slice(0, Math.max(0, fits - 1))}…` : text) : cut(context, text, room);
  const width = ascii ? shown.length * advance : context.measureText(shown).width;
  const left = align === 'left' ? x : align === 'right' ? x + room - width : x + (room - width) / 2;
  context.fillText(shown, Math.round(left), y);
}

/** Names may be in any script, whose characters are as wide as they like. */
function cut(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room + 1) return text;
  let kept = [...text];
  while (kept.length > 1 && context.measureText(`${kept.join('')}…`).width > room) kept = kept.slice(0, -1);
  return `${kept.join('')}…`;
}

function isAscii(text: string): boolean {
  for (let k = 0; k < text.length; k++) {
    const code = text.charCodeAt(k);
    // The marks we print ourselves (arrows, dash, times) are in the figures' font and as wide as a digit.
    if (code > 0x24f && !(code >= 0x2010 && code <= 0x25ff)) return false;
  }
  return true;
}
