/** Charts above each other over one axis of time: lines, a band, levels; what is missing breaks a line and is hatched. */

import { niceStep, timeStep } from '../../core/axis';
import { chip } from '../../core/crosshair';
import { clockMinutes, clockSeconds, day } from '../../core/format';
import { hatch } from '../../core/hatch';
import { charWidth, font, mix, readable, type Theme } from '../../core/theme';
import type { Figures } from '../../data/study';
import type { Box } from '../features/paint';
import type { TimeView } from './timeview';

export interface Trace {
  name: string;
  colour: string;
  values: Figures;
  width?: number;
  dash?: readonly number[];
  /** In bars from zero. */
  bars?: boolean;
}

export interface Pane {
  title: string;
  /** Share of the height, against the others'. */
  weight: number;
  traces: readonly Trace[];
  band?: { low: Figures; high: Figures; colour: string };
  /** Lines across, always in sight. */
  levels?: readonly { value: number; name: string }[];
  print(value: number): string;
  /** Why there is nothing to draw. */
  empty?: string;
}

export interface Panes {
  /** When each value was known: the end of its bar, ms, rising. */
  times: readonly number[];
  barMs: number;
  panes: readonly Pane[];
  /** Values before this index were fitted: what is seen there is no evidence. */
  fitted?: number;
}

const TITLE_PX = 17;
const TIMES_PX = 18;
const LABELS_PX = 66;
const MIN_PANE_PX = 40;
const DAY_MS = 86_400_000;

/** Room for lines inside a box of panes. */
export const plotWidth = (width: number): number => Math.max(20, width - LABELS_PX);

/** First index whose time is `ms` or later. */
export function indexFrom(times: readonly number[], ms: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The value nearest in time. */
export function nearest(times: readonly number[], ms: number): number {
  const after = Math.min(indexFrom(times, ms), times.length - 1);
  return after > 0 && ms - times[after - 1]! < times[after]! - ms ? after - 1 : after;
}

export function paintPanes(context: CanvasRenderingContext2D, box: Box, data: Panes, view: TimeView, theme: Theme, cursorMs: number | undefined): void {
  const plot = { ...box, width: plotWidth(box.width), height: box.height - TIMES_PX };
  const total = data.panes.reduce((sum, pane) => sum + pane.weight, 0);
  const at = cursorMs === undefined || data.times.length === 0 ? undefined : nearest(data.times, cursorMs);
  let y = plot.y;
  for (const pane of data.panes) {
    const height = Math.max(MIN_PANE_PX, Math.floor((plot.height * pane.weight) / total));
    paintPane(context, { x: plot.x, y, width: plot.width, height: Math.min(height, plot.y + plot.height - y) }, pane, data, view, theme, at);
    y += height;
    if (y >= plot.y + plot.height) break;
  }
  paintTimes(context, plot, view, theme);
  if (at !== undefined) paintCursor(context, plot, data.times[at]!, data.barMs, view, theme);
}

function paintPane(context: CanvasRenderingContext2D, box: Box, pane: Pane, data: Panes, view: TimeView, theme: Theme, at: number | undefined): void {
  context.fillStyle = theme.border;
  context.fillRect(box.x, box.y, box.width + LABELS_PX, 1);
  const plot = { x: box.x, y: box.y + TITLE_PX + 2, width: box.width, height: box.height - TITLE_PX - 5 };
  const [first, stop] = [Math.max(0, indexFrom(data.times, view.from) - 1), Math.min(data.times.length, indexFrom(data.times, view.to) + 1)];
  const scale = pane.empty === undefined ? scaleOf(pane, first, stop) : undefined;
  if (!scale || plot.height < 10) {
    paintWhy(context, box, pane.title, pane.empty ?? 'nothing is known of this time', theme);
    return;
  }
  const y = (value: number): number => plot.y + ((scale.high - value) / (scale.high - scale.low)) * plot.height;
  const x = (k: number): number => plot.x + view.x(data.times[k]!);
  context.save();
  context.beginPath();
  context.rect(plot.x, box.y + 1, plot.width, box.height - 1);
  context.clip();
  paintFitted(context, plot, data, x, theme);
  paintHoles(context, plot, data, first, stop, x, theme);
  paintAxis(context, plot, scale, y, pane, theme);
  if (pane.band) paintBand(context, pane.band, first, stop, x, y, theme);
  for (const trace of pane.traces) paintTrace(context, trace, data, first, stop, x, y);
  paintLegend(context, box, pane, at ?? data.times.length - 1, theme);
  context.restore();
  paintLabels(context, plot, scale, y, pane, theme);
}

/** Why there is no chart, in the place of the chart. */
export function paintWhy(context: CanvasRenderingContext2D, box: Box, title: string, why: string, theme: Theme): void {
  context.font = font(10);
  context.fillStyle = theme.muted;
  context.fillText(title, box.x + 6, box.y + 13);
  const fits = Math.max(10, Math.floor((box.width - 24) / charWidth(11)));
  const lines = wrapped(why, fits).slice(0, Math.max(1, Math.floor((box.height - TITLE_PX) / 15)));
  context.font = font(11);
  context.fillStyle = theme.neutral;
  const top = box.y + Math.max(TITLE_PX + 12, (box.height - lines.length * 15) / 2 + 12);
  lines.forEach((line, k) => context.fillText(line, box.x + 12, Math.round(top + 15 * k)));
}

export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function scaleOf(pane: Pane, first: number, stop: number): { low: number; high: number } | undefined {
  let low = Infinity;
  let high = -Infinity;
  const take = (values: Figures): void => {
    for (let k = first; k < stop; k++) {
      const value = values[k];
      if (value === null || value === undefined) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  };
  for (const trace of pane.traces) take(trace.values);
  if (!(low <= high)) return undefined;
  if (pane.band) [pane.band.low, pane.band.high].forEach(take);
  for (const { value } of pane.levels ?? []) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (pane.traces.some(({ bars }) => bars)) low = Math.min(0, low);
  const room = (high - low || Math.abs(high) * 1e-6 || 1) * 0.07;
  return { low: low - room, high: high + room };
}

function paintFitted(context: CanvasRenderingContext2D, plot: Box, data: Panes, x: (k: number) => number, theme: Theme): void {
  if (!data.fitted) return;
  const right = Math.min(plot.x + plot.width, x(Math.min(data.fitted, data.times.length - 1)));
  if (right <= plot.x) return;
  context.fillStyle = mix(theme.accent, 0.06, theme.bg);
  context.fillRect(plot.x, plot.y, right - plot.x, plot.height);
  context.fillStyle = mix(theme.accent, 0.5, theme.bg);
  context.fillRect(Math.round(right), plot.y, 1, plot.height);
}

function paintHoles(context: CanvasRenderingContext2D, plot: Box, data: Panes, first: number, stop: number, x: (k: number) => number, theme: Theme): void {
  for (let k = Math.max(1, first); k < stop; k++) {
    if (data.times[k]! - data.times[k - 1]! <= data.barMs) continue;
    const [left, right] = [Math.max(plot.x, x(k - 1)), Math.min(plot.x + plot.width, x(k))];
    if (right - left < 1) continue;
    context.fillStyle = hatch(context, theme);
    context.fillRect(left, plot.y, right - left, plot.height);
  }
}

const stepsOf = (plot: Box, scale: { low: number; high: number }): number => niceStep((scale.high - scale.low) / Math.max(1, plot.height / 24));

function paintAxis(context: CanvasRenderingContext2D, plot: Box, scale: { low: number; high: number }, y: (value: number) => number, pane: Pane, theme: Theme): void {
  const step = stepsOf(plot, scale);
  context.fillStyle = theme.grid;
  for (let k = Math.ceil(scale.low / step); k * step <= scale.high; k++) context.fillRect(plot.x, Math.round(y(k * step)), plot.width, 1);
  for (const { value } of pane.levels ?? []) {
    const at = Math.round(y(value));
    context.fillStyle = mix(theme.neutral, 0.55, theme.bg);
    for (let left = plot.x; left < plot.x + plot.width; left += 7) context.fillRect(left, at, 4, 1);
  }
}

function paintLabels(context: CanvasRenderingContext2D, plot: Box, scale: { low: number; high: number }, y: (value: number) => number, pane: Pane, theme: Theme): void {
  const step = stepsOf(plot, scale);
  context.font = font(10);
  context.fillStyle = theme.muted;
  for (let k = Math.ceil(scale.low / step); k * step <= scale.high; k++) context.fillText(pane.print(k * step), plot.x + plot.width + 6, Math.round(y(k * step)) + 4);
}

function paintBand(context: CanvasRenderingContext2D, band: { low: Figures; high: Figures; colour: string }, first: number, stop: number, x: (k: number) => number, y: (value: number) => number, theme: Theme): void {
  context.fillStyle = mix(band.colour, 0.16, theme.bg);
  let begin = -1;
  for (let k = first; k <= stop; k++) {
    const inside = k < stop && band.low[k] !== null && band.high[k] !== null && band.low[k] !== undefined;
    if (inside && begin < 0) begin = k;
    if (inside || begin < 0) continue;
    context.beginPath();
    for (let j = begin; j < k; j++) context.lineTo(x(j), y(band.high[j]!));
    for (let j = k - 1; j >= begin; j--) context.lineTo(x(j), y(band.low[j]!));
    context.fill();
    begin = -1;
  }
}

/** At most a few points a column of pixels: the first, the extremes and the last of what falls into it. */
function paintTrace(context: CanvasRenderingContext2D, trace: Trace, data: Panes, first: number, stop: number, x: (k: number) => number, y: (value: number) => number): void {
  if (trace.bars) return paintBars(context, trace, first, stop, x, y);
  context.beginPath();
  let column = NaN;
  let pen = false;
  let [low, high, last] = [0, 0, 0];
  const flush = (): void => {
    if (!Number.isNaN(column) && low !== high) {
      context.lineTo(column, y(low));
      context.lineTo(column, y(high));
      context.lineTo(column, y(last));
    }
  };
  for (let k = first; k < stop; k++) {
    const value = trace.values[k];
    if (value === null || value === undefined || (k > 0 && data.times[k]! - data.times[k - 1]! > data.barMs)) {
      flush();
      pen = false;
      column = NaN;
      if (value === null || value === undefined) continue;
    }
    const at = Math.round(x(k));
    if (at === column) {
      [low, high, last] = [Math.min(low, value), Math.max(high, value), value];
      continue;
    }
    flush();
    if (pen) context.lineTo(at, y(value));
    else {
      context.moveTo(at - 1, y(value));
      context.lineTo(at, y(value));
    }
    pen = true;
    column = at;
    low = high = last = value;
  }
  flush();
  context.strokeStyle = trace.colour;
  context.lineWidth = trace.width ?? 1.2;
  context.lineJoin = 'round';
  context.setLineDash([...(trace.dash ?? [])]);
  context.stroke();
  context.setLineDash([]);
}

function paintBars(context: CanvasRenderingContext2D, trace: Trace, first: number, stop: number, x: (k: number) => number, y: (value: number) => number): void {
  context.fillStyle = trace.colour;
  const zero = y(0);
  for (let k = first; k < stop; k++) {
    const value = trace.values[k];
    if (!value) continue;
    const right = x(k);
    const left = k > 0 ? x(k - 1) : right - 1;
    context.fillRect(left, y(value), Math.max(1, right - left - 0.5), zero - y(value));
  }
}

function paintLegend(context: CanvasRenderingContext2D, box: Box, pane: Pane, at: number, theme: Theme): void {
  let x = box.x + 6;
  const put = (text: string, colour: string, weight: number): void => {
    const width = text.length * charWidth(10);
    if (x + width > box.x + box.width - 2) return;
    context.font = font(10, weight);
    context.fillStyle = colour;
    context.fillText(text, Math.round(x), box.y + 13);
    x += width + 10;
  };
  put(pane.title, theme.muted, 400);
  for (const trace of pane.traces) {
    const value = trace.values[at];
    put(`${trace.name} ${value === null || value === undefined ? '—' : pane.print(value)}`.trim(), readable(trace.colour, theme.bg), 600);
  }
  for (const { name } of pane.levels ?? []) if (name) put(`-- ${name}`, theme.neutral, 400);
}

function paintTimes(context: CanvasRenderingContext2D, plot: Box, view: TimeView, theme: Theme): void {
  const [from, to] = [view.from, view.to];
  const every = timeStep(((to - from) / plot.width) * 84);
  context.font = font(10);
  context.fillStyle = theme.muted;
  for (let ms = Math.ceil(from / every) * every; ms <= to; ms += every) {
    const text = ms % DAY_MS === 0 ? day(ms).slice(5) : every < 60_000 ? clockSeconds(ms) : clockMinutes(ms);
    const left = Math.round(plot.x + view.x(ms) - (text.length * charWidth(10)) / 2);
    if (left >= plot.x && left + text.length * charWidth(10) <= plot.x + plot.width) context.fillText(text, left, plot.y + plot.height + 13);
  }
}

function paintCursor(context: CanvasRenderingContext2D, plot: Box, ms: number, barMs: number, view: TimeView, theme: Theme): void {
  const x = Math.round(plot.x + view.x(ms));
  if (x < plot.x || x > plot.x + plot.width) return;
  context.fillStyle = mix(theme.muted, 0.75, theme.bg);
  for (let y = plot.y; y < plot.y + plot.height; y += 5) context.fillRect(x, y, 1, 2);
  const text = `${day(ms).slice(5)} ${barMs < 60_000 ? clockSeconds(ms) : clockMinutes(ms)}`;
  const width = text.length * charWidth(11) + 14;
  chip(context, Math.round(Math.max(plot.x, Math.min(x - width / 2, plot.x + plot.width - width))), plot.y + plot.height + 9, width, text, theme.label, theme.text);
}
