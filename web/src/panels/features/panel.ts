/** Features of one book over the last 180 s: small strips under each other, one crosshair through all of them. */

import { toNumber } from '../../core/decimal';
import { clockSeconds, MISSING, span } from '../../core/format';
import { timeStep } from '../../core/axis';
import { CanvasPanel } from '../../core/panel';
import { settings } from '../../core/settings';
import { charWidth, font, mix, theme } from '../../core/theme';
import { type FeatureHead, Features, SAMPLES, STEP_MS } from '../../data/features';
import { type Box, type Line, paintSeries, paintText, paintUnknown, scaleOf } from './paint';
import { chosenStrips, drawn, printed, type Strip, unitOf, type Units } from './strips';

const MIN_STRIP_PX = 34;
const MAX_STRIP_PX = 92;
const AXIS_PX = 18;
const FOOT_PX = 20;
const SCALE_PX = 58;
const PAD = 8;
const WHEEL_PX_PER_STRIP = 60;

export class FeaturesPanel extends CanvasPanel {
  readonly id = 'features';
  readonly perfName = 'features';
  readonly maxHz = 4;
  protected readonly continuous = true;

  #data = new Features();
  #leave: (() => void) | undefined;
  #asked = '';
  /** First strip on screen, where they do not all fit. */
  #top = 0;
  #wheel = 0;
  #pointer: { x: number; y: number } | undefined;

  protected start(): void {
    const { canvas } = this;
    canvas.addEventListener('pointermove', (event) => this.#point({ x: event.offsetX, y: event.offsetY }));
    canvas.addEventListener('pointerleave', () => this.#point(undefined));
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    this.keep(this.look.onChange(() => this.#subscribe()));
    this.keep(settings.onChange(() => this.invalidate(true)));
    this.keep(() => this.#leave?.());
    this.#subscribe();
  }

  protected reset(): void {}

  #subscribe(): void {
    const { exchange, symbol } = this.look.get();
    const asked = `${exchange} ${symbol}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#leave?.();
    this.outdate();
    this.context.set(`${symbol} · ${exchange} · 180 s × 1 s`);
    const data = new Features();
    this.#leave = this.listen('features', { exchange, symbol }, (frame) => {
      data.onFrame(frame);
      this.#data = data;
      this.context.set(`${symbol} · ${exchange} · 180 s × 1 s · book at each second's end · quotes from ${sampling(data.head!)}`);
    });
  }

  #point(at: { x: number; y: number } | undefined): void {
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
    this.invalidate(true);
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
    const { bg, muted } = theme.get();
    context.fillStyle = bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    const { head } = this.#data;
    const strips = chosenStrips(settings.get().features.strips);
    if (!head || this.#data.count === 0 || strips.length === 0) {
      const why = strips.length === 0 ? 'no feature is chosen' : head ? 'the first second is being measured' : 'waiting for features';
      return paintText(context, why, 12, 26, this.width - 24, 12, muted);
    }
    const { first, shown, height } = this.#layout(strips.length);
    const label = Math.round(Math.max(150, Math.min(250, this.width * 0.36)));
    const plot: Box = { x: label, y: 0, width: Math.max(10, this.width - label - SCALE_PX), height };
    const times = this.#data.figure('ts_ms');
    const to = times.at(-1)!;
    const from = to - SAMPLES * STEP_MS;
    const index = this.#pointed(plot, from, to);
    strips.slice(first, first + shown).forEach((strip, k) => {
      this.#paintStrip(context, strip, { ...plot, y: k * height }, times, from, to, index);
    });
    const bottom = shown * height;
    this.#paintTimes(context, plot, bottom, from, to);
    if (this.#pointer && index >= 0) this.#paintCrosshair(context, plot, bottom, times[index]!, from, to);
    this.#paintFoot(context, head, shown < strips.length ? `${first + 1}–${first + shown} of ${strips.length}` : '');
  }

  /** The second under the pointer; the newest one while it is elsewhere. */
  #pointed(plot: Box, from: number, to: number): number {
    const last = this.#data.count - 1;
    if (!this.#pointer || this.#pointer.x < plot.x || this.#pointer.x > plot.x + plot.width) return last;
    const ms = from + ((this.#pointer.x - plot.x) / plot.width) * (to - from);
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
    const line = missing ? why : [unitOf(strip, this.#units()), this.#rule(strip)].filter(Boolean).join(' · ');
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

  #units(): Units {
    const { symbol } = this.look.get();
    const match = /^(.+?)(USDT|USDC|FDUSD|BUSD|USD)$/.exec(symbol.replace(/-SWAP$/, '').replaceAll('-', ''));
    return { base: match?.[1] ?? 'base', quote: match?.[2] ?? 'quote' };
  }

  #scaleText(strip: Strip, value: number): string {
    const { head } = this.#data;
    if (strip.kind === 'balance') return value > 0 ? '+1' : '−1';
    if (strip.kind === 'price') return toNumber(value, head!.tick).toFixed(head!.tick.decimals);
    return printed({ ...strip, kind: strip.kind === 'offset' ? 'bps' : strip.kind }, strip.kind === 'ticks' ? Math.round(value * 10) / 10 : value, 0, head!);
  }

  #paintTimes(context: CanvasRenderingContext2D, plot: Box, y: number, from: number, to: number): void {
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

  #paintCrosshair(context: CanvasRenderingContext2D, plot: Box, bottom: number, ts: number, from: number, to: number): void {
    const pointer = this.#pointer!;
    if (pointer.x < plot.x || pointer.x > plot.x + plot.width || pointer.y > bottom) return;
    const { muted, text, raised } = theme.get();
    const x = Math.round(plot.x + ((ts - from) / (to - from)) * plot.width);
    context.fillStyle = mix(muted, 0.7);
    context.fillRect(x, 0, 1, bottom);
    const label = clockSeconds(ts);
    const width = label.length * charWidth(10) + 8;
    const left = Math.max(plot.x, Math.min(x - width / 2, plot.x + plot.width - width));
    context.fillStyle = raised;
    context.fillRect(left, bottom + 2, width, 14);
    context.font = font(10);
    context.fillStyle = text;
    context.fillText(label, Math.round(left + 4), bottom + 13);
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
    const { base, quote } = this.#units();
    const perBase = toNumber(1, head.tick) / toNumber(1, head.lot);
    const lambda = head.kyle
      ? `Kyle λ ${(head.kyle[0] * perBase).toPrecision(3)} ± ${(head.kyle[1] * perBase).toPrecision(2)} ${quote}/${base} · R² ${head.kyle[2].toFixed(2)} · n ${head.kyle[3]}`
      : 'Kyle λ — under 30 s with a live book, or no trades';
    const vpin = head.vpin ? `VPIN ${head.vpin[0].toFixed(2)} · ${head.vpin[1]} buckets of ADV/50` : 'VPIN — no bucket is full, or ADV not known';
    return [lambda, vpin];
  }

  /** The newest second as printed, and all seconds raw, in ticks and lots. */
  snapshot(): object {
    const strips = chosenStrips(settings.get().features.strips);
    const { head, count } = this.#data;
    const index = count - 1;
    const mid = this.#data.figure('mid_price')[index] ?? NaN;
    return {
      rows: head ? strips.map((strip) => [strip.title, this.#values(strip, index).join(' '), unitOf(strip, this.#units()), this.#rule(strip)]) : [],
      foot: head ? this.#foot(head) : [],
      reasons: strips.flatMap((strip) => strip.series.filter((name) => Number.isNaN(this.#data.figure(name)[index])).map((name) => [name, this.#data.reason(name, index)])),
      raw: Object.fromEntries(['ts_ms', ...strips.flatMap((strip) => strip.series)].map((name) => [name, [...this.#data.figure(name)]])),
      mid,
      count,
      symbol: head?.symbol ?? null,
      context: this.context.get(),
      state: this.health.get().state,
    };
  }
}

const sampling = (head: FeatureHead): string => (head.sampling === 'bookTicker' ? 'bookTicker' : 'depth diffs, 100 ms');
