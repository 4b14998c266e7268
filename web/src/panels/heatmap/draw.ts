/** What stands around and over the heatmap's picture: best prices, the book as it is now, and the axes. */

import { priceTicks, timeStep } from '../../core/axis';
import { chip } from '../../core/crosshair';
import { toNumber, toText } from '../../core/decimal';
import { clockSeconds, quantity } from '../../core/format';
import { charWidth, font, mix, type Theme } from '../../core/theme';
import { type HeatHead, type HeatmapData, KEPT } from '../../data/heatmap';
import type { Scale } from './scale';
import type { View } from './view';

export const TIME_AXIS_PX = 18;
/** Width of the book as it stands now, right of the newest column. */
export const profileWidth = (width: number): number => (width < 560 ? 56 : 96);
const LABEL_GAP_PX = 46;
const TIME_GAP_PX = 84;

export interface Picture {
  context: CanvasRenderingContext2D;
  head: HeatHead;
  data: HeatmapData;
  view: View;
  theme: Theme;
  /** Of the whole panel. */
  width: number;
  height: number;
}

/** Best bid and ask as steps, broken where no book was live. */
export function paintQuotes({ context, head, data, view, theme }: Picture, first: number, last: number): void {
  const { buy, sell } = theme;
  const { bid, ask } = data;
  for (const [of, colour, shift] of [[bid, buy, 0], [ask, sell, 1]] as const) {
    context.strokeStyle = mix(colour, 0.8, theme.strong);
    context.lineWidth = 1.25;
    context.beginPath();
    let price = NaN;
    for (let number = first; number <= last; number++) {
      const next = data.has(number) ? of[number % KEPT]! : NaN;
      if (next === price && number < last) continue;
      const x = view.x(number * head.columnMs);
      const y = view.y(next + shift);
      if (!Number.isNaN(price)) context.lineTo(x, view.y(price + shift));
      if (!Number.isNaN(next)) {
        if (Number.isNaN(price)) context.moveTo(x, y);
        else context.lineTo(x, y);
        if (number === last) context.lineTo(view.x((number + 1) * head.columnMs), y);
      }
      price = next;
    }
    context.stroke();
  }
}

/** What rests at each price now, as bars and, where rows are high enough, in figures. */
export function paintProfile({ context, head, data, view, theme, width }: Picture, scale: Scale | undefined): void {
  const { bg, border, buy, sell, muted, text } = theme;
  const left = view.width;
  const profile = profileWidth(width);
  const [bids, asks] = [mix(buy, 0.42, bg), mix(sell, 0.42, bg)];
  context.fillStyle = bg;
  context.fillRect(left, 0, profile, view.height);
  context.fillStyle = border;
  context.fillRect(left, 0, 1, view.height);
  if (!data.has(data.newest) || !scale) return;
  const lots = data.lots(data.newest);
  const base = data.firstBin[data.newest % KEPT]!;
  const row = head.step * view.perTick;
  const figures = row >= 11 && profile > 60;
  const perLot = (profile - (figures ? 42 : 6)) / scale.high;
  context.font = font(10);
  context.save();
  context.beginPath();
  context.rect(left, 0, profile, view.height);
  context.clip();
  for (let bin = 0; bin < lots.length; bin++) {
    const size = lots[bin]!;
    const y = view.y((base + bin + 1) * head.step);
    if (!size || Number.isNaN(size) || y + row < 0 || y > view.height) continue;
    context.fillStyle = size > 0 ? bids : asks;
    context.fillRect(left + 1, y, Math.min(profile - 2, Math.abs(size) * perLot), Math.max(1, row > 3 ? row - 1 : row));
    if (!figures) continue;
    const figure = quantity(toNumber(Math.abs(size), head.lot), head.lot.decimals);
    context.fillStyle = Math.abs(size) >= scale.high ? text : muted;
    context.fillText(figure, left + profile - 5 - figure.length * charWidth(10), Math.round(y + row / 2 + 3.5));
  }
  context.restore();
}

/** Prices at the right with the best ones marked, times at the bottom. */
export function paintAxes({ context, head, data, view, theme, width, height }: Picture): void {
  const { bg, border, muted, buy, sell } = theme;
  const axis = view.width + profileWidth(width);
  context.fillStyle = bg;
  context.fillRect(axis, 0, width - axis, height);
  context.fillRect(0, view.height, width, TIME_AXIS_PX);
  context.fillStyle = border;
  context.fillRect(axis, 0, 1, height);
  context.fillRect(0, view.height, width, 1);
  context.font = font(11);
  context.fillStyle = muted;
  const chips = quoteChips(data, view);
  for (const price of priceTicks(Math.max(0, view.priceAt(view.height)), view.top, LABEL_GAP_PX / view.perTick)) {
    const y = view.y(price + 0.5);
    if (y > 8 && y < view.height - 6 && chips.every((chip) => Math.abs(chip.y - y) > 15)) context.fillText(toText(price, head.tick), axis + 8, Math.round(y) + 4);
  }
  context.font = font(10);
  const every = timeStep(TIME_GAP_PX * view.msPerPx);
  for (let ms = Math.ceil(view.left / every) * every; ms <= view.right; ms += every) {
    const x = view.x(ms);
    const label = clockSeconds(ms);
    if (x - 26 > 0 && x + 26 < view.width) {
      context.fillStyle = muted;
      context.fillText(label, Math.round(x - (label.length * charWidth(10)) / 2), view.height + 13);
      context.fillStyle = border;
      context.fillRect(Math.round(x), view.height, 1, 3);
    }
  }
  for (const { price, y, side } of chips) {
    if (y > 8 && y < view.height - 8) chip(context, axis + 1, Math.round(y), width - axis - 1, toText(price, head.tick), side > 0 ? buy : sell, bg);
  }
}

/** Where the newest best prices are written, one never over the other. */
function quoteChips(data: HeatmapData, view: View): { price: number; y: number; side: 1 | -1 }[] {
  if (!data.has(data.newest)) return [];
  const [bid, ask] = [data.bid[data.newest % KEPT]!, data.ask[data.newest % KEPT]!];
  const middle = view.y((bid + ask + 1) / 2);
  const apart = Math.max(9, Math.abs(view.y(ask + 0.5) - middle));
  return [
    { price: ask, y: middle - apart, side: -1 },
    { price: bid, y: middle + apart, side: 1 },
  ];
}
