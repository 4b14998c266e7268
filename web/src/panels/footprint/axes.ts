/** Price axis at the right, time axis at the bottom, last price. */

import { priceTicks, timeStep } from '../../core/axis';
import { chip } from '../../core/crosshair';
import { toText } from '../../core/decimal';
import { clockMinutes, clockSeconds, day } from '../../core/format';
import { charWidth, font, mix, type Theme } from '../../core/theme';
import type { FootprintHead } from '../../data/footprint';
import type { Placed } from './subpanes';
import type { Viewport } from './viewport';

export const TIME_AXIS_PX = 18;
const LABEL_GAP_PX = 46;
const DAY_MS = 86_400_000;

export interface AxisFrame {
  context: CanvasRenderingContext2D;
  head: FootprintHead;
  theme: Theme;
  view: Viewport;
  /** Width of the plot and of everything, height of everything. */
  plot: number;
  width: number;
  height: number;
}

/** Width the price axis needs for its longest label. */
export const axisWidth = (head: FootprintHead, price: number): number =>
  Math.max(58, Math.ceil(toText(Math.max(price, 1), head.tick).length * charWidth(11)) + 16);

export function paintPriceGrid(frame: AxisFrame): void {
  const { context, view, theme } = frame;
  for (const price of labelled(view)) {
    context.fillStyle = theme.grid;
    context.fillRect(0, Math.round(view.y(price)), frame.plot, 1);
  }
}

/** Labels keep clear of the chip at `last` and the time under it. */
export function paintPriceAxis(frame: AxisFrame, last: number): void {
  const { context, view, theme, head } = frame;
  context.fillStyle = theme.bg;
  context.fillRect(frame.plot, 0, frame.width - frame.plot, frame.height);
  context.fillStyle = theme.border;
  context.fillRect(frame.plot, 0, 1, frame.height);
  context.font = font(11);
  context.fillStyle = theme.muted;
  for (const price of labelled(view)) {
    const y = view.y(price);
    const below = y - view.y(last + 0.5);
    if (y > 8 && y < view.height - 6 && (below < -15 || below > 30)) context.fillText(toText(price, head.tick), frame.plot + 8, Math.round(y) + 4);
  }
}

function labelled(view: Viewport): number[] {
  return priceTicks(Math.max(0, view.priceAt(view.height)), view.top, LABEL_GAP_PX / view.perTick);
}

export function paintTimeAxis(frame: AxisFrame, placed: readonly Placed[]): void {
  const { context, theme, view, head } = frame;
  const top = frame.height - TIME_AXIS_PX;
  context.fillStyle = theme.bg;
  context.fillRect(0, top, frame.width, TIME_AXIS_PX);
  context.fillStyle = theme.border;
  context.fillRect(0, top, frame.width, 1);
  context.font = font(10);
  const every = timeStep((72 / view.candleWidth) * head.timeframeMs);
  for (const { candle, x } of placed) {
    if (candle.openMs % every !== 0) continue;
    const text = timeLabel(candle.openMs, head.timeframeMs);
    context.fillStyle = candle.openMs % DAY_MS === 0 ? theme.text : theme.muted;
    const at = x + (view.candleWidth - text.length * charWidth(10)) / 2;
    if (at >= 2 && at + text.length * charWidth(10) < frame.plot) context.fillText(text, Math.round(at), top + 13);
  }
}

function timeLabel(openMs: number, timeframeMs: number): string {
  if (openMs % DAY_MS === 0) return day(openMs).slice(5);
  return timeframeMs < 60_000 ? clockSeconds(openMs) : clockMinutes(openMs);
}

/** Dashed line and chip at the newest price. */
export function paintLastPrice(frame: AxisFrame, price: number, rising: boolean): void {
  const { context, view, theme, head } = frame;
  const y = Math.round(view.y(price + 0.5));
  if (y < 0 || y > view.height) return;
  const colour = rising ? theme.buy : theme.sell;
  context.strokeStyle = mix(colour, 0.7, theme.bg);
  context.lineWidth = 1;
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(0, y + 0.5);
  context.lineTo(frame.plot, y + 0.5);
  context.stroke();
  context.setLineDash([]);
  chip(context, frame.plot + 1, y, frame.width - frame.plot - 1, toText(price, head.tick), colour, theme.bg);
}
