/** One against the other, bar by bar, with the lines that each method draws through them. */

import { niceStep } from '../../core/axis';
import { chip, type Pointer } from '../../core/crosshair';
import { clockMinutes, day } from '../../core/format';
import { Hand, type Movable } from '../../core/hand';
import type { Shown } from '../../core/panel';
import { charWidth, font, mix, theme } from '../../core/theme';
import { cursor, type Fit, known, namesOf, type PairAnswer, study, type Wish } from '../../data/study';
import type { Box } from '../features/paint';
import { ResearchPanel } from './panel';
import { nearest, paintWhy } from './panes';
import { digits } from './spread';

const LABELS_PX = 66;
const BELOW_PX = 18;
const TITLE_PX = 18;
const SHADES = 24;
/** A pointer this near to a point is on it. */
const REACH_PX = 14;
const DEEPEST = 4_000;

/** What part of the plane is in sight: all points until a hand zooms. */
class PlaneView implements Movable {
  width = 0;
  height = 0;
  /** Both axes follow the hand. */
  readonly auto = false;
  readonly stepPx = 40;
  /** Around what point the wheel zooms up and down. */
  held = 0;
  #all = { left: 0, right: 1, low: 0, high: 1 };
  #shown: { left: number; right: number; low: number; high: number } | undefined;

  bind(x: readonly number[], y: readonly number[]): void {
    const [left, right, low, high] = [...extent(x), ...extent(y)];
    this.#all = { left: left!, right: right!, low: low!, high: high! };
  }

  get range(): { left: number; right: number; low: number; high: number } {
    return this.#shown ?? this.#all;
  }

  x(value: number): number {
    const { left, right } = this.range;
    return ((value - left) / (right - left)) * this.width;
  }

  y(value: number): number {
    const { low, high } = this.range;
    return ((high - value) / (high - low)) * this.height;
  }

  pan(dx: number, dy: number): void {
    const { left, right, low, high } = this.range;
    const [across, up] = [(-dx / this.width) * (right - left), (dy / this.height) * (high - low)];
    this.#shown = { left: left + across, right: right + across, low: low + up, high: high + up };
  }

  zoomTime(factor: number, x: number): void {
    const { left, right } = this.range;
    if ((right - left) / factor < (this.#all.right - this.#all.left) / DEEPEST) return;
    const at = left + (x / this.width) * (right - left);
    this.#shown = { ...this.range, left: at - (at - left) / factor, right: at + (right - at) / factor };
    this.zoomPrice(factor, this.held);
  }

  zoomPrice(factor: number, y: number): void {
    const { low, high } = this.range;
    const at = high - (y / this.height) * (high - low);
    this.#shown = { ...this.range, low: at - (at - low) / factor, high: at + (high - at) / factor };
  }

  follow(): void {
    this.#shown = undefined;
  }
}

function extent(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const room = (high - low || Math.abs(high) * 1e-6 || 1) * 0.05;
  return [low - room, high + room];
}

export class RegressionPanel extends ResearchPanel {
  readonly id = 'regression';
  readonly perfName = 'regression';

  readonly #view = new PlaneView();
  #hand: Hand | undefined;
  #x: number[] = [];
  #y: number[] = [];
  #times: number[] = [];

  protected override start(): void {
    this.#hand = new Hand(this.canvas, this.#view, { oldest: () => 0, moved: () => this.invalidate(true), pointed: () => this.#point() });
    this.canvas.addEventListener('wheel', (event) => (this.#view.held = event.offsetY - TITLE_PX), { passive: true, capture: true });
    super.start();
  }

  override onKey(event: KeyboardEvent): boolean {
    return this.#hand!.key(event.key, event.shiftKey);
  }

  protected override arrived(pair: PairAnswer, wish: Wish): void {
    const scaled = (values: number[]): number[] => (wish.log ? values.map(Math.log) : values);
    [this.#x, this.#y] = [scaled(pair.x_close), scaled(pair.y_close)];
    this.#times = pair.open_ms.map((ms) => ms + pair.sample.tf_ms);
    this.#view.bind(this.#x, this.#y);
  }

  #point(): void {
    const found = this.#under(this.#hand!.pointer);
    cursor.set(found === undefined ? undefined : this.#times[found]);
    this.invalidate(true);
  }

  #under(pointer: Pointer | undefined): number | undefined {
    if (!pointer || pointer.x > this.#view.width) return undefined;
    let [best, reach] = [undefined as number | undefined, REACH_PX ** 2];
    for (let k = 0; k < this.#x.length; k++) {
      const away = (this.#view.x(this.#x[k]!) - pointer.x) ** 2 + (this.#view.y(this.#y[k]!) + TITLE_PX - pointer.y) ** 2;
      if (away <= reach) [best, reach] = [k, away];
    }
    return best;
  }

  protected paintPair(context: CanvasRenderingContext2D, box: Box, pair: PairAnswer, wish: Wish): void {
    const colours = theme.get();
    const plot = { x: box.x, y: box.y + TITLE_PX, width: box.width - LABELS_PX, height: box.height - TITLE_PX - BELOW_PX };
    if (plot.width < 40 || plot.height < 30) return paintWhy(context, box, '', 'the panel is too small for a chart', colours);
    [this.#view.width, this.#view.height] = [plot.width, plot.height];
    this.#paintAxes(context, plot, pair, wish);
    context.save();
    context.beginPath();
    context.rect(plot.x, plot.y, plot.width, plot.height);
    context.clip();
    this.#paintPoints(context, plot);
    if (known(pair.lines)) for (const line of this.#lines(pair)) this.#paintLine(context, plot, line);
    const at = cursor.get();
    if (at !== undefined && this.#times.length) this.#paintMark(context, plot, nearest(this.#times, at));
    context.restore();
    this.#paintLegend(context, box, pair);
  }

  /** The line, told as y of x, of each method; that of x on y is another line where errors are in y only. */
  #lines(pair: PairAnswer): { name: string; alpha: number; beta: number; colour: string; dash: number[] }[] {
    const { accent, amber, text, name: palette, sell, neutral } = theme.get();
    if (!known(pair.lines)) return [];
    const one = (fit: Fit): { alpha: number; beta: number } => (fit.y === pair.y ? fit : { alpha: -fit.alpha / fit.beta, beta: 1 / fit.beta });
    const styles = { ols: { name: 'OLS', colour: amber }, huber: { name: 'Huber', colour: text }, tls: { name: 'TLS', colour: palette.endsWith('safe') ? neutral : sell } };
    return pair.lines
      .filter((fit) => fit.method === 'ols' || fit.y === pair.y)
      .map((fit) => {
        const { name, colour } = styles[fit.method];
        const reverse = fit.y !== pair.y;
        const told = fit.method === 'ols' ? `${name} ${reverse ? 'x|y' : 'y|x'}` : name;
        return { ...one(fit), name: told, colour: reverse ? accent : colour, dash: reverse ? [6, 3] : fit.method === 'ols' ? [] : [2, 2] };
      });
  }

  #paintAxes(context: CanvasRenderingContext2D, plot: Box, pair: PairAnswer, wish: Wish): void {
    const { grid, muted, border } = theme.get();
    const { left, right, low, high } = this.#view.range;
    const { x: xName, y: yName } = namesOf(pair);
    const unit = wish.log ? 'log ' : '';
    context.font = font(10);
    const across = niceStep((right - left) / Math.max(1, plot.width / 90));
    for (let k = Math.ceil(left / across); k * across <= right; k++) {
      const x = Math.round(plot.x + this.#view.x(k * across));
      const text = shownAt(k * across, across);
      context.fillStyle = grid;
      context.fillRect(x, plot.y, 1, plot.height);
      context.fillStyle = muted;
      const at = x - (text.length * charWidth(10)) / 2;
      if (at > plot.x && at + text.length * charWidth(10) < plot.x + plot.width - 80) context.fillText(text, at, plot.y + plot.height + 13);
    }
    const up = niceStep((high - low) / Math.max(1, plot.height / 26));
    for (let k = Math.ceil(low / up); k * up <= high; k++) {
      const y = Math.round(plot.y + this.#view.y(k * up));
      context.fillStyle = grid;
      context.fillRect(plot.x, y, plot.width, 1);
      context.fillStyle = muted;
      context.fillText(shownAt(k * up, up), plot.x + plot.width + 6, y + 4);
    }
    context.fillStyle = border;
    context.fillRect(plot.x, plot.y + plot.height, plot.width, 1);
    context.fillStyle = muted;
    const name = `${unit}${xName} →`;
    context.fillText(name, plot.x + plot.width - name.length * charWidth(10) - 2, plot.y + plot.height + 13);
    context.fillText(`↑ ${unit}${yName}`, plot.x + 6, plot.y + 13);
  }

  /** Old bars are dim, new ones bright; one path a shade. */
  #paintPoints(context: CanvasRenderingContext2D, plot: Box): void {
    const { text, bg } = theme.get();
    const n = this.#x.length;
    for (let shade = 0; shade < SHADES; shade++) {
      context.fillStyle = mix(text, 0.18 + (0.62 * shade) / SHADES, bg);
      for (let k = Math.floor((n * shade) / SHADES); k < Math.floor((n * (shade + 1)) / SHADES); k++) {
        context.fillRect(plot.x + this.#view.x(this.#x[k]!) - 1, plot.y + this.#view.y(this.#y[k]!) - 1, 2, 2);
      }
    }
  }

  #paintLine(context: CanvasRenderingContext2D, plot: Box, line: { alpha: number; beta: number; colour: string; dash: number[] }): void {
    const { left, right } = this.#view.range;
    context.strokeStyle = line.colour;
    context.lineWidth = 1.4;
    context.setLineDash(line.dash);
    context.beginPath();
    for (const x of [left, right]) context.lineTo(plot.x + this.#view.x(x), plot.y + this.#view.y(line.alpha + line.beta * x));
    context.stroke();
    context.setLineDash([]);
  }

  #paintMark(context: CanvasRenderingContext2D, plot: Box, k: number): void {
    const { accent, text, label: ground } = theme.get();
    const [x, y] = [plot.x + this.#view.x(this.#x[k]!), plot.y + this.#view.y(this.#y[k]!)];
    context.strokeStyle = accent;
    context.lineWidth = 1.5;
    context.strokeRect(x - 4, y - 4, 8, 8);
    const ms = this.#times[k]!;
    const label = `${day(ms).slice(5)} ${clockMinutes(ms)}  ${digits(this.#x[k]!)}, ${digits(this.#y[k]!)}`;
    const width = label.length * charWidth(11) + 14;
    chip(context, Math.min(Math.max(plot.x, x + 10), plot.x + plot.width - width), Math.max(plot.y + 10, y - 14), width, label, ground, text);
  }

  #paintLegend(context: CanvasRenderingContext2D, box: Box, pair: PairAnswer): void {
    if (!known(pair.lines)) return paintWhy(context, { ...box, height: 60 }, '', pair.lines.unknown, theme.get());
    let x = box.x + 6;
    for (const line of this.#lines(pair)) {
      const text = `${line.name} ${digits(line.beta)}`;
      if (x + text.length * charWidth(10) > box.width - LABELS_PX) break;
      context.font = font(10, 600);
      context.fillStyle = line.colour;
      context.fillText(text, x, box.y + 13);
      x += text.length * charWidth(10) + 9;
    }
  }

  protected override foot(pair: PairAnswer, wish: Wish): string {
    const ols = known(pair.lines) ? pair.lines.find((line) => line.method === 'ols' && line.y === pair.y) : undefined;
    const told = ols ? ` · slopes of ${namesOf(pair).y} per ${namesOf(pair).x}, OLS R² ${ols.r2?.toFixed(4)}` : '';
    return super.foot(pair, wish) + told;
  }

  protected shown(pair: PairAnswer | undefined): object {
    return {
      lines: pair ? this.#lines(pair).map(({ name, alpha, beta }) => ({ name, alpha, beta })) : [],
      points: this.#x.length,
      range: this.#view.range,
      cursor: cursor.get() ?? null,
    };
  }

  override table(): Shown | undefined {
    const { pair, wish } = study.get();
    if (!pair) return undefined;
    const unit = wish.log ? 'log ' : '';
    return { columns: ['end_ms', `${unit}${pair.x}`, `${unit}${pair.y}`], rows: this.#times.map((ms, k) => [ms, this.#x[k]!, this.#y[k]!]) };
  }
}

/** As many decimals as a step has. */
const shownAt = (value: number, step: number): string => value.toFixed(Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9))));
