/** Lines over time with an axis at the right and times under them; a missing value breaks its line. */

import { niceStep, timeStep } from '../core/axis';
import { clockMinutes, clockSeconds } from '../core/format';
import { charWidth, font, readable, type Theme } from '../core/theme';

export interface Line {
  name: string;
  colour: string;
  points: readonly { ts: number; value: number | null }[];
  width?: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Chart {
  title: string;
  lines: readonly Line[];
  /** How a value is printed on the axis and beside the line's name. */
  print: (value: number) => string;
  /** Levels drawn across and always in sight (zero, thresholds). */
  levels?: readonly { value: number; name: string }[];
  /** Said in the middle where no line has two points. */
  empty: string;
}

const TITLE_PX = 16;
const AXIS_PX = 14;
const LABELS_PX = 62;

export function paintLines(context: CanvasRenderingContext2D, box: Box, chart: Chart, theme: Theme): void {
  context.fillStyle = theme.bg;
  context.fillRect(box.x, box.y, box.width, box.height);
  context.fillStyle = theme.border;
  context.fillRect(box.x, box.y, box.width, 1);
  paintLegend(context, box, chart, theme);
  const plot = { x: box.x + 6, y: box.y + TITLE_PX + 4, width: box.width - LABELS_PX - 6, height: box.height - TITLE_PX - AXIS_PX - 8 };
  const drawn = chart.lines.filter((line) => line.points.filter((point) => point.value !== null).length > 1);
  if (drawn.length === 0 || plot.height < 12) {
    context.font = font(11);
    context.fillStyle = theme.muted;
    context.fillText(chart.empty, box.x + 7, box.y + Math.max(TITLE_PX + 14, box.height / 2 + 4));
    return;
  }
  const from = Math.min(...drawn.map((line) => line.points[0]!.ts));
  const to = Math.max(...drawn.map((line) => line.points.at(-1)!.ts));
  const { low, high } = range(drawn, chart.levels ?? []);
  const x = (ts: number): number => plot.x + ((ts - from) / (to - from || 1)) * plot.width;
  const y = (value: number): number => plot.y + ((high - value) / (high - low)) * plot.height;
  paintAxis(context, plot, low, high, y, chart, theme);
  for (const line of drawn) paintLine(context, line, x, y);
  paintTimes(context, plot, from, to, x, theme);
}

function range(lines: readonly Line[], levels: readonly { value: number }[]): { low: number; high: number } {
  let low = Math.min(Infinity, ...levels.map((level) => level.value));
  let high = Math.max(-Infinity, ...levels.map((level) => level.value));
  for (const line of lines) {
    for (const { value } of line.points) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  const room = (high - low || Math.abs(high) * 1e-4 || 1) * 0.06;
  return { low: low - room, high: high + room };
}

function paintLegend(context: CanvasRenderingContext2D, box: Box, chart: Chart, theme: Theme): void {
  let x = box.x + 7;
  const end = box.x + box.width - 4;
  const put = (text: string, colour: string, weight = 400): void => {
    const width = text.length * charWidth(10);
    if (x + width > end) return;
    context.font = font(10, weight);
    context.fillStyle = colour;
    context.fillText(text, x, box.y + 12);
    x += width + 8;
  };
  put(chart.title, theme.muted);
  // The heavy lines first: what does not fit is left out.
  for (const line of [...chart.lines].sort((a, b) => (b.width ?? 1) - (a.width ?? 1))) {
    const last = [...line.points].reverse().find((point) => point.value !== null)?.value;
    put(last === undefined || last === null ? line.name : `${line.name} ${chart.print(last)}`, line.colour, 600);
  }
}

function paintAxis(
  context: CanvasRenderingContext2D,
  plot: Box,
  low: number,
  high: number,
  y: (value: number) => number,
  chart: Chart,
  theme: Theme,
): void {
  const step = niceStep((high - low) / Math.max(1, plot.height / 26));
  context.font = font(10);
  for (let k = Math.ceil(low / step); k * step <= high; k++) {
    const value = k * step;
    const at = Math.round(y(value));
    context.fillStyle = theme.grid;
    context.fillRect(plot.x, at, plot.width, 1);
    context.fillStyle = theme.muted;
    context.fillText(chart.print(value), plot.x + plot.width + 6, at + 4);
  }
  for (const level of chart.levels ?? []) {
    const at = Math.round(y(level.value));
    context.fillStyle = theme.faint;
    context.fillRect(plot.x, at, plot.width, 1);
    if (!level.name) continue;
    context.fillStyle = theme.faint;
    context.fillText(level.name, plot.x + 2, at - 3);
  }
}

function paintLine(context: CanvasRenderingContext2D, line: Line, x: (ts: number) => number, y: (value: number) => number): void {
  context.beginPath();
  let open = false;
  for (const { ts, value } of line.points) {
    if (value === null) open = false;
    else if (open) context.lineTo(x(ts), y(value));
    else {
      context.moveTo(x(ts), y(value));
      open = true;
    }
  }
  context.strokeStyle = line.colour;
  context.lineWidth = line.width ?? 1.2;
  context.lineJoin = 'round';
  context.stroke();
}

function paintTimes(context: CanvasRenderingContext2D, plot: Box, from: number, to: number, x: (ts: number) => number, theme: Theme): void {
  const every = timeStep(((to - from) / plot.width) * 84);
  const print = every < 60_000 ? clockSeconds : clockMinutes;
  context.font = font(10);
  context.fillStyle = theme.muted;
  for (let ts = Math.ceil(from / every) * every; ts <= to; ts += every) {
    const text = print(ts);
    const at = Math.round(x(ts) - (text.length * charWidth(10)) / 2);
    if (at < plot.x || at + text.length * charWidth(10) > plot.x + plot.width) continue;
    context.fillText(text, at, plot.y + plot.height + 13);
  }
}

/** Colours for the lines of several markets, apart from buy and sell. */
export function lineColours(theme: Theme): readonly string[] {
  return [theme.accent, theme.amber, '#c792ea', '#8fbcbb', '#e0e08a', '#d08770', theme.muted].map((colour) => readable(colour, theme.bg));
}
