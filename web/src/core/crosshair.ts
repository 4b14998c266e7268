/** Crosshair, labels on axes, and the tooltip: the same on every chart. */

import { charWidth, font, mix, type Theme } from './theme';

const LINE_PX = 15;
const PAD = 8;
const OFFSET_PX = 16;

export interface Pointer {
  x: number;
  y: number;
}

/** What is pointed at on another panel, as quiet lines through a plot of `width` and `height` from `top` on. */
export function paintAim(context: CanvasRenderingContext2D, theme: Theme, plot: { top?: number; width: number; height: number }, x: number | undefined, y: number | undefined): void {
  const { top = 0, width, height } = plot;
  context.strokeStyle = mix(theme.accent, 0.7, theme.bg);
  context.setLineDash([1, 2]);
  context.beginPath();
  if (x !== undefined && x >= 0 && x < width) {
    context.moveTo(Math.round(x) + 0.5, top);
    context.lineTo(Math.round(x) + 0.5, top + height);
  }
  if (y !== undefined && y >= top && y < top + height) {
    context.moveTo(0, Math.round(y) + 0.5);
    context.lineTo(width, Math.round(y) + 0.5);
  }
  context.stroke();
  context.setLineDash([]);
}

/** One line of a tooltip; an empty label draws a rule. */
export type Line = readonly [label: string, value: string, colour?: string];

export interface CrosshairFrame {
  context: CanvasRenderingContext2D;
  theme: Theme;
  plot: number;
  width: number;
  height: number;
  /** Bottom of the price pane and of all panes. */
  chart: number;
  panes: number;
}

export function paintCrosshair(frame: CrosshairFrame, pointer: Pointer, priceText: string | undefined, timeText: string | undefined, column: number): void {
  const { context, theme } = frame;
  context.strokeStyle = mix(theme.muted, 0.75, theme.bg);
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(column + 0.5, 0);
  context.lineTo(column + 0.5, frame.panes);
  if (priceText !== undefined) {
    context.moveTo(0, pointer.y + 0.5);
    context.lineTo(frame.plot, pointer.y + 0.5);
  }
  context.stroke();
  context.setLineDash([]);
  if (priceText !== undefined) chip(context, frame.plot + 1, pointer.y, frame.width - frame.plot - 1, priceText, theme.label, theme.text);
  if (timeText === undefined) return;
  const width = timeText.length * charWidth(11) + 14;
  const left = Math.max(0, Math.min(frame.plot - width, column - width / 2));
  chip(context, Math.round(left), frame.panes + 9, width, timeText, theme.label, theme.text);
}

export function paintTooltip(frame: CrosshairFrame, pointer: Pointer, lines: readonly Line[]): void {
  const { context, theme } = frame;
  const labelWidth = Math.max(...lines.map(([label]) => label.length)) * charWidth(11);
  const valueWidth = Math.max(...lines.map(([, value]) => value.length)) * charWidth(11);
  const width = Math.ceil(labelWidth + valueWidth + 12 + 2 * PAD);
  const height = lines.reduce((sum, [label]) => sum + (label ? LINE_PX : 6), 2 * PAD - 2);
  const right = pointer.x + OFFSET_PX + width < frame.plot;
  const x = Math.round(right ? pointer.x + OFFSET_PX : Math.max(0, pointer.x - OFFSET_PX - width));
  const y = Math.round(Math.max(2, Math.min(pointer.y + OFFSET_PX, frame.panes - height - 2)));
  context.fillStyle = theme.tip;
  context.fillRect(x, y, width, height);
  context.strokeStyle = theme.border;
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  context.font = font(11);
  let line = y + PAD + 9;
  for (const [label, value, colour] of lines) {
    if (!label) {
      context.fillStyle = theme.border;
      context.fillRect(x + PAD, line - 7, width - 2 * PAD, 1);
      line += 6;
      continue;
    }
    context.fillStyle = theme.muted;
    context.fillText(label, x + PAD, line);
    context.fillStyle = colour ?? theme.text;
    context.fillText(value, x + width - PAD - value.length * charWidth(11), line);
    line += LINE_PX;
  }
}

/** A filled label on an axis. */
export function chip(context: CanvasRenderingContext2D, x: number, y: number, width: number, text: string, fill: string, colour: string): void {
  context.fillStyle = fill;
  context.fillRect(x, y - 8, width, 17);
  context.font = font(11, 600);
  context.fillStyle = colour;
  context.fillText(text, x + 7, y + 4);
}
