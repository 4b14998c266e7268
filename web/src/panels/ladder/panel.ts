/** The DOM ladder: prices stand still, and what rests, trades, is pulled and stacked at them changes. */

import { BookPanel } from '../../core/bookpanel';
import { stepText, toNumber, toText } from '../../core/decimal';
import { clockMinutes, clockSeconds, quantity } from '../../core/format';
import { hatch } from '../../core/hatch';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { charWidth, font, mix, readable, type Theme, theme } from '../../core/theme';
import type { Frame } from '../../core/wire';
import { LadderData } from '../../data/ladder';
import { venueNow } from '../../data/status';
import { columnsFor, place, type Placed } from './columns';
import { autoStep, nextStep } from './steps';

const ROWS_ASKED = 200;
const ROW_PX = 18;
const HEAD_PX = 20;
const FOOT_PX = 20;
const FONT_PX = 11;
const PAD = 5;
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
  /** What each row on screen says, to draw only what has changed. */
  #shown: string[] = [];

  protected override start(): void {
    super.start();
    this.keep(settings.onChange(() => this.subscribe()));
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
    this.#shown = [];
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
    this.#columns = place(columnsFor(this.width), this.width);
    this.#shown = [];
    this.#top = NaN;
  }

  // ---- painting

  get #rows(): number {
    return Math.max(0, Math.floor((this.height - HEAD_PX - FOOT_PX) / ROW_PX));
  }

  protected paint(context: CanvasRenderingContext2D): void {
    const { bg, muted } = theme.get();
    context.textBaseline = 'alphabetic';
    if (this.#data.step === 0) {
      this.#shown = [];
      context.fillStyle = bg;
      context.fillRect(0, 0, this.width, this.height);
      context.font = font(12);
      context.fillStyle = muted;
      context.fillText('waiting for the book', 16, 28);
      return;
    }
    this.#hold();
    if (this.#shown.length !== this.#rows) this.#clear(context);
    const most = this.#most();
    for (let slot = 0; slot < this.#rows; slot++) this.#paintRow(context, slot, most);
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
    const { bg, raised, border, muted } = theme.get();
    this.#shown = new Array<string>(this.#rows).fill('');
    context.fillStyle = bg;
    context.fillRect(0, 0, this.width, this.height);
    context.fillStyle = raised;
    context.fillRect(0, 0, this.width, HEAD_PX);
    context.fillStyle = border;
    context.fillRect(0, HEAD_PX - 1, this.width, 1);
    context.font = font(10);
    context.fillStyle = muted;
    for (const { title, x, w } of this.#columns) context.fillText(title, Math.round(x + (w - title.length * charWidth(10)) / 2), 13);
  }

  /** Largest figures on screen, that bars are measured against, and the size from which a resting one is large. */
  #most(): { resting: number; traded: number; large: number } {
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

  #figure(column: Placed, edge: number): number {
    const plus = column.plus ? this.#data.at(column.plus, edge) : 0;
    const minus = column.minus ? this.#data.at(column.minus, edge) : 0;
    return plus - minus;
  }

  #text(column: Placed, edge: number): string {
    if (column.id === 'price') return toText(Math.max(0, edge), this.#data.tick);
    const lots = this.#figure(column, edge);
    if (Number.isNaN(lots)) return '—';
    if (lots === 0) return '';
    const text = quantity(toNumber(Math.abs(lots), this.#data.lot), this.#data.lot.decimals);
    return column.signed ? `${lots > 0 ? '+' : '−'}${text}` : text;
  }

  #paintRow(context: CanvasRenderingContext2D, slot: number, most: { resting: number; traded: number; large: number }): void {
    const edge = this.#top - slot * this.#data.step;
    const texts = this.#columns.map((column) => this.#text(column, edge));
    const bars = this.#columns.map((column) => this.#bar(column, edge, most));
    const mark = edge === this.#data.edgeOf(this.#data.last) ? this.#data.lastSide + 2 : 0;
    const place = Number.isNaN(this.#data.bid) ? 0 : edge >= this.#data.edgeOf(this.#data.ask) ? 1 : edge <= this.#data.edgeOf(this.#data.bid) ? -1 : 0;
    const signature = `${texts.join('|')}|${bars.join()}|${mark}|${place}|${this.live}`;
    if (signature === this.#shown[slot]) return;
    this.#shown[slot] = signature;
    const y = HEAD_PX + slot * ROW_PX;
    const colours = theme.get();
    context.fillStyle = colours.bg;
    context.fillRect(0, y, this.width, ROW_PX);
    this.#columns.forEach((column, k) => this.#paintCell(context, column, texts[k]!, bars[k]!, y, { edge, mark, place, large: most.large }));
    context.fillStyle = colours.grid;
    context.fillRect(0, y + ROW_PX - 1, this.width, 1);
  }

  #bar(column: Placed, edge: number, most: { resting: number; traded: number }): number {
    if (!column.bar) return 0;
    const lots = this.#figure(column, edge);
    return lots > 0 ? Math.round((lots / most[column.bar.group]) * (column.w - 2)) : 0;
  }

  #paintCell(context: CanvasRenderingContext2D, column: Placed, text: string, bar: number, y: number, row: { edge: number; mark: number; place: number; large: number }): void {
    const colours = theme.get();
    const { x, w } = column;
    let ground = colours.bg;
    if (column.side === 'price') {
      ground = row.mark ? mix(row.mark === 3 ? colours.buy : row.mark === 1 ? colours.sell : colours.neutral, 0.5) : mix(colours.text, 0.06);
      context.fillStyle = ground;
      context.fillRect(x, y, w, ROW_PX - 1);
    } else if (text === '—' && (column.id === 'bid' || column.id === 'ask')) {
      context.fillStyle = hatch(context, colours);
      context.fillRect(x, y, w, ROW_PX - 1);
    } else if (column.bar && bar > 0) {
      const side = column.side === 'bid' ? (column.bar.group === 'traded' ? colours.sell : colours.buy) : column.bar.group === 'traded' ? colours.buy : colours.sell;
      ground = mix(side, column.bar.group === 'traded' ? 0.22 : 0.34);
      context.fillStyle = ground;
      context.fillRect(column.bar.from === 'left' ? x + 1 : x + w - 1 - bar, y + 1, bar, ROW_PX - 3);
    }
    if (!text) return;
    context.font = font(FONT_PX, column.side === 'price' && row.mark ? 600 : 400);
    context.fillStyle = this.#ink(column, text, row, ground, colours);
    const wide = text.length * charWidth(FONT_PX);
    const centred = column.side === 'price' || text === '—';
    const at = centred ? x + (w - wide) / 2 : column.bar?.from === 'left' ? x + PAD : x + w - PAD - wide;
    context.fillText(text, Math.round(at), y + 13);
  }

  #ink(column: Placed, text: string, row: { edge: number; mark: number; place: number; large: number }, ground: string, colours: Theme): string {
    const { buy, sell, text: plain, muted, faint } = colours;
    if (text === '—') return faint;
    if (column.side === 'price') return row.mark ? plain : readable(row.place > 0 ? sell : row.place < 0 ? buy : muted, ground);
    // What strengthens a side has its colour, what weakens it the other's.
    if (column.signed) return (text.startsWith('+') === (column.side === 'bid')) ? buy : sell;
    if (column.bar?.group === 'resting') return this.#figure(column, row.edge) >= row.large ? '#ffffff' : plain;
    return plain;
  }

  #paintFoot(context: CanvasRenderingContext2D): void {
    const { raised, border, muted, amber } = theme.get();
    const y = this.height - FOOT_PX;
    const below = HEAD_PX + this.#rows * ROW_PX;
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
    if (!at) return;
    const { text } = theme.get();
    if (at.y < HEAD_PX) {
      const column = this.#columns.find(({ x, w }) => at.x >= x && at.x < x + w);
      this.canvas.title = column?.hint ?? '';
      return;
    }
    this.canvas.title = '';
    const slot = Math.floor((at.y - HEAD_PX) / ROW_PX);
    if (slot >= this.#rows) return;
    context.strokeStyle = `${text}80`;
    context.strokeRect(0.5, HEAD_PX + slot * ROW_PX - 0.5, this.width - 1, ROW_PX);
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
  snapshot(): object {
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
      rows: edges.map((edge) => this.#columns.map((column) => this.#text(column, edge))),
      raw: edges.map((edge) => ({
        p: toNumber(edge, data.tick),
        ...Object.fromEntries((['bid', 'ask', 'sold', 'bought', 'bid_pulled', 'bid_stacked', 'ask_pulled', 'ask_stacked'] as const).map((name) => [name, value(data.at(name, edge))])),
      })),
    };
  }
}
