/** The pair as figures: what is asked above, moments, lines, tests and correlations below. */

import { mount, unmount } from 'svelte';
import { element, type Shown } from '../../core/panel';
import { charWidth, mix, theme } from '../../core/theme';
import { type PairAnswer, study, type Wish } from '../../data/study';
import StudyForm from '../../ui/StudyForm.svelte';
import { type Box, paintText } from '../features/paint';
import { ResearchPanel } from './panel';
import { wrapped } from './panes';
import { reportOf, type Row } from './report';

const FORM_PX = 56;
const ROW_PX = 16;
const HEAD_PX = 20;
const PAD = 8;
const WHEEL_PX = 40;
/** Columns of figures at the right end of a row. */
const CELL_CHARS = 12;
const MOST_CELLS = 6;
/** Of a figure, as in -0.0123456. */
const LONGEST_CHARS = 10;
const PX = 11;

export class AnalyticsPanel extends ResearchPanel {
  readonly id = 'analytics';
  readonly perfName = 'analytics';
  override readonly maxHz = 5;

  #top = 0;
  #height = 0;

  protected override start(): void {
    const strip = element('div', 'study-strip');
    strip.style.cssText = `position:absolute;inset:0 0 auto 0;height:${FORM_PX}px;z-index:1`;
    this.body.append(strip);
    const form = mount(StudyForm, { target: strip, props: { market: this.workspace.market } });
    this.keep(() => void unmount(form));
    this.canvas.addEventListener('wheel', (event) => this.#scroll(event.deltaY, event), { passive: false });
    super.start();
  }

  override onKey(event: KeyboardEvent): boolean {
    const moves: Record<string, number> = { ArrowDown: WHEEL_PX, ArrowUp: -WHEEL_PX, PageDown: this.height, PageUp: -this.height };
    const by = moves[event.key];
    if (by === undefined) return false;
    this.#scroll(by);
    return true;
  }

  #scroll(by: number, event?: WheelEvent): void {
    event?.preventDefault();
    const room = this.height - FORM_PX - 18;
    this.#top = Math.max(0, Math.min(this.#top + by, this.#height - room));
    this.invalidate(true);
  }

  protected override box(): Box {
    return { x: 0, y: FORM_PX, width: this.width, height: this.height - FORM_PX };
  }

  #rows(pair: PairAnswer, wish: Wish): Row[] {
    return reportOf(pair, study.get().ticks, wish);
  }

  protected paintPair(context: CanvasRenderingContext2D, box: Box, pair: PairAnswer, wish: Wish): void {
    context.save();
    context.beginPath();
    context.rect(box.x, box.y, box.width, box.height);
    context.clip();
    let y = box.y - this.#top;
    for (const row of this.#rows(pair, wish)) y += this.#paintRow(context, row, box, y);
    context.restore();
    this.#height = y + this.#top - box.y;
    this.#paintScrollbar(context, box);
  }

  #paintRow(context: CanvasRenderingContext2D, row: Row, box: Box, y: number): number {
    const { text, muted, buy, neutral, raised, bg } = theme.get();
    const colour = { plain: text, good: buy, warn: neutral, muted }[row.tone];
    const room = box.width - 2 * PAD - 6;
    if (row.kind === 'note') {
      const lines = wrapped(row.label, Math.max(20, Math.floor(room / charWidth(10))));
      lines.forEach((line, k) => paintText(context, line, PAD, y + 12 + 13 * k, room, 10, colour));
      return 13 * lines.length + 4;
    }
    const height = row.kind === 'head' ? HEAD_PX : ROW_PX;
    if (row.kind === 'head') {
      context.fillStyle = raised;
      context.fillRect(box.x, y + 2, box.width, HEAD_PX - 3);
    } else if (row.tone === 'good') {
      context.fillStyle = mix(buy, 0.08, bg);
      context.fillRect(box.x, y, box.width, ROW_PX);
    }
    const base = y + height - 5;
    // Two cells are a value and its explanation; more are columns.
    const explained = row.kind === 'row' && row.cells.length === 2;
    const width = Math.min(CELL_CHARS * charWidth(PX), (room * 0.72) / MOST_CELLS);
    const labelRoom = explained ? room * 0.28 : room - Math.max(4, row.cells.length) * width;
    paintText(context, row.label, PAD, base, labelRoom, PX, row.kind === 'head' ? text : muted, row.kind === 'head' ? 600 : 400);
    if (explained) {
      paintText(context, row.cells[0]!, PAD + room * 0.28, base, room * 0.27, PX, colour, 600);
      paintText(context, row.cells[1]!, PAD + room * 0.56, base, room * 0.44, PX, muted);
      return height;
    }
    // One size for all figures, whichever the longest ones need.
    const px = Math.max(9, Math.min(PX, Math.floor((width - 4) / (LONGEST_CHARS * charWidth(1)))));
    row.cells.forEach((cell, k) => {
      const right = PAD + room - (row.cells.length - 1 - k) * width;
      paintText(context, cell, right - Math.min(cell.length * charWidth(px), width - 3), base, width - 2, px, row.kind === 'head' ? muted : row.tone === 'good' ? text : colour);
    });
    return height;
  }

  #paintScrollbar(context: CanvasRenderingContext2D, box: Box): void {
    if (this.#height <= box.height) return;
    const length = Math.max(24, (box.height / this.#height) * box.height);
    context.fillStyle = theme.get().label;
    context.fillRect(box.width - 5, box.y + (this.#top / (this.#height - box.height)) * (box.height - length), 3, length);
  }

  protected shown(pair: PairAnswer | undefined, wish: Wish): object {
    const rows = pair ? this.#rows(pair, wish) : [];
    return { rows: rows.map(({ kind, label, cells, tone }) => [kind, label, ...cells, tone]), raw: pair ?? null, ticks: study.get().ticks ?? null };
  }

  override table(): Shown | undefined {
    const { pair, wish } = study.get();
    if (!pair) return undefined;
    const rows = this.#rows(pair, wish);
    const columns = ['section', 'figure', ...Array.from({ length: MOST_CELLS }, (_, k) => `value ${k + 1}`)];
    let section: Row | undefined;
    const cells: Shown['rows'] = [];
    for (const one of rows) {
      if (one.kind === 'head') section = one;
      const values = Array.from({ length: MOST_CELLS }, (_, k) => one.cells[k] ?? null);
      cells.push([section?.label ?? '', one.kind === 'head' ? '' : one.label, ...values]);
    }
    return { columns, rows: cells };
  }
}
