/** The depth curve: what would be taken from each side up to a distance from the mid price. */

import { niceStep } from '../../core/axis';
import { point, pointedElsewhere, unpoint } from '../../core/aim';
import { BookPanel } from '../../core/bookpanel';
import { type CrosshairFrame, type Line, paintAim, paintTooltip, type Pointer } from '../../core/crosshair';
import { onGrid, toNumber, toText } from '../../core/decimal';
import type { Shown } from '../../core/panel';
import { money, quantity } from '../../core/format';
import { hatch } from '../../core/hatch';
import { settings } from '../../core/settings';
import { charWidth, font, mix, theme } from '../../core/theme';
import type { Frame } from '../../core/wire';
import { DepthData, type Side } from '../../data/depth';
import { walk } from '../../data/walk';

export const RANGES_BPS = [5, 10, 25, 50, 100] as const;
const AXIS_PX = 54;
const FOOT_PX = 18;
const HEAD_PX = 30;
/** The axis of sizes shrinks only when the curve fills less than this of it. */
const FILLS_AT_LEAST = 0.45;
const HEADROOM = 1.12;

export class DepthPanel extends BookPanel {
  readonly id = 'depth';
  readonly perfName = 'depth';
  readonly maxHz = 10;
  protected readonly topic = 'depth';

  readonly #data = new DepthData();
  /** Lots at the upper edge of the plot. */
  #most = 0;
  #dirty = true;
  #pointer: Pointer | undefined;

  protected override start(): void {
    super.start();
    this.keep(settings.onChange(() => this.#redraw()));
    this.keep(walk.onChange(() => this.#redraw()));
    this.followAim();
    this.canvas.addEventListener('pointermove', (event) => this.#point({ x: event.offsetX, y: event.offsetY }));
    this.canvas.addEventListener('pointerleave', () => this.#point(undefined));
    this.canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
  }

  protected forget(): void {
    this.#data.clear();
    this.#most = 0;
    this.#redraw();
  }

  protected override reset(): void {
    super.reset();
    this.#redraw();
  }

  protected onFrame(frame: Frame): void {
    this.#data.onFrame(frame);
    this.#dirty = true;
  }

  protected contextText(): string {
    return `cumulative ${this.unit()} within ±${this.range} bps of mid`;
  }

  get range(): number {
    return settings.get().depth.range;
  }

  #redraw(): void {
    this.#dirty = true;
    this.invalidate(true);
  }

  // ---- where things are

  get #plot(): { width: number; height: number } {
    return { width: Math.max(1, this.width - AXIS_PX), height: Math.max(1, this.height - HEAD_PX - FOOT_PX) };
  }

  #x(price: number): number {
    const { mid } = this.#data;
    return this.#plot.width * (0.5 + ((price - mid) / mid) * (10_000 / this.range / 2));
  }

  #priceAt(x: number): number {
    const { mid } = this.#data;
    return mid * (1 + ((x / this.#plot.width - 0.5) * 2 * this.range) / 10_000);
  }

  #y(lots: number): number {
    return HEAD_PX + this.#plot.height * (1 - lots / this.#most);
  }

  // ---- painting

  protected paint(context: CanvasRenderingContext2D): void {
    if (this.#dirty) {
      this.#dirty = false;
      this.#paintChart(context);
    }
    this.#paintOverlay();
  }

  #paintChart(context: CanvasRenderingContext2D): void {
    const { bg, muted } = theme.get();
    context.fillStyle = bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    if (Number.isNaN(this.#data.mid)) {
      context.font = font(12);
      context.fillStyle = muted;
      context.fillText(this.dataArrived ? 'the book is being synchronised' : 'waiting for the book', 16, 28);
      return;
    }
    this.#fit();
    this.#paintUnknown(context);
    this.#paintAxes(context);
    const { buy, sell } = theme.get();
    this.#paintSide(context, this.#data.bids, buy);
    this.#paintSide(context, this.#data.asks, sell);
    this.#paintWalk(context);
    this.#paintMid(context);
  }

  #fit(): void {
    const reached = Math.max(1, ...[this.#data.bids, this.#data.asks].map((side) => this.#within(side)));
    if (reached * 1.02 > this.#most || reached < this.#most * FILLS_AT_LEAST) this.#most = reached * HEADROOM;
  }

  /** Lots of a side within the range. */
  #within({ price, sum }: Side): number {
    const { mid } = this.#data;
    let k = price.length - 1;
    while (k > 0 && Math.abs(price[k]! - mid) * 10_000 > this.range * mid) k -= 1;
    return sum[k] ?? 0;
  }

  #paintUnknown(context: CanvasRenderingContext2D): void {
    const { low, high } = this.#data;
    const { width, height } = this.#plot;
    const [from, to] = [low === null ? 0 : this.#x(low), high === null ? width : this.#x(high + 1)];
    context.fillStyle = hatch(context, theme.get());
    if (from > 0) context.fillRect(0, HEAD_PX, Math.min(from, width), height);
    if (to < width) context.fillRect(to, HEAD_PX, width - to, height);
  }

  #paintAxes(context: CanvasRenderingContext2D): void {
    const { grid, border, muted } = theme.get();
    const { width, height } = this.#plot;
    const bottom = HEAD_PX + height;
    context.font = font(10);
    const lot = this.#data.lot;
    const most = toNumber(this.#most, lot);
    const step = niceStep((most * 34) / height);
    for (let size = 0; size < most; size += step) {
      const y = Math.round(HEAD_PX + height * (1 - size / most));
      context.fillStyle = grid;
      context.fillRect(0, y, width, 1);
      context.fillStyle = muted;
      if (y > HEAD_PX + 8) context.fillText(quantity(size, lot.decimals), width + 7, y + 3.5);
    }
    const bps = niceStep((this.range * 2 * 58) / width);
    for (let at = -Math.floor(this.range / bps) * bps; at <= this.range; at += bps) {
      const x = Math.round(width * (0.5 + at / this.range / 2));
      const label = at === 0 ? 'mid' : `${at > 0 ? '+' : '−'}${Math.abs(Number(at.toFixed(2)))}`;
      context.fillStyle = grid;
      context.fillRect(x, HEAD_PX, 1, height);
      context.fillStyle = muted;
      const wide = label.length * charWidth(10);
      if (x - wide / 2 > 1 && x + wide / 2 < width) context.fillText(label, Math.round(x - wide / 2), bottom + 13);
    }
    context.fillText('bps', width + 7, bottom + 13);
    context.fillStyle = border;
    context.fillRect(0, bottom, width, 1);
    context.fillRect(width, HEAD_PX, 1, height);
  }

  #paintSide(context: CanvasRenderingContext2D, side: Side, colour: string): void {
    const { width, height } = this.#plot;
    const bottom = HEAD_PX + height;
    context.save();
    context.beginPath();
    context.rect(0, HEAD_PX, width, height);
    context.clip();
    context.beginPath();
    context.moveTo(this.#x(side.price[0]!), bottom);
    let y = bottom;
    let x = 0;
    for (let k = 0; k < side.price.length; k++) {
      x = this.#x(side.price[k]!);
      context.lineTo(x, y);
      y = this.#y(side.sum[k]!);
      context.lineTo(x, y);
      if (x < 0 || x > width) break;
    }
    const known = side === this.#data.bids ? this.#data.low : this.#data.high;
    const end = known === null ? (side === this.#data.bids ? 0 : width) : this.#x(known);
    context.lineTo(side === this.#data.bids ? Math.min(x, end) : Math.max(x, end), y);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.stroke();
    context.lineTo(side === this.#data.bids ? Math.min(x, end) : Math.max(x, end), bottom);
    context.closePath();
    context.fillStyle = `${colour}2e`;
    context.fill();
    context.restore();
  }

  #paintMid(context: CanvasRenderingContext2D): void {
    const { text, muted, buy, sell } = theme.get();
    const { mid, bids, asks, tick } = this.#data;
    const { width, height } = this.#plot;
    const x = Math.round(width / 2);
    context.strokeStyle = mix(text, 0.5);
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(x + 0.5, HEAD_PX);
    context.lineTo(x + 0.5, HEAD_PX + height);
    context.stroke();
    context.setLineDash([]);
    const middle = toNumber(mid * 2, tick) / 2;
    const spread = ((asks.price[0]! - bids.price[0]!) / mid) * 10_000;
    const label = middle.toFixed(tick.decimals + 1);
    context.font = font(12, 600);
    context.fillStyle = text;
    context.fillText(label, Math.round(x - (label.length * charWidth(12)) / 2), 14);
    context.font = font(10);
    context.fillStyle = muted;
    const under = `spread ${spread.toFixed(spread < 1 ? 3 : 2)} bps`;
    context.fillText(under, Math.round(x - (under.length * charWidth(10)) / 2), 26);
    const size = (side: Side): string => `${quantity(toNumber(this.#within(side), this.#data.lot), this.#data.lot.decimals)} ${this.unit()}`;
    context.font = font(11);
    context.fillStyle = buy;
    context.fillText(`bids ${size(bids)}`, 8, 18);
    context.fillStyle = sell;
    const right = `asks ${size(asks)}`;
    context.fillText(right, width - 8 - right.length * charWidth(11), 18);
  }

  /** The path of the simulated order: along the curve to what it takes, and where its average price lies. */
  #paintWalk(context: CanvasRenderingContext2D): void {
    const shown = walk.get();
    const { exchange, symbol } = this.look.get();
    if (!shown || shown.exchange !== exchange || shown.symbol !== symbol || shown.marginal === null || shown.average === null) return;
    const { accent, text, bg } = theme.get();
    const lots = onGrid(shown.filled, this.#data.lot);
    const ticks = (price: number): number => onGrid(price, this.#data.tick);
    const [x, y, average] = [this.#x(ticks(shown.marginal)), this.#y(lots), this.#x(ticks(shown.average))];
    const bottom = HEAD_PX + this.#plot.height;
    context.save();
    context.beginPath();
    context.rect(0, HEAD_PX, this.#plot.width, this.#plot.height);
    context.clip();
    context.strokeStyle = accent;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, bottom);
    context.lineTo(x, y);
    context.lineTo(this.#plot.width / 2, y);
    context.stroke();
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(average, bottom);
    context.lineTo(average, y);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = accent;
    context.beginPath();
    context.arc(x, y, 4, 0, 2 * Math.PI);
    context.fill();
    context.restore();
    context.font = font(10);
    const label = `${shown.side} ${quantity(shown.filled)} ${this.unit()}${shown.unfilled > 0 ? `, ${quantity(shown.unfilled)} not filled` : ''}`;
    const at = Math.min(Math.max(4, (x + this.#plot.width / 2) / 2 - (label.length * charWidth(10)) / 2), this.#plot.width - label.length * charWidth(10) - 4);
    context.fillStyle = bg;
    context.fillRect(at - 3, y - 16, label.length * charWidth(10) + 6, 13);
    context.fillStyle = text;
    context.fillText(label, at, y - 6);
  }

  #paintOverlay(): void {
    const context = this.over;
    context.clearRect(0, 0, this.width, this.height);
    const at = this.#pointer;
    const { mid } = this.#data;
    const { width, height } = this.#plot;
    if (Number.isNaN(mid)) return;
    if (!at || at.x >= width || at.y < HEAD_PX || at.y > HEAD_PX + height) {
      unpoint(this);
      const { price } = pointedElsewhere(this);
      return paintAim(context, theme.get(), { top: HEAD_PX, width, height }, price && this.#x(onGrid(price, this.#data.tick)), undefined);
    }
    const price = at.x < width / 2 ? Math.floor(this.#priceAt(at.x)) : Math.ceil(this.#priceAt(at.x));
    point(this, undefined, toNumber(price, this.#data.tick));
    const found = this.#data.upTo(price);
    const { text, buy, sell, amber, muted } = theme.get();
    context.strokeStyle = mix(muted, 0.75);
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(Math.round(at.x) + 0.5, HEAD_PX);
    context.lineTo(Math.round(at.x) + 0.5, HEAD_PX + height);
    context.stroke();
    context.setLineDash([]);
    if (found) {
      context.fillStyle = text;
      context.beginPath();
      context.arc(this.#x(price), this.#y(found.lots), 3, 0, 2 * Math.PI);
      context.fill();
    }
    const bps = ((price - mid) / mid) * 10_000;
    const lines: Line[] = [
      ['price', toText(Math.max(0, price), this.#data.tick)],
      ['from mid', `${bps > 0 ? '+' : '−'}${Math.abs(bps).toFixed(2)} bps`],
    ];
    if (found) {
      const colour = found.side === 'bid' ? buy : sell;
      lines.push([`${found.side}s to here`, `${quantity(toNumber(found.lots, this.#data.lot), this.#data.lot.decimals)} ${this.unit()}`, colour]);
      lines.push(['notional', money(toNumber(toNumber(found.quote, this.#data.tick), this.#data.lot)), colour], ['levels', String(found.levels)]);
    } else lines.push(['size', '— beyond the known book', amber]);
    const frame: CrosshairFrame = { context, theme: theme.get(), plot: width, width: this.width, height: this.height, chart: HEAD_PX + height, panes: HEAD_PX + height };
    paintTooltip(frame, at, lines);
  }

  // ---- hand and keys

  #point(at: Pointer | undefined): void {
    this.#pointer = at;
    this.invalidate(true);
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.#widen(Math.sign(event.deltaY));
  }

  #widen(by: number): void {
    const at = RANGES_BPS.findIndex((range) => range === this.range);
    this.chooseRange(RANGES_BPS[Math.min(RANGES_BPS.length - 1, Math.max(0, at + by))]!);
  }

  chooseRange(range: number): void {
    if (range === this.range) return;
    this.#most = 0;
    settings.update({ depth: { range } });
    this.tellContext();
  }

  override onKey(event: KeyboardEvent): boolean {
    const by: Record<string, number> = { '[': -1, '+': -1, '=': -1, ']': 1, '-': 1 };
    if (!(event.key in by)) return false;
    this.#widen(by[event.key]!);
    return true;
  }

  override table(): Shown {
    const { tick, lot } = this.#data;
    const side = (name: string, { price, lots, sum }: Side): Shown['rows'] =>
      Array.from(price, (ticks, k) => [name, toNumber(ticks, tick), toNumber(lots[k]!, lot), toNumber(sum[k]!, lot)]);
    return { columns: ['side', 'price', 'size', 'cumulative'], rows: [...side('bid', this.#data.bids), ...side('ask', this.#data.asks)] };
  }

  snapshot(): object {
    const { tick, lot, mid, symbol, low, high, tsMs } = this.#data;
    const side = ({ price, lots, sum }: Side): object[] =>
      Array.from(price, (ticks, k) => ({ p: toNumber(ticks, tick), size: toNumber(lots[k]!, lot), sum: toNumber(sum[k]!, lot) }));
    return {
      symbol,
      state: this.health.get().state,
      context: this.context.get(),
      mid: Number.isNaN(mid) ? null : toNumber(mid * 2, tick) / 2,
      ts: tsMs,
      range_bps: this.range,
      known: [low === null ? null : toNumber(low, tick), high === null ? null : toNumber(high, tick)],
      bids: side(this.#data.bids),
      asks: side(this.#data.asks),
      walk: walk.get() ?? null,
      rows: [this.#data.bids, this.#data.asks].flatMap((one) => Array.from(one.price, (ticks, k) => [toText(ticks, tick), toText(one.lots[k]!, lot), toText(one.sum[k]!, lot)])),
    };
  }
}
