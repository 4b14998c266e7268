/** The DOM ladder: prices stand still, and what rests, trades, is pulled and stacked at them changes. */

import { point, pointedElsewhere, unpoint } from '../../core/aim';
import { BookPanel } from '../../core/bookpanel';
import { onGrid, stepText, toNumber } from '../../core/decimal';
import { snap } from '../../core/dots';
import { clockMinutes, clockSeconds } from '../../core/format';
import type { Shown } from '../../core/panel';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { charWidth, font, theme } from '../../core/theme';
import type { Frame } from '../../core/wire';
import { LadderData } from '../../data/ladder';
import { venueNow } from '../../data/status';
import { Cells, type Most } from './cells';
import { columnsFor, place, type Placed } from './columns';
import { autoStep, nextStep } from './steps';

const ROWS_ASKED = 200;
const ROW_PX = 18;
const HEAD_PX = 20;
const FOOT_PX = 20;
/** The ladder is centred anew when the last price leaves this middle part of it. */
const CALM = 0.6;
/** Resting sizes of this rank or above are bright. */
const LARGE_RANK = 0.95;

export class LadderPanel extends BookPanel {
  readonly id = 'ladder';
  readonly perfName = 'ladder';
  readonly maxHz = 5;
  protected readonly topic = 'ladder';

  /** What the head's controls show: ticks a row, and whether nobody chose them. */
  readonly step = new Store<{ ticks: number; auto: boolean; label: string }>({ ticks: 0, auto: true, label: '—' });
  readonly wasReset = new Store(false);

  readonly #data = new LadderData();
  #columns: Placed[] = [];
  /** Lower edge of the uppermost row on screen, ticks; NaN: to be centred. */
  #top = NaN;
  /** A hand has moved the ladder: it stays until it is centred. */
  #moved = false;
  #wheel = 0;
  #auto: number | undefined;
  #pointer: { x: number; y: number } | undefined;
  readonly #cells = new Cells(this.#data);

  protected override start(): void {
    super.start();
    this.keep(settings.onChange(() => this.subscribe()));
    this.followAim();
    this.canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    this.canvas.addEventListener('dblclick', () => this.centre());
    this.canvas.addEventListener('pointermove', (event) => this.#point({ x: event.offsetX, y: event.offsetY }));
    this.canvas.addEventListener('pointerleave', () => this.#point(undefined));
  }

  protected override params(): Record<string, unknown> {
    const chosen = settings.get().ladder.steps[this.#key()];
    const ticks = chosen ?? this.#auto;
    // Without a step the server answers in ticks; its first answer tells the price, and so the automatic step.
    return ticks === undefined || this.#data.step === 0 ? { rows: ROWS_ASKED } : { rows: ROWS_ASKED, step: stepText(ticks, this.#data.tick) };
  }

  #key(): string {
    const { exchange, symbol } = this.look.get();
    return `${exchange}:${symbol}`;
  }

  protected forget(): void {
    this.#data.clear();
    this.#auto = undefined;
    this.#again();
  }

  #again(): void {
    this.#top = NaN;
    this.#moved = false;
    this.#cells.forget(0);
    this.wasReset.set(false);
  }

  protected onFrame(frame: Frame): void {
    const before = this.#data.step;
    this.#data.onFrame(frame);
    const price = this.#data.bid || this.#data.last;
    if (this.#auto === undefined && price > 0) this.#auto = autoStep(price, ROWS_ASKED);
    if (this.#data.step !== before) this.#again();
    this.wasReset.set(this.#data.wasReset);
    const chosen = settings.get().ladder.steps[this.#key()];
    const label = stepText(this.#data.step, this.#data.tick);
    const known = this.step.get();
    if (known.label !== label || known.auto !== (chosen === undefined)) this.step.set({ ticks: this.#data.step, auto: chosen === undefined, label });
    this.subscribe();
  }

  protected contextText(): string {
    const { step, tick, windowMs } = this.#data;
    if (step === 0) return '';
    return `row ${stepText(step, tick)} · ${this.unit()} · pulled, stacked in ${windowMs / 1000} s`;
  }

  /** Rows of so many ticks; undefined leaves it to the price. */
  chooseStep(ticks: number | undefined): void {
    const steps = { ...settings.get().ladder.steps };
    if (ticks === undefined) delete steps[this.#key()];
    else steps[this.#key()] = ticks;
    settings.update({ ladder: { ...settings.get().ladder, steps } });
  }

  /** The last price in the middle. */
  centre(): void {
    this.#moved = false;
    this.#top = NaN;
    this.invalidate(true);
  }

  /** Count what is traded from now on, or for the whole session again. */
  resetTraded(): void {
    if (this.#data.wasReset) this.#data.wholeSession();
    else this.#data.resetTraded(venueNow(this.workspace.feed.serverNow(), this.look.get().exchange));
    this.wasReset.set(this.#data.wasReset);
    this.invalidate(true);
  }

  protected override reset(): void {
    super.reset();
    this.#cells.row = snap(ROW_PX);
    this.#columns = place(columnsFor(this.width), this.width);
    this.#cells.forget(0);
    this.#top = NaN;
  }

  // ---- painting

  get #rows(): number {
    return Math.max(0, Math.floor((this.height - HEAD_PX - FOOT_PX) / this.#cells.row));
  }

  protected paint(context: CanvasRenderingContext2D): void {
    const { bg, muted } = theme.get();
    context.textBaseline = 'alphabetic';
    if (this.#data.step === 0) {
      this.#cells.forget(0);
      context.fillStyle = bg;
      context.fillRect(0, 0, this.width, this.height);
      context.font = font(12);
      context.fillStyle = muted;
      context.fillText('waiting for the book', 16, 28);
      return;
    }
    this.#hold();
    if (this.#cells.count !== this.#rows * this.#columns.length) this.#clear(context);
    const most = this.#most();
    for (let slot = 0; slot < this.#rows; slot++) {
      this.#cells.paintRow(context, this.#columns, slot, this.#top - slot * this.#data.step, HEAD_PX + slot * this.#cells.row, most, theme.get());
    }
    this.#paintFoot(context);
    this.#paintPointer();
  }

  /** Centre where nobody has moved it and the price has left the middle. */
  #hold(): void {
    const { step, last, bid, ask } = this.#data;
    const price = Number.isNaN(bid) ? last : Math.floor((bid + ask) / 2);
    if (Number.isNaN(price)) {
      if (Number.isNaN(this.#top)) this.#top = this.#data.base + (this.#data.rows - 1) * step;
      return;
    }
    const rows = this.#rows;
    const slot = (this.#top - this.#data.edgeOf(price)) / step;
    const calm = slot >= (rows * (1 - CALM)) / 2 && slot <= (rows * (1 + CALM)) / 2;
    if (Number.isNaN(this.#top) || (!this.#moved && !calm)) this.#top = this.#data.edgeOf(price) + Math.floor(rows / 2) * step;
  }

  #clear(context: CanvasRenderingContext2D): void {
    const { bg, raised, border, muted, grid } = theme.get();
    this.#cells.forget(this.#rows * this.#columns.length);
    context.fillStyle = bg;
    context.fillRect(0, 0, this.width, this.height);
    context.fillStyle = grid;
    for (let slot = 1; slot <= this.#rows; slot++) context.fillRect(0, HEAD_PX + slot * this.#cells.row - 1, this.width, 1);
    context.fillStyle = raised;
    context.fillRect(0, 0, this.width, HEAD_PX);
    context.fillStyle = border;
    context.fillRect(0, HEAD_PX - 1, this.width, 1);
    context.font = font(10);
    context.fillStyle = muted;
    for (const { title, x, w } of this.#columns) context.fillText(title, Math.round(x + (w - title.length * charWidth(10)) / 2), 13);
  }

  #most(): Most {
    const sizes: number[] = [];
    let traded = 0;
    for (let slot = 0; slot < this.#rows; slot++) {
      const edge = this.#top - slot * this.#data.step;
      for (const side of ['bid', 'ask'] as const) {
        const size = this.#data.at(side, edge);
        if (size > 0) sizes.push(size);
      }
      for (const side of ['sold', 'bought'] as const) traded = Math.max(traded, this.#data.at(side, edge) || 0);
    }
    sizes.sort((a, b) => a - b);
    return { resting: sizes.at(-1) ?? 1, traded: traded || 1, large: sizes[Math.floor(sizes.length * LARGE_RANK)] ?? Infinity };
  }

  #paintFoot(context: CanvasRenderingContext2D): void {
    const { raised, border, muted, amber } = theme.get();
    const y = this.height - FOOT_PX;
    const below = HEAD_PX + this.#rows * this.#cells.row;
    context.fillStyle = theme.get().bg;
    context.fillRect(0, below, this.width, y - below);
    context.fillStyle = raised;
    context.fillRect(0, y, this.width, FOOT_PX);
    context.fillStyle = border;
    context.fillRect(0, y, this.width, 1);
    context.font = font(10);
    const since = this.#data.countedSince;
    const when = since === null ? '—' : this.#data.wasReset ? clockSeconds(since) : clockMinutes(since);
    const text = `traded since ${when} UTC${this.#data.wasReset ? ' (reset)' : ''}`;
    context.fillStyle = muted;
    context.fillText(text, 8, y + 13);
    if (this.#data.missing > 0 && this.width > 360) {
      context.fillStyle = amber;
      context.fillText(`≈ ${this.#data.missing} trades missing`, 8 + (text.length + 2) * charWidth(10), y + 13);
    }
    if (!this.#moved) return;
    const hint = 'moved · Space centres';
    context.fillStyle = theme.get().neutral;
    context.fillText(hint, this.width - 8 - hint.length * charWidth(10), y + 13);
  }

  #paintPointer(): void {
    const context = this.over;
    context.clearRect(0, 0, this.width, this.height);
    const at = this.#pointer;
    const head = at && at.y < HEAD_PX ? this.#columns.find(({ x, w }) => at.x >= x && at.x < x + w) : undefined;
    this.canvas.title = head?.hint ?? '';
    const { step, tick } = this.#data;
    const own = at && at.y >= HEAD_PX ? Math.floor((at.y - HEAD_PX) / this.#cells.row) : undefined;
    if (own !== undefined && own < this.#rows) point(this, undefined, toNumber(this.#top - own * step, tick));
    else unpoint(this);
    const { price } = pointedElsewhere(this);
    const slot = price === undefined ? own : Math.round((this.#top - this.#data.edgeOf(Math.round(onGrid(price, tick)))) / step);
    if (slot === undefined || slot < 0 || slot >= this.#rows) return;
    const { text, accent } = theme.get();
    context.strokeStyle = price === undefined ? `${text}80` : accent;
    context.strokeRect(0.5, HEAD_PX + slot * this.#cells.row - 0.5, this.width - 1, this.#cells.row);
  }

  // ---- hand and keys

  #point(at: { x: number; y: number } | undefined): void {
    this.#pointer = at;
    this.invalidate(true);
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.#wheel += event.deltaY / 32;
    const rows = Math.trunc(this.#wheel);
    this.#wheel -= rows;
    this.#scroll(rows);
  }

  #scroll(rows: number): void {
    if (rows === 0 || Number.isNaN(this.#top)) return;
    const { base, step } = this.#data;
    const least = base + (this.#rows - 1) * step;
    const most = base + (this.#data.rows - 1) * step;
    this.#top = Math.min(Math.max(this.#top - rows * step, Math.min(least, most)), most);
    this.#moved = true;
    this.invalidate(true);
  }

  override onKey(event: KeyboardEvent): boolean {
    const actions: Record<string, () => void> = {
      ' ': () => this.centre(),
      d: () => this.centre(),
      ArrowUp: () => this.#scroll(-1),
      ArrowDown: () => this.#scroll(1),
      PageUp: () => this.#scroll(1 - this.#rows),
      PageDown: () => this.#scroll(this.#rows - 1),
      '[': () => this.chooseStep(nextStep(this.#data.step, -1, ROWS_ASKED)),
      ']': () => this.chooseStep(nextStep(this.#data.step, 1, ROWS_ASKED)),
      r: () => this.resetTraded(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    action?.();
    return action !== undefined;
  }

  /** The rows on screen as printed, highest price first, and what stands behind them. */
  override table(): Shown {
    const { columns, rows } = this.snapshot();
    return { columns, rows };
  }

  snapshot(): { columns: string[]; rows: string[][] } & Record<string, unknown> {
    const data = this.#data;
    if (data.step !== 0) this.#hold(); // where the next painting will have it
    const edges = data.step === 0 || Number.isNaN(this.#top) ? [] : Array.from({ length: this.#rows }, (_, slot) => this.#top - slot * data.step);
    const value = (lots: number): number | null => (Number.isNaN(lots) ? null : toNumber(lots, data.lot));
    return {
      symbol: data.symbol,
      state: this.health.get().state,
      context: this.context.get(),
      step: data.step ? toNumber(data.step, data.tick) : null,
      columns: this.#columns.map(({ id }) => id),
      last: Number.isNaN(data.last) ? null : toNumber(data.last, data.tick),
      bid: Number.isNaN(data.bid) ? null : toNumber(data.bid, data.tick),
      ask: Number.isNaN(data.ask) ? null : toNumber(data.ask, data.tick),
      traded_since: data.countedSince,
      centred: !this.#moved,
      rows: edges.map((edge) => this.#columns.map((column) => this.#cells.text(column, edge))),
      raw: edges.map((edge) => ({
        p: toNumber(edge, data.tick),
        ...Object.fromEntries((['bid', 'ask', 'sold', 'bought', 'bid_pulled', 'bid_stacked', 'ask_pulled', 'ask_stacked'] as const).map((name) => [name, value(data.at(name, edge))])),
      })),
    };
  }
}
