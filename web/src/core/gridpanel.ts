/** A panel whose main part is a `TextGrid`: wheel, scrollbar, hover, click, arrow keys. Subclasses write rows. */

import { CanvasPanel } from './panel';
import type { PanelSnapshot, Shown } from './panel';
import type { Put, RowStyle, Sort, TextGrid, WriteRow } from './textgrid';
import { lost, status } from '../data/status';
import { mix, theme } from './theme';

const FLASH_MS = 400;
const WHEEL_PX_PER_ROW = 40;

export abstract class GridPanel extends CanvasPanel {
  protected abstract readonly grid: TextGrid;
  #scrolling = false;
  #wheel = 0;
  #flashing = false;
  /** Row the arrow keys are on; -1 until they are used. */
  #cursor = -1;

  protected abstract count(): number;
  protected abstract writeRow: WriteRow;
  protected abstract rawRow(row: number): unknown;
  protected abstract onRow(row: number): void;
  /** Why there is no row. */
  protected abstract emptySentence(): string;
  protected onHeader(_column: string): void {}
  /** The pointer came over the rows or left them. */
  protected onHold(_held: boolean): void {}
  protected sort(): Sort | undefined {
    return undefined;
  }

  /** Part of the canvas, from its upper left corner, that the table has. */
  protected gridSize(): { width: number; height: number } {
    return { width: this.width, height: this.height };
  }

  protected start(): void {
    const { canvas } = this;
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    canvas.addEventListener('pointermove', (event) => this.onMove(event));
    canvas.addEventListener('pointerdown', (event) => this.#onPress(event));
    canvas.addEventListener('pointerup', () => (this.#scrolling = false));
    canvas.addEventListener('pointerleave', () => this.onLeave());
    canvas.addEventListener('click', (event) => this.onClick(event));
  }

  protected reset(): void {
    const { width, height } = this.gridSize();
    this.grid.layout(width, height);
  }

  protected paint(context: CanvasRenderingContext2D, _now: number): void {
    this.#flashing = false;
    this.grid.paint(context, this.count(), this.sort(), this.writeRow);
    if (this.count() === 0 && this.dataArrived) this.grid.paintEmpty(context, this.emptySentence());
    if (this.#flashing) this.invalidate();
  }

  snapshot(): PanelSnapshot & Record<string, unknown> {
    const rows = this.grid.rows();
    return {
      columns: this.grid.columns.map((column) => column.id),
      rows,
      raw: rows.map((_, slot) => this.rawRow(this.grid.top + slot)),
      count: this.count(),
      context: this.context.get(),
      state: this.health.get().state,
    };
  }

  /** Every row, not only those in sight: the figures behind what is printed. */
  override table(): Shown {
    const records = Array.from({ length: this.count() }, (_, row) => cellsOf(this.rawRow(row)));
    const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
    return { columns, rows: records.map((record) => columns.map((name) => record[name] ?? null)) };
  }

  /** How a row about a venue is written: in no live colour, and with a word, while nothing comes from there. */
  protected putOf(exchange: string, put: Put): Put {
    const venue = status.get().venues[exchange];
    if (lost(venue) === undefined) return put;
    const { faint } = theme.get();
    return (column, text) => put(column, column === 'venue' ? `${text} ${venue!.connected ? 'stale' : 'down'}` : text, faint, NaN);
  }

  /** Background of a row: hovered, cursor and just changed, over a tint. */
  protected rowStyle(row: number, tint: string, changedAt: number, now: number, mark: string): RowStyle {
    const { bg, text } = theme.get();
    const age = now - changedAt;
    let background = tint;
    if (age < FLASH_MS) {
      this.#flashing = true;
      background = mix(mark || text, age < FLASH_MS / 3 ? 0.24 : 0.14, bg);
    }
    if (row === this.grid.hovered || row === this.#cursor) background = mix(text, 0.08, background);
    return { background, mark };
  }

  protected onMove(event: PointerEvent): void {
    const { offsetX: x, offsetY: y } = event;
    if (this.#scrolling) return this.#scrollTo(y);
    const inside = x < this.gridSize().width && y < this.gridSize().height;
    const hit = this.grid.hit(x, y);
    this.canvas.title = (inside && hit.header && this.grid.columns.find(({ id }) => id === hit.column)?.hint) || '';
    this.#hover(inside && !hit.header ? hit.row : -1);
    this.onHold(inside && !hit.header);
    this.canvas.style.cursor = inside && (hit.row >= 0 || hit.header) ? 'pointer' : '';
  }

  protected onLeave(): void {
    this.#hover(-1);
    this.onHold(false);
  }

  protected onClick(event: MouseEvent): void {
    const { offsetX: x, offsetY: y } = event;
    const { width, height } = this.gridSize();
    if (x >= width || y >= height || this.grid.scrollbarRow(x, y) !== undefined) return;
    const hit = this.grid.hit(x, y);
    if (hit.header) this.onHeader(hit.column);
    else if (hit.row >= 0) this.onRow(hit.row);
  }

  override onKey(event: KeyboardEvent): boolean {
    const page = Math.max(1, this.grid.capacity - 1);
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
    if (event.key === 'Enter' && this.#cursor >= 0) this.onRow(this.#cursor);
    else if (event.key in moves) this.#moveCursor(moves[event.key]!);
    else return false;
    return true;
  }

  #moveCursor(by: number): void {
    const start = this.#cursor < 0 ? this.grid.top - Math.sign(by) : this.#cursor;
    this.#cursor = Math.max(0, Math.min(this.count() - 1, start + by));
    this.grid.reveal(this.#cursor);
    this.invalidate(true);
  }

  #hover(row: number): void {
    if (row === this.grid.hovered) return;
    this.grid.hovered = row;
    this.invalidate(true);
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.#wheel += event.deltaY / WHEEL_PX_PER_ROW;
    const rows = Math.trunc(this.#wheel);
    this.#wheel -= rows;
    if (rows === 0 || !this.grid.scrollBy(rows)) return;
    this.grid.hovered = this.grid.hit(event.offsetX, event.offsetY).row;
    this.invalidate(true);
  }

  #onPress(event: PointerEvent): void {
    if (this.grid.scrollbarRow(event.offsetX, event.offsetY) === undefined) return;
    this.#scrolling = true;
    this.canvas.setPointerCapture(event.pointerId);
    this.#scrollTo(event.offsetY);
  }

  #scrollTo(y: number): void {
    const row = this.grid.scrollbarRow(Infinity, y);
    if (row !== undefined && this.grid.scrollTo(row)) this.invalidate(true);
  }
}

/** The figures of a record by name; those of a record within it have its name before theirs. */
function cellsOf(record: unknown, before = ''): Record<string, string | number | boolean | null> {
  const cells: Record<string, string | number | boolean | null> = {};
  for (const [name, value] of Object.entries(record ?? {})) {
    if (Array.isArray(value)) cells[before + name] = value.map(String).join('; ');
    else if (typeof value === 'object' && value !== null) Object.assign(cells, cellsOf(value, `${before}${name}.`));
    else if (typeof value === 'number') cells[before + name] = Number.isFinite(value) ? value : null;
    else if (typeof value === 'string' || typeof value === 'boolean') cells[before + name] = value;
    else if (typeof value === 'bigint') cells[before + name] = String(value);
  }
  return cells;
}
