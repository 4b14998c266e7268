/** The heatmap: what rested at each price over time, what was traded against it, and where nothing is known. */

import { point, pointedElsewhere, unpoint } from '../../core/aim';
import { BookPanel } from '../../core/bookpanel';
import { type CrosshairFrame, type Line, paintAim, paintCrosshair, paintTooltip, type Pointer } from '../../core/crosshair';
import { onGrid, toNumber, toText } from '../../core/decimal';
import type { Shown } from '../../core/panel';
import { clockSeconds, day, money, quantity } from '../../core/format';
import { Hand } from '../../core/hand';
import { hatch } from '../../core/hatch';
import { settings } from '../../core/settings';
import { charWidth, font, theme } from '../../core/theme';
import type { Frame } from '../../core/wire';
import { type HeatHead, HeatmapData, KEPT } from '../../data/heatmap';
import { Bitmap, ROWS } from './bitmap';
import { type Bubble, bubblesOf, paintBubbles, radius, reference } from './bubbles';
import { paintAxes, paintProfile, paintQuotes, type Picture, profileWidth, TIME_AXIS_PX } from './draw';
import { Legend } from './legend';
import { marks } from './marks';
import { type Ramp, rampOf, Sampler, type Scale, settle } from './scale';
import { View } from './view';

const RESCALE_MS = 2_000;
const DRAW_BUDGET_MS = 4;

/** Of a file, and a column more: the server takes 200,000. */
const ROWS_SAVED = 150_000;

export class HeatmapPanel extends BookPanel {
  readonly id = 'heatmap';
  readonly perfName = 'heatmap';
  readonly maxHz = 10;
  protected readonly topic = 'heatmap';

  readonly #data = new HeatmapData();
  readonly #view = new View();
  readonly #bitmap = new Bitmap();
  readonly #legend = new Legend();
  readonly #sampler = new Sampler();
  #scale: Scale | undefined;
  #rescaledAt = -Infinity;
  #bubbles: Bubble[] = [];
  #whole = 1;
  #dirty = true;
  readonly #hand = new Hand(this.canvas, this.#view, {
    oldest: () => this.#data.oldest * (this.#data.head?.columnMs ?? 0),
    grab: (at) => this.#grab(at),
    moved: () => this.redraw(),
    pointed: () => this.invalidate(true),
  });

  protected override start(): void {
    super.start();
    this.keep(settings.onChange(() => this.redraw()));
    this.followAim();
    this.canvas.addEventListener('dblclick', (event) => {
      if (this.#legend.covers({ x: event.offsetX, y: event.offsetY })) this.lock(false);
    });
  }

  protected forget(): void {
    this.#data.clear();
    this.#view.follow();
    this.#scale = undefined;
    this.#rescaledAt = -Infinity;
    this.#bubbles = [];
    this.redraw();
  }

  protected override reset(): void {
    super.reset();
    this.#view.perTick = 0;
    this.redraw();
  }

  protected onFrame(frame: Frame): void {
    this.#data.onFrame(frame);
    this.#dirty = true;
  }

  protected contextText(): string {
    const { head } = this.#data;
    if (!head) return '';
    const bin = toText(head.step, head.tick);
    const { perTick, height, top } = this.#view;
    const half = height / perTick / 2;
    const reach = perTick > 0 && top > half ? ` · ±${((half / (top - half)) * 1e4).toFixed(0)} bps` : '';
    return `${Math.round(this.#view.spanMs / 1000)} s${reach} · ${head.columnMs} ms columns · bin ${bin} · ${this.unit()}`;
  }

  /** Newest column at the right, mid price in the middle. */
  follow(): void {
    this.#hand.follow();
  }

  redraw(): void {
    this.#dirty = true;
    this.invalidate(true);
  }

  // ---- scale

  get locked(): boolean {
    return this.#lockKey() in settings.get().heatmap.locks;
  }

  /** Keep the scale as it is for this symbol, or let it follow what is visible. */
  lock(locked: boolean, scale: Scale | undefined = this.#scale): void {
    const { heatmap } = settings.get();
    const locks = { ...heatmap.locks };
    delete locks[this.#lockKey()];
    const head = this.#data.head;
    if (locked && scale && head) locks[this.#lockKey()] = [toNumber(scale.low, head.lot), toNumber(scale.high, head.lot)];
    this.#rescaledAt = -Infinity;
    settings.update({ heatmap: { ...heatmap, locks } });
  }

  #lockKey(): string {
    return this.symbol.get();
  }

  #grab(at: Pointer): ((at: Pointer) => void) | undefined {
    const end = this.#legend.hit(at);
    return end && (({ x }) => this.lock(true, this.#legend.pull(end, x)));
  }

  #rescale(head: HeatHead, first: number, last: number, now: number): void {
    const lock = settings.get().heatmap.locks[this.#lockKey()];
    if (lock) {
      this.#scale = { low: onGrid(lock[0], head.lot), high: onGrid(lock[1], head.lot) };
      return;
    }
    if (now - this.#rescaledAt < RESCALE_MS && this.#scale) return;
    this.#rescaledAt = now;
    const sampler = this.#sampler;
    const every = Math.max(1, Math.ceil((last - first) / 120));
    sampler.begin(((last - first + 1) / every) * head.bins);
    const [low, high] = [this.#view.priceAt(this.#view.height), this.#view.top].map((price) => Math.floor(price / head.step)) as [number, number];
    for (let number = last; number >= first; number -= every) {
      if (!this.#data.has(number)) continue;
      const lots = this.#data.lots(number);
      const base = this.#data.firstBin[number % KEPT]!;
      for (let bin = Math.max(0, low - base); bin < Math.min(lots.length, high - base + 1); bin++) sampler.add(lots[bin]!);
    }
    const next = sampler.scale();
    if (next) this.#scale = settle(this.#scale, next);
  }

  // ---- painting

  protected paint(context: CanvasRenderingContext2D, now: number): void {
    if (this.#dirty) {
      this.#dirty = false;
      this.#paintChart(context, now);
    }
    this.#paintOverlay();
  }

  #paintChart(context: CanvasRenderingContext2D, now: number): void {
    const { bg, muted } = theme.get();
    context.fillStyle = bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    const data = this.#data;
    const head = data.head;
    if (!head || data.newest < 0) {
      context.font = font(12);
      context.fillStyle = muted;
      context.fillText(head ? `no columns of ${head.symbol} yet` : 'waiting for columns', 16, 28);
      return;
    }
    const view = this.#view;
    const slot = data.newest % KEPT;
    const double = data.has(data.newest) ? data.bid[slot]! + data.ask[slot]! : 0;
    const priceWidth = Math.max(58, Math.ceil(toText(Math.max(double / 2, 1), head.tick).length * charWidth(11)) + 16);
    view.width = this.width - priceWidth - profileWidth(this.width);
    view.height = this.height - TIME_AXIS_PX;
    if (view.width < 40 || view.height < 40) return;
    view.advance((data.newest + 1) * head.columnMs, double, head.step, head.bins);
    if (head.step === 0 || view.perTick === 0) return this.#paintUnknown(context, head);
    const first = Math.max(data.oldest, Math.floor(view.left / head.columnMs));
    const last = Math.min(data.newest, Math.ceil(view.right / head.columnMs));
    this.#rescale(head, first, last, now);
    this.#paintPicture(context, head, first, last);
    const picture: Picture = { context, head, data, view, theme: theme.get(), width: this.width, height: this.height };
    paintQuotes(picture, first, last);
    this.#bubbles = settings.get().heatmap.bubbles ? bubblesOf(data, view, head.columnMs) : [];
    this.#whole = reference(this.#bubbles);
    paintBubbles(context, this.#bubbles, this.#whole, view, theme.get());
    const { exchange, symbol } = this.look.get();
    for (const mark of marks) mark({ context, exchange, symbol, view, columnMs: head.columnMs });
    context.restore();
    paintProfile(picture, this.#scale);
    paintAxes(picture);
  }

  /** Nothing is known yet of where the prices are. */
  #paintUnknown(context: CanvasRenderingContext2D, head: HeatHead): void {
    context.fillStyle = hatch(context, theme.get());
    context.fillRect(0, 0, this.#view.width, this.#view.height);
    context.font = font(12);
    context.fillStyle = theme.get().muted;
    context.fillText(`the book of ${head.symbol} is not known yet`, 16, 68);
  }

  /** Hatch what has passed, and lay what is known over it. Leaves the plot clipped. */
  #paintPicture(context: CanvasRenderingContext2D, head: HeatHead, first: number, last: number): void {
    const view = this.#view;
    context.save();
    context.beginPath();
    context.rect(0, 0, view.width, view.height);
    context.clip();
    const end = view.x((this.#data.newest + 1) * head.columnMs);
    context.fillStyle = hatch(context, theme.get());
    context.fillRect(0, 0, Math.min(end, view.width), view.height);
    if (last < first || !this.#scale) return;
    this.#bitmap.paint(this.#ramp(), this.#scale);
    const topBin = Math.floor(view.top / head.step);
    const bins = Math.min(ROWS - 1, Math.ceil(view.height / view.perTick / head.step) + 1);
    const complete = this.#bitmap.update(this.#data, first, last, topBin - bins, topBin, DRAW_BUDGET_MS);
    const [x, y] = [view.x(first * head.columnMs), view.y((topBin + 1) * head.step)];
    const [width, height] = [((last - first + 1) * head.columnMs) / view.msPerPx, bins * head.step * view.perTick];
    // Pixels of one bin stay sharp when they are enlarged; many bins on one pixel are averaged.
    context.imageSmoothingEnabled = head.step * view.perTick < 1 || head.columnMs / view.msPerPx < 0.6;
    this.#bitmap.copy(context, first, last, topBin, bins, x, y, width, height);
    if (!complete) this.redraw();
  }

  #ramp(): Ramp {
    return rampOf(settings.get().heatmap.ramp, theme.get());
  }

  #paintOverlay(): void {
    const context = this.over;
    context.clearRect(0, 0, this.width, this.height);
    const head = this.#data.head;
    const view = this.#view;
    if (!head || head.step === 0 || view.perTick === 0 || !this.#scale) return;
    const size = (lots: number): string => quantity(toNumber(lots, head.lot), head.lot.decimals);
    this.#legend.paint(context, theme.get(), this.#scale, this.#ramp(), this.locked, size, this.unit());
    if (!view.following) this.#paintBehind(context);
    const { pointer } = this.#hand;
    if (pointer && this.#legend.hit(pointer)) this.canvas.style.cursor = 'ew-resize';
    if (!pointer || this.#legend.covers(pointer) || pointer.x >= view.width || pointer.y >= view.height) {
      unpoint(this);
      const { ms, price } = pointedElsewhere(this);
      return paintAim(context, theme.get(), view, ms && view.x(ms), price && view.y(onGrid(price, head.tick) + 0.5));
    }
    const plot = view.width + profileWidth(this.width);
    const frame: CrosshairFrame = { context, theme: theme.get(), plot, width: this.width, height: this.height, chart: view.height, panes: view.height };
    const ms = view.msAt(pointer.x);
    const price = Math.floor(view.priceAt(pointer.y));
    point(this, ms, toNumber(price, head.tick));
    paintCrosshair(frame, pointer, toText(Math.max(0, price), head.tick), clockSeconds(ms), pointer.x);
    paintTooltip(frame, pointer, this.#lines(head, pointer, ms, price));
  }

  /** The picture does not show the present. */
  #paintBehind(context: CanvasRenderingContext2D): void {
    const { neutral } = theme.get();
    const behind = (this.#data.newest + 1) * this.#data.head!.columnMs - this.#view.right;
    context.font = font(11, 600);
    context.fillStyle = neutral;
    context.fillText(`${Math.round(behind / 1000)} s behind · Z follows`, this.#view.width - 168, 20);
  }

  #lines(head: HeatHead, pointer: Pointer, ms: number, price: number): Line[] {
    const { buy, sell, amber } = theme.get();
    const number = Math.floor(ms / head.columnMs);
    const edge = Math.floor(price / head.step) * head.step;
    const lots = this.#data.at(number, price);
    const amount = (count: number): string => `${quantity(toNumber(count, head.lot), head.lot.decimals)} ${this.unit()}`;
    const dollars = (units: number): string => money(toNumber(toNumber(units, head.tick), head.lot));
    const lines: Line[] = [
      ['time', `${day(ms)} ${clockSeconds(number * head.columnMs)}.${String((number * head.columnMs) % 1000).padStart(3, '0')}`],
      ['price', head.step === 1 ? toText(edge, head.tick) : `${toText(edge, head.tick)} – ${toText(edge + head.step - 1, head.tick)}`],
    ];
    if (typeof lots === 'string') lines.push(['size', `— ${lots}`, amber]);
    else {
      lines.push([lots < 0 ? 'ask size' : lots > 0 ? 'bid size' : 'size', amount(Math.abs(lots)), lots < 0 ? sell : lots > 0 ? buy : undefined]);
      lines.push(['notional', dollars(Math.abs(lots) * edge)]);
    }
    if (this.#data.has(number)) {
      const slot = number % KEPT;
      lines.push(['', ''], ['best ask', toText(this.#data.ask[slot]!, head.tick), sell], ['best bid', toText(this.#data.bid[slot]!, head.tick), buy]);
    }
    const hit = this.#bubbles.find((one) => Math.hypot(one.x - pointer.x, this.#view.y(one.price + 0.5) - pointer.y) <= radius(one.notional, this.#whole) + 1);
    if (hit) {
      const price = toText(Math.round(hit.price), head.tick);
      lines.push(['', ''], [hit.side > 0 ? 'bought' : 'sold', `${amount(hit.lots)} · ${dollars(hit.notional)}`, hit.side > 0 ? buy : sell], ['at about', price]);
    }
    return lines;
  }

  // ---- keys and what tests read

  override onKey(event: KeyboardEvent): boolean {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (this.#hand.key(key, event.shiftKey)) return true;
    if (key === 'l') this.lock(!this.locked);
    else if (key === 'b') settings.update({ heatmap: { ...settings.get().heatmap, bubbles: !settings.get().heatmap.bubbles } });
    else return false;
    return true;
  }

  /** The newest columns first, a row a price at which something rested; a column that is not known says why. */
  override table(): Shown | undefined {
    const { head, newest, oldest } = this.#data;
    if (!head || newest < 0) return undefined;
    const rows: Shown['rows'] = [];
    let number = newest;
    for (; number >= oldest && rows.length < ROWS_SAVED; number--) {
      const ms = number * head.columnMs;
      const base = this.#data.firstBin[number % KEPT]!;
      if (!this.#data.has(number)) rows.push([ms, String(this.#data.at(number, 0)), null, null]);
      else this.#data.lots(number).forEach((lots, bin) => {
        if (lots) rows.push([ms, lots > 0 ? 'bid' : 'ask', toNumber((base + bin) * head.step, head.tick), toNumber(Math.abs(lots), head.lot)]);
      });
    }
    const about: Record<string, string> = { prices_without_a_row: 'nothing rested there, or the book was not known so far out' };
    if (number >= oldest) about['left_out'] = `columns up to ${day(number * head.columnMs)} ${clockSeconds(number * head.columnMs)} UTC`;
    return { columns: ['ts_ms', 'side', 'price', 'size'], rows, about };
  }

  snapshot(): object {
    const { head, newest, oldest } = this.#data;
    if (!head || newest < 0) return { symbol: this.look.get().symbol, columns: 0, rows: [], raw: null };
    const lots = this.#data.has(newest) ? [...this.#data.lots(newest)] : [];
    const base = this.#data.firstBin[newest % KEPT]!;
    const price = (bin: number): number => toNumber((base + bin) * head.step, head.tick);
    const levels = lots.map((size, bin) => ({ p: price(bin), size: Number.isNaN(size) ? null : toNumber(size, head.lot) }));
    const unknown = Array.from({ length: newest - oldest + 1 }, (_, k) => oldest + k).filter((number) => !this.#data.has(number)).length;
    return {
      symbol: head.symbol,
      state: this.health.get().state,
      context: this.context.get(),
      columns: newest - oldest + 1,
      unknown_columns: unknown,
      ts: newest * head.columnMs,
      step: toNumber(head.step, head.tick),
      bid: this.#data.has(newest) ? toNumber(this.#data.bid[newest % KEPT]!, head.tick) : null,
      ask: this.#data.has(newest) ? toNumber(this.#data.ask[newest % KEPT]!, head.tick) : null,
      prints: this.#data.prints,
      scale: this.#scale ? { low: toNumber(this.#scale.low, head.lot), high: toNumber(this.#scale.high, head.lot), locked: this.locked } : null,
      view: { from: this.#view.left, to: this.#view.right, top: toNumber(this.#view.top, head.tick), bottom: toNumber(this.#view.priceAt(this.#view.height), head.tick), following: this.#view.following },
      raw: levels,
      rows: levels.filter(({ size }) => size).map(({ p, size }) => [p.toFixed(head.tick.decimals), String(size)]),
    };
  }
}
