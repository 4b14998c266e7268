/** Draws one candle of the footprint: body, cells, point of control, value area, imbalances, header. */

import { toNumber } from '../../core/decimal';
import { quantity, signed } from '../../core/format';
import { charWidth, font, mix, readable, type Theme } from '../../core/theme';
import type { Candle, FootprintHead } from '../../data/footprint';
import { diagonalImbalances, type Imbalances } from './diagonal';
import type { Detail } from './lod';
import { heat, type Scale } from './scale';

export type Style = 'bid-ask' | 'delta' | 'volume';

export interface Look {
  head: FootprintHead;
  theme: Theme;
  detail: Detail;
  style: Style;
  imbalance: boolean;
  valueArea: boolean;
  scale: Scale;
  width: number;
  perTick: number;
}

/** Height kept above the highest cell for the candle's own delta. */
export const HEADER_PX = 16;
const BODY_LANE = 9;
const GAP_BAR = 4;
const HEAT_SHARES = [0.09, 0.14, 0.19, 0.25, 0.31, 0.38];

/** Bounds of what a candle paints, in ticks: its cells, or its open-close line where it has none. */
export function extentOf({ open, high, low, close, klines, price }: Candle, step: number): { high: number; low: number } {
  if (klines === 0 && price.length === 0) return { high: Math.max(open, close), low: Math.min(open, close) };
  const [top, bottom] = price.length > 0 ? [price[0]! + step, price[price.length - 1]!] : [high, low];
  // Of minutes that klines tell the range is known, and cells only of a part of it.
  return klines > 0 ? { high: Math.max(high, top), low: Math.min(low, bottom) } : { high: top, low: bottom };
}

/** Paint `candle` with its left edge at `x`; `y` maps a price in ticks to pixels. */
export function paintCandle(
  context: CanvasRenderingContext2D,
  candle: Candle,
  x: number,
  y: (price: number) => number,
  look: Look,
): void {
  if (look.detail === 'candle') return paintPlain(context, candle, x, y, look);
  if (look.detail === 'marks' && candle.price.length === 0) return paintPlain(context, candle, x, y, look);
  if (look.detail === 'marks') return paintMarks(context, candle, x, y, look);
  new Painter(context, candle, x, y, look).paint();
}

class Painter {
  readonly #context: CanvasRenderingContext2D;
  readonly #candle: Candle;
  readonly #y: (price: number) => number;
  readonly #look: Look;
  readonly #left: number;
  readonly #right: number;
  readonly #middle: number;
  readonly #step: number;
  readonly #imbalances: Imbalances | undefined;
  readonly #most: number;
  readonly #fontPx: number;
  readonly #lane: number;

  constructor(context: CanvasRenderingContext2D, candle: Candle, x: number, y: (price: number) => number, look: Look) {
    this.#context = context;
    this.#candle = candle;
    this.#y = y;
    this.#look = look;
    this.#left = x + (look.width >= 40 ? BODY_LANE : 6);
    this.#right = x + look.width - GAP_BAR;
    this.#middle = Math.round((this.#left + this.#right) / 2);
    // Beside its cells; in their place where there are none.
    this.#lane = candle.price.length > 0 ? x + 2 : this.#middle - 1;
    this.#step = look.head.stepTicks;
    this.#imbalances = look.imbalance ? diagonalImbalances(candle, this.#step, look.scale.minQuantity) : undefined;
    this.#most = mostOf(candle, look.style);
    this.#fontPx = look.detail === 'full' ? 11 : 10;
  }

  paint(): void {
    if (this.#look.valueArea) this.#valueArea();
    this.#body();
    for (let k = 0; k < this.#candle.price.length; k++) this.#cell(k);
    this.#pointOfControl();
    for (const stack of this.#imbalances?.stacks ?? []) this.#bracket(stack.side, stack.high, stack.low);
    if (this.#candle.gap > 0) this.#hatch();
    if (this.#look.width >= 40) this.#header();
  }

  #row(price: number): { top: number; height: number } {
    const top = Math.round(this.#y(price + this.#step));
    return { top, height: Math.max(1, Math.round(this.#y(price)) - top) };
  }

  #valueArea(): void {
    const { vah, val } = this.#candle;
    if (vah < 0) return;
    const { theme } = this.#look;
    const top = this.#row(vah).top;
    const bottom = Math.round(this.#y(val));
    this.#context.fillStyle = mix(theme.strong, 0.06, theme.bg);
    this.#context.fillRect(this.#left, top, this.#right - this.#left, bottom - top);
    this.#context.fillStyle = mix(theme.strong, 0.24, theme.bg);
    this.#context.fillRect(this.#left, top - 1, this.#right - this.#left, 1);
    this.#context.fillRect(this.#left, bottom, this.#right - this.#left, 1);
  }

  #body(): void {
    const { open, high, low, close } = this.#candle;
    const { theme, perTick } = this.#look;
    if (open < 0) return;
    const half = perTick / 2;
    const colour = close >= open ? theme.buy : theme.sell;
    this.#context.fillStyle = mix(colour, 0.55, theme.bg);
    const top = Math.round(this.#y(high) - half);
    this.#context.fillRect(this.#lane + 1, top, 1, Math.max(1, Math.round(this.#y(low) - half) - top));
    const bodyTop = Math.round(this.#y(Math.max(open, close)) - half);
    const bodyBottom = Math.round(this.#y(Math.min(open, close)) - half);
    this.#context.fillStyle = colour;
    this.#context.fillRect(this.#lane, bodyTop, 3, Math.max(2, bodyBottom - bodyTop));
  }

  #cell(k: number): void {
    const row = this.#row(this.#candle.price[k]!);
    if (this.#look.style === 'bid-ask') this.#split(k, row);
    else if (this.#look.style === 'delta') this.#delta(k, row);
    else this.#total(k, row);
  }

  /** Sellers left of the middle, buyers right of it: bars as long as their volume, figures on top. */
  #split(k: number, row: { top: number; height: number }): void {
    const { theme, detail } = this.#look;
    const bid = this.#candle.cellBid[k]!;
    const ask = this.#candle.cellAsk[k]!;
    const sellFill = this.#bar(bid, -1, theme.sell, row);
    const buyFill = this.#bar(ask, 1, theme.buy, row);
    const strongSell = this.#imbalances?.sell[k] ?? 0;
    const strongBuy = this.#imbalances?.buy[k] ?? 0;
    if (strongSell) this.#strip(this.#left, theme.sell, row);
    if (strongBuy) this.#strip(this.#right - 3, theme.buy, row);
    if (detail === 'profile') return;
    const baseline = row.top + row.height / 2 + this.#fontPx * 0.36;
    const gap = detail === 'full' ? 6 : 3;
    this.#figure(this.#amount(bid), this.#middle - gap, 'right', baseline, sellFill, strongSell ? theme.sell : undefined);
    this.#figure(this.#amount(ask), this.#middle + gap, 'left', baseline, buyFill, strongBuy ? theme.buy : undefined);
    if (detail === 'full') {
      this.#context.fillStyle = theme.muted;
      this.#context.font = font(9);
      this.#context.fillText('×', this.#middle - 3, baseline);
    }
  }

  /** One side's bar from the middle; returns the colour under its figure. */
  #bar(amount: number, direction: -1 | 1, colour: string, row: { top: number; height: number }): string {
    const { scale, theme, detail } = this.#look;
    if (amount <= 0) return theme.bg;
    const room = (this.#right - this.#left) / 2 - 1;
    const length = Math.max(1, Math.round((amount / this.#most) * room));
    const share = HEAT_SHARES[heat(amount, scale.steps)]! * (detail === 'profile' ? 1.9 : 1);
    const fill = mix(colour, share, theme.bg);
    this.#context.fillStyle = fill;
    const inset = row.height >= 4 ? 1 : 0;
    const from = direction < 0 ? this.#middle - length : this.#middle + 1;
    this.#context.fillRect(from, row.top, length, row.height - inset);
    return fill;
  }

  #delta(k: number, row: { top: number; height: number }): void {
    const { theme, detail } = this.#look;
    const delta = this.#candle.cellAsk[k]! - this.#candle.cellBid[k]!;
    const colour = delta < 0 ? theme.sell : theme.buy;
    const fill = this.#sideBar(Math.abs(delta), colour, row);
    if (detail === 'profile') return;
    const text = signed(toNumber(delta, this.#look.head.lot), this.#look.head.lot.decimals);
    this.#figure(text, this.#right - 3, 'right', row.top + row.height / 2 + this.#fontPx * 0.36, fill, delta === 0 ? undefined : colour);
  }

  #total(k: number, row: { top: number; height: number }): void {
    const { theme, detail } = this.#look;
    const bid = this.#candle.cellBid[k]!;
    const ask = this.#candle.cellAsk[k]!;
    const room = this.#right - this.#left;
    const sellLength = Math.round((bid / this.#most) * room);
    const buyLength = Math.round((ask / this.#most) * room);
    const inset = row.height >= 4 ? 1 : 0;
    this.#context.fillStyle = mix(theme.sell, 0.34, theme.bg);
    this.#context.fillRect(this.#left, row.top, sellLength, row.height - inset);
    this.#context.fillStyle = mix(theme.buy, 0.34, theme.bg);
    this.#context.fillRect(this.#left + sellLength, row.top, buyLength, row.height - inset);
    if (detail === 'profile') return;
    const baseline = row.top + row.height / 2 + this.#fontPx * 0.36;
    this.#figure(this.#amount(bid + ask), this.#left + 4, 'left', baseline, mix(theme.sell, 0.34, theme.bg), undefined);
  }

  #sideBar(amount: number, colour: string, row: { top: number; height: number }): string {
    const { scale, theme } = this.#look;
    const fill = mix(colour, HEAT_SHARES[heat(amount, scale.steps)]!, theme.bg);
    this.#context.fillStyle = fill;
    const inset = row.height >= 4 ? 1 : 0;
    this.#context.fillRect(this.#left, row.top, Math.round((amount / this.#most) * (this.#right - this.#left)), row.height - inset);
    return fill;
  }

  #amount(lots: number): string {
    return quantity(toNumber(lots, this.#look.head.lot), this.#look.head.lot.decimals);
  }

  /** A figure that stays readable on `under`; an imbalance is told by `accent` and weight. */
  #figure(text: string, x: number, align: 'left' | 'right', baseline: number, under: string, accent: string | undefined): void {
    const { theme } = this.#look;
    const room = (this.#right - this.#left) / (this.#look.style === 'bid-ask' ? 2 : 1) - 4;
    let px = this.#fontPx;
    while (px > 8 && text.length * charWidth(px) > room) px -= 1;
    this.#context.font = font(px, accent ? 600 : 400);
    this.#context.fillStyle = accent ? readable(accent, under) : text === '0' ? theme.faint : theme.text;
    const width = text.length * charWidth(px);
    this.#context.fillText(text, Math.round(align === 'left' ? x : x - width), Math.round(baseline));
  }

  #strip(x: number, colour: string, row: { top: number; height: number }): void {
    this.#context.fillStyle = colour;
    this.#context.fillRect(x, row.top, 3, Math.max(1, row.height - 1));
  }

  #pointOfControl(): void {
    if (this.#candle.poc < 0) return;
    const row = this.#row(this.#candle.poc);
    this.#context.strokeStyle = this.#look.theme.poc;
    this.#context.lineWidth = 1;
    if (row.height < 6 || this.#look.width < 40) {
      this.#context.fillStyle = this.#look.theme.poc;
      this.#context.fillRect(this.#left, row.top + Math.floor(row.height / 2), this.#right - this.#left, row.height < 4 ? 1 : 2);
    } else this.#context.strokeRect(this.#left + 0.5, row.top - 0.5, this.#right - this.#left - 1, row.height);
  }

  #bracket(side: 'buy' | 'sell', high: number, low: number): void {
    const top = this.#row(high).top;
    const bottom = Math.round(this.#y(low));
    const x = side === 'buy' ? this.#right + 1 : this.#left - 3;
    const tick = side === 'buy' ? x - 3 : x;
    this.#context.fillStyle = this.#look.theme[side];
    this.#context.fillRect(x, top, 2, bottom - top - 1);
    this.#context.fillRect(tick, top, 5, 2);
    this.#context.fillRect(tick, bottom - 3, 5, 2);
  }

  /** Something is missing inside this candle; it must not look whole. */
  #hatch(): void {
    const { high, low } = extentOf(this.#candle, this.#step);
    hatch(this.#context, this.#right - 2, this.#y(high), 6, this.#y(low) - this.#y(high), this.#look.theme.amber);
  }

  #header(): void {
    const { theme, head, width } = this.#look;
    const delta = this.#candle.ask - this.#candle.bid;
    const about = this.#candle.gap > 0 ? '≈' : '';
    const text = about + signed(toNumber(delta, head.lot), head.lot.decimals);
    const { high } = extentOf(this.#candle, this.#step);
    this.#context.font = font(10, 600);
    this.#context.fillStyle = delta === 0 ? theme.muted : delta > 0 ? theme.buy : theme.sell;
    const shown = text.length * charWidth(10) > width ? '' : text;
    this.#context.fillText(shown, Math.round(this.#middle - (shown.length * charWidth(10)) / 2), Math.round(this.#y(high)) - 5);
  }
}

function mostOf(candle: Candle, style: Style): number {
  let most = 1;
  for (let k = 0; k < candle.price.length; k++) {
    const bid = candle.cellBid[k]!;
    const ask = candle.cellAsk[k]!;
    most = Math.max(most, style === 'bid-ask' ? Math.max(bid, ask) : style === 'delta' ? Math.abs(ask - bid) : bid + ask);
  }
  return most;
}

/** Too narrow for cells: one column in the colour of each bin's delta, with body and point of control. */
function paintMarks(context: CanvasRenderingContext2D, candle: Candle, x: number, y: (price: number) => number, look: Look): void {
  const step = look.head.stepTicks;
  const width = Math.max(2, look.width - 3);
  for (let k = 0; k < candle.price.length; k++) {
    const delta = candle.cellAsk[k]! - candle.cellBid[k]!;
    const share = 0.1 + 0.12 * heat(Math.abs(delta), look.scale.steps);
    context.fillStyle = mix(delta < 0 ? look.theme.sell : look.theme.buy, share, look.theme.bg);
    const top = Math.round(y(candle.price[k]! + step));
    context.fillRect(x + 1, top, width, Math.max(1, Math.round(y(candle.price[k]!)) - top));
  }
  if (candle.poc >= 0) {
    context.fillStyle = look.theme.poc;
    context.fillRect(x + 1, Math.round(y(candle.poc + step / 2)), width, 1);
  }
}

function paintPlain(context: CanvasRenderingContext2D, candle: Candle, x: number, y: (price: number) => number, look: Look): void {
  if (candle.open < 0) return;
  const colour = candle.close >= candle.open ? look.theme.buy : look.theme.sell;
  const width = Math.max(1, Math.round(look.width) - 1);
  const top = Math.round(y(candle.high));
  context.fillStyle = mix(colour, 0.6, look.theme.bg);
  context.fillRect(x + Math.floor(width / 2), top, 1, Math.max(1, Math.round(y(candle.low)) - top));
  const bodyTop = Math.round(y(Math.max(candle.open, candle.close)));
  context.fillStyle = colour;
  context.fillRect(x, bodyTop, width, Math.max(1, Math.round(y(Math.min(candle.open, candle.close))) - bodyTop));
}

function hatch(context: CanvasRenderingContext2D, x: number, y: number, width: number, height: number, colour: string): void {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let offset = -width; offset < height + width; offset += 5) {
    context.moveTo(x, y + offset);
    context.lineTo(x + width, y + offset - width);
  }
  context.stroke();
  context.restore();
}
