/** Features of one book over the last 180 s: small strips under each other, one crosshair through all of them. */

import { point, pointedElsewhere, unpoint } from '../../core/aim';
import { assets } from '../../core/assets';
import { BookPanel } from '../../core/bookpanel';
import type { Pointer } from '../../core/crosshair';
import { toNumber } from '../../core/decimal';
import { clockSeconds, MISSING, span } from '../../core/format';
import { timeStep } from '../../core/axis';
import type { Shown } from '../../core/panel';
import { settings } from '../../core/settings';
import { charWidth, font, mix, theme } from '../../core/theme';
import type { Frame } from '../../core/wire';
import { type FeatureHead, Features, SAMPLES, STEP_MS } from '../../data/features';
import { type Box, type Line, paintSeries, paintText, paintUnknown, scaleOf } from './paint';
import { chosenStrips, drawn, printed, type Strip, unitOf } from './strips';

const MIN_STRIP_PX = 34;
const MAX_STRIP_PX = 92;
const AXIS_PX = 18;
const FOOT_PX = 20;
const SCALE_PX = 58;
const PAD = 8;
const WHEEL_PX_PER_STRIP = 60;

export class FeaturesPanel extends BookPanel {
  readonly id = 'features';
  readonly perfName = 'features';
  readonly maxHz = 4;
  protected readonly topic = 'features';

  #data = new Features();
  /** First strip on screen, where they do not all fit. */
  #top = 0;
  #wheel = 0;
  #pointer: Pointer | undefined;
  /** The second whose figures stand beside the strips, and whether they have to be painted again. */
  #index = -1;
  #dirty = true;

  protected override start(): void {
    super.start();
    const { canvas } = this;
    canvas.addEventListener('pointermove', (event) => this.#point({ x: event.offsetX, y: event.offsetY }));
    canvas.addEventListener('pointerleave', () => this.#point(undefined));
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    this.keep(settings.onChange(() => this.#redraw()));
    this.followAim();
  }

  protected override reset(): void {
    super.reset();
    this.#redraw();
  }

  protected forget(): void {
    this.#data = new Features();
    this.#redraw();
  }

  protected onFrame(frame: Frame): void {
    this.#data.onFrame(frame);
    this.#dirty = true;
  }

  protected contextText(): string {
    const { head } = this.#data;
    return `180 s × 1 s${head ? ` · book at each second's end · quotes from ${sampling(head)}` : ''}`;
  }

  #redraw(): void {
    this.#dirty = true;
    this.invalidate(true);
  }

  #point(at: Pointer | undefined): void {
    this.#pointer = at;
    this.invalidate(true);
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.#wheel += event.deltaY / WHEEL_PX_PER_STRIP;
    const by = Math.trunc(this.#wheel);
    this.#wheel -= by;
    if (by) this.#scroll(by);
  }

  #scroll(by: number): void {
    this.#top += by;
    this.#redraw();
  }

  override onKey(event: KeyboardEvent): boolean {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 5, PageUp: -5, Home: -1e9, End: 1e9 };
    const by = moves[event.key];
    if (by !== undefined) this.#scroll(by);
    return by !== undefined;
  }

  // ---- painting

  #layout(count: number): { first: number; shown: number; height: number } {
    const room = Math.max(0, this.height - AXIS_PX - FOOT_PX);
    const fits = Math.max(1, Math.floor(room / MIN_STRIP_PX));
    const shown = Math.min(count, fits);
    this.#top = Math.max(0, Math.min(this.#top, count - shown));
    return { first: this.#top, shown, height: Math.min(MAX_STRIP_PX, Math.floor(room / Math.max(1, shown))) };
  }

  protected paint(context: CanvasRenderingContext2D): void {
    const strips = chosenStrips(settings.get().features.strips);
    const times = this.#data.figure('ts_ms');
    const to = times.at(-1) ?? 0;
    const layout = this.#layout(strips.length);
    const label = Math.round(Math.max(150, Math.min(250, this.width * 0.36)));
    const plot: Plot = {
      x: label, y: 0, width: Math.max(10, this.width - label - SCALE_PX), height: layout.height,
      from: to - SAMPLES * STEP_MS, to, bottom: layout.shown * layout.height,
    };
    const index = this.#pointed(plot);
    if (this.#dirty || index !== this.#index) {
      this.#dirty = false;
      this.#index = index;
      this.#paintChart(context, strips, layout.first, layout.shown, plot, times);
    }
    this.over.clearRect(0, 0, this.width, this.height);
    const elsewhere = pointedElsewhere(this).ms !== undefined;
    if (to && index >= 0 && (elsewhere || (this.#pointer && over(plot, this.#pointer)))) this.#paintCrosshair(plot, times[index]!, elsewhere);
  }

  #paintChart(context: CanvasRenderingContext2D, strips: readonly Strip[], first: number, shown: number, plot: Plot, times: Float64Array): void {
    const { bg, muted } = theme.get();
    context.fillStyle = bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    const { head } = this.#data;
    if (!head || this.#data.count === 0 || strips.length === 0) {
      const why = strips.length === 0 ? 'no feature is chosen' : head ? 'the first second is being measured' : 'waiting for features';
      return paintText(context, why, 12, 26, this.width - 24, 12, muted);
    }
    strips.slice(first, first + shown).forEach((strip, k) => {
      this.#paintStrip(context, strip, { ...plot, y: k * plot.height }, times, plot.from, plot.to, this.#index);
    });
    this.#paintTimes(context, plot);
    this.#paintFoot(context, head, shown < strips.length ? `${first + 1}–${first + shown} of ${strips.length}, wheel for more` : '');
  }

  /** The second under the pointer, here or on another panel; the newest one while it is elsewhere. */
  #pointed(plot: Plot): number {
    let ms = pointedElsewhere(this).ms;
    if (this.#pointer && over(plot, this.#pointer)) {
      ms = plot.from + ((this.#pointer.x - plot.x) / plot.width) * (plot.to - plot.from);
      point(this, ms, undefined);
    } else unpoint(this);
    if (ms === undefined || ms > plot.to) return this.#data.count - 1;
    return this.#data.indexOf(Math.ceil(ms / STEP_MS) * STEP_MS);
  }

  #lines(strip: Strip): Line[] {
    const { buy, sell, accent } = theme.get();
    const mid = this.#data.figure('mid_price');
    return strip.series.map((name, k) => {
      const values = this.#data.figure(name);
      const colour = strip.series.length === 2 ? (k === 0 ? buy : sell) : strip.bars ? buy : accent;
      return { values: strip.kind === 'offset' ? values.map((value, at) => drawn(strip, value, mid[at]!)) : values, colour };
    });
  }

  #paintStrip(context: CanvasRenderingContext2D, strip: Strip, box: Box, times: Float64Array, from: number, to: number, index: number): void {
    const colours = theme.get();
    context.fillStyle = colours.grid;
    context.fillRect(0, box.y + box.height - 1, this.width, 1);
    this.#paintLabel(context, strip, box, index);
    const inner = { ...box, y: box.y + 4, height: box.height - 9 };
    const lines = this.#lines(strip);
    this.#paintHoles(context, strip, inner, times, from, to);
    const scale = strip.kind === 'balance' ? { low: -1, high: 1 } : scaleOf(lines, strip.bars === true);
    if (!scale) return;
    const neutral = strip.kind === 'count' ? [{ ...lines[0]!, colour: colours.accent }] : lines;
    paintSeries(context, inner, times, from, to, neutral, scale, strip.bars === true, colours);
    const edge = box.x + box.width + 5;
    paintText(context, this.#scaleText(strip, scale.high), edge, inner.y + 7, SCALE_PX - 6, 9, colours.muted);
    paintText(context, this.#scaleText(strip, scale.low), edge, inner.y + inner.height + 1, SCALE_PX - 6, 9, colours.muted);
  }

  /** Hatch what is not defined, and what was before the first second held. */
  #paintHoles(context: CanvasRenderingContext2D, strip: Strip, box: Box, times: Float64Array, from: number, to: number): void {
    const colours = theme.get();
    const x = (ms: number): number => box.x + ((ms - from) / (to - from)) * box.width;
    const values = strip.series.map((name) => this.#data.figure(name));
    let hole = from;
    for (let k = 0; k <= times.length; k++) {
      const defined = k < times.length && values.every((series) => !Number.isNaN(series[k]!));
      if (k < times.length && !defined) continue;
      const until = k < times.length ? times[k]! - STEP_MS : to;
      if (until > hole) paintUnknown(context, box, x(hole), x(until), colours);
      if (k < times.length) hole = times[k]!;
    }
  }

  #paintLabel(context: CanvasRenderingContext2D, strip: Strip, box: Box, index: number): void {
    const colours = theme.get();
    const values = this.#values(strip, index);
    const shades = strip.series.length === 2 ? [colours.buy, colours.sell] : [colours.text];
    const room = box.x - 2 * PAD;
    const middle = box.y + Math.round(box.height / 2);
    let right = box.x - PAD;
    for (let k = values.length - 1; k >= 0; k--) {
      const width = values[k]!.length * charWidth(11);
      paintText(context, values[k]!, right - width, middle - 3, width + 1, 11, shades[k]!, 600);
      right -= width + 8;
    }
    paintText(context, strip.title, PAD, middle - 3, right - PAD, 11, colours.text);
    const missing = values.includes(MISSING) && index >= 0;
    const why = missing ? this.#data.reason(strip.series[values.indexOf(MISSING)]!, index) : '';
    const line = missing ? why : [unitOf(strip, assets(this.look.get().symbol)), this.#rule(strip)].filter(Boolean).join(' · ');
    paintText(context, line, PAD, middle + 10, room, 10, missing ? colours.neutral : colours.muted);
  }

  #values(strip: Strip, index: number): string[] {
    const { head } = this.#data;
    const mid = this.#data.figure('mid_price')[index] ?? NaN;
    return strip.series.map((name) => (index < 0 ? MISSING : printed(strip, this.#data.figure(name)[index]!, mid, head!)));
  }

  #rule(strip: Strip): string {
    const { head } = this.#data;
    const age = head?.fitAgeMs;
    return strip.rule
      .replace('%fit', age === null || age === undefined ? 'never yet' : `${span(age)} ago, from ${sampling(head!)}`)
      .replace('%sampling', head ? sampling(head) : '');
  }

  #scaleText(strip: Strip, value: number): string {
    const { head } = this.#data;
    if (strip.kind === 'balance') return value > 0 ? '+1' : '−1';
    if (strip.kind === 'price') return toNumber(value, head!.tick).toFixed(head!.tick.decimals);
    return printed({ ...strip, kind: strip.kind === 'offset' ? 'bps' : strip.kind }, strip.kind === 'ticks' ? Math.round(value * 10) / 10 : value, 0, head!);
  }

  #paintTimes(context: CanvasRenderingContext2D, plot: Plot): void {
    const { from, to, bottom: y } = plot;
    const { muted } = theme.get();
    const every = timeStep(((to - from) / plot.width) * 76);
    context.font = font(10);
    context.fillStyle = muted;
    for (let ts = Math.ceil(from / every) * every; ts <= to; ts += every) {
      const text = clockSeconds(ts);
      const left = plot.x + ((ts - from) / (to - from)) * plot.width - (text.length * charWidth(10)) / 2;
      if (left >= plot.x && left + text.length * charWidth(10) <= plot.x + plot.width) context.fillText(text, Math.round(left), y + 13);
    }
  }

  #paintCrosshair(plot: Plot, ts: number, elsewhere: boolean): void {
    const context = this.over;
    const { muted, accent, text, label: ground } = theme.get();
    const x = Math.round(plot.x + ((ts - plot.from) / (plot.to - plot.from)) * plot.width);
    context.fillStyle = mix(elsewhere ? accent : muted, 0.7);
    context.fillRect(x, 0, 1, plot.bottom);
    const label = clockSeconds(ts);
    const width = label.length * charWidth(10) + 8;
    const left = Math.max(plot.x, Math.min(x - width / 2, plot.x + plot.width - width));
    context.fillStyle = ground;
    context.fillRect(left, plot.bottom + 2, width, 14);
    context.font = font(10);
    context.fillStyle = text;
    context.fillText(label, Math.round(left + 4), plot.bottom + 13);
  }

  /** Figures of the whole buffer rather than of a second. */
  #paintFoot(context: CanvasRenderingContext2D, head: FeatureHead, scrolled: string): void {
    const colours = theme.get();
    const y = this.height - FOOT_PX;
    context.fillStyle = colours.raised;
    context.fillRect(0, y, this.width, FOOT_PX);
    paintText(context, [...this.#foot(head), scrolled].filter(Boolean).join('   '), PAD, y + 14, this.width - 2 * PAD, 10, colours.muted);
  }

  #foot(head: FeatureHead): string[] {
    const { base, quote } = assets(this.look.get().symbol);
    const perBase = toNumber(1, head.tick) / toNumber(1, head.lot);
    const lambda = head.kyle
      ? `Kyle λ ${(head.kyle[0] * perBase).toPrecision(3)} ± ${(head.kyle[1] * perBase).toPrecision(2)} ${quote}/${base} · R² ${head.kyle[2].toFixed(2)} · n ${head.kyle[3]}`
      : 'Kyle λ — under 30 s with a live book, or no trades';
    const vpin = head.vpin ? `VPIN ${head.vpin[0].toFixed(2)} · ${head.vpin[1]} buckets of ADV/50` : 'VPIN — no bucket is full, or ADV not known';
    return [lambda, vpin];
  }

  /** The newest second as printed, and all seconds raw, in ticks and lots. */
  override table(): Shown {
    const names = ['ts_ms', ...new Set(chosenStrips(settings.get().features.strips).flatMap((strip) => strip.series))];
    const values = names.map((name) => this.#data.figure(name));
    const cell = (value: number): number | null => (Number.isNaN(value) ? null : value);
    return { columns: names, rows: Array.from({ length: this.#data.count }, (_, k) => values.map((of) => cell(of[k]!))) };
  }

  snapshot(): object {
    const strips = chosenStrips(settings.get().features.strips);
    const { head, count } = this.#data;
    const index = count - 1;
    const mid = this.#data.figure('mid_price')[index] ?? NaN;
    return {
      rows: head ? strips.map((strip) => [strip.title, this.#values(strip, index).join(' '), unitOf(strip, assets(this.look.get().symbol)), this.#rule(strip)]) : [],
      foot: head ? this.#foot(head) : [],
      reasons: strips.flatMap((strip) => strip.series.filter((name) => Number.isNaN(this.#data.figure(name)[index])).map((name) => [name, this.#data.reason(name, index)])),
      raw: Object.fromEntries(['ts_ms', ...strips.flatMap((strip) => strip.series)].map((name) => [name, [...this.#data.figure(name)]])),
      mid,
      count,
      pointed: this.#index < index ? this.#data.figure('ts_ms')[this.#index] : null,
      symbol: head?.symbol ?? null,
      context: this.context.get(),
      state: this.health.get().state,
    };
  }
}

/** Where all strips lie under each other, and the seconds they show. */
interface Plot extends Box {
  from: number;
  to: number;
  bottom: number;
}

const over = ({ x, width, bottom }: Plot, at: Pointer): boolean => at.x >= x && at.x <= x + width && at.y <= bottom;

const sampling = (head: FeatureHead): string => (head.sampling === 'bookTicker' ? 'bookTicker' : 'depth diffs, 100 ms');
