/** One symbol's trade imbalance over time, in [-1, 1], up to the present second. */

import { timeStep } from '../../core/axis';
import { clockMinutes, clockSeconds, ratio } from '../../core/format';
import { hatch } from '../../core/hatch';
import { charWidth, font, mix, type Theme } from '../../core/theme';

export interface Point {
  ts: number;
  /** Null where nothing of the window is held. */
  imbalance: number | null;
  buy: number;
  sell: number;
  /** Whether no trade of the window is missing. */
  complete: boolean;
}

export interface History {
  symbol: string;
  window: string;
  points: Point[];
  /** The server's sentence when it had none to give. */
  failed: string | undefined;
}

type Shown = Pick<Point, 'ts' | 'imbalance' | 'complete'>;

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const TITLE_PX = 16;
const AXIS_PX = 14;
const LABELS_PX = 40;

export function paintHistory(
  context: CanvasRenderingContext2D,
  box: Box,
  history: History,
  live: { ts: number; imbalance: number } | undefined,
  theme: Theme,
): void {
  context.fillStyle = theme.bg;
  context.fillRect(box.x, box.y, box.width, box.height);
  context.fillStyle = theme.border;
  context.fillRect(box.x, box.y, box.width, 1);
  const plot = { x: box.x + 6, y: box.y + TITLE_PX + 2, width: box.width - LABELS_PX - 6, height: box.height - TITLE_PX - AXIS_PX - 4 };
  paintFrame(context, plot, theme);
  paintTitle(context, box, history, live, theme);
  const points: Shown[] = live ? [...history.points.filter((point) => point.ts < live.ts), { ...live, complete: true }] : history.points;
  if (points.length < 2) return;
  const from = points[0]!.ts;
  const to = points.at(-1)!.ts;
  const x = (ts: number): number => plot.x + ((ts - from) / (to - from)) * plot.width;
  const y = (value: number): number => plot.y + ((1 - value) / 2) * plot.height;
  paintMissing(context, points, plot, x, theme);
  for (const held of runs(points)) {
    paintArea(context, held, x, y, 1, theme);
    paintArea(context, held, x, y, -1, theme);
  }
  paintTimes(context, plot, from, to, x, theme);
}

function paintTitle(context: CanvasRenderingContext2D, box: Box, history: History, live: { imbalance: number } | undefined, theme: Theme): void {
  const what = history.failed ? `${history.symbol}: ${history.failed}` : `${history.symbol} · trade imbalance ${history.window}`;
  context.font = font(10);
  context.fillStyle = theme.muted;
  context.fillText(what, box.x + 7, box.y + 12);
  if (!live || !Number.isFinite(live.imbalance)) return;
  context.font = font(10, 600);
  context.fillStyle = live.imbalance < 0 ? theme.sell : theme.buy;
  context.fillText(ratio(live.imbalance), box.x + 7 + (what.length + 2) * charWidth(10), box.y + 12);
}

function paintFrame(context: CanvasRenderingContext2D, plot: Box, theme: Theme): void {
  context.font = font(10);
  for (const value of [1, 0, -1]) {
    const y = Math.round(plot.y + ((1 - value) / 2) * plot.height);
    context.fillStyle = value === 0 ? theme.faint : theme.grid;
    context.fillRect(plot.x, y, plot.width, 1);
    context.fillStyle = theme.muted;
    context.fillText(value > 0 ? '+1' : value < 0 ? '−1' : ' 0', plot.x + plot.width + 8, y + 4);
  }
}

/** Hatched: windows of which trades are missing. */
function paintMissing(context: CanvasRenderingContext2D, points: readonly Shown[], plot: Box, x: (ts: number) => number, theme: Theme): void {
  context.fillStyle = hatch(context, theme);
  points.forEach((point, k) => {
    const left = x(points[Math.max(0, k - 1)]!.ts);
    if (!point.complete) context.fillRect(left, plot.y, x(point.ts) - left, plot.height);
  });
}

/** Points in a row whose figure is known. */
function runs(points: readonly Shown[]): { ts: number; imbalance: number }[][] {
  const found: { ts: number; imbalance: number }[][] = [[]];
  for (const { ts, imbalance } of points) {
    if (imbalance !== null) found.at(-1)!.push({ ts, imbalance });
    else if (found.at(-1)!.length) found.push([]);
  }
  return found.filter((run) => run.length > 0);
}

/** What lies on one side of zero, filled, with its outline. */
function paintArea(
  context: CanvasRenderingContext2D,
  points: readonly { ts: number; imbalance: number }[],
  x: (ts: number) => number,
  y: (value: number) => number,
  side: 1 | -1,
  theme: Theme,
): void {
  const colour = side > 0 ? theme.buy : theme.sell;
  const clipped = (value: number): number => (side > 0 ? Math.max(0, value) : Math.min(0, value));
  context.beginPath();
  context.moveTo(x(points[0]!.ts), y(0));
  for (const point of points) context.lineTo(x(point.ts), y(clipped(point.imbalance)));
  context.lineTo(x(points.at(-1)!.ts), y(0));
  context.closePath();
  context.fillStyle = mix(colour, 0.22, theme.bg);
  context.fill();
  context.beginPath();
  for (const point of points) context.lineTo(x(point.ts), y(clipped(point.imbalance)));
  context.strokeStyle = mix(colour, 0.8, theme.bg);
  context.lineWidth = 1;
  context.stroke();
}

function paintTimes(context: CanvasRenderingContext2D, plot: Box, from: number, to: number, x: (ts: number) => number, theme: Theme): void {
  const every = timeStep(((to - from) / plot.width) * 70);
  context.font = font(10);
  context.fillStyle = theme.muted;
  for (let ts = Math.ceil(from / every) * every; ts <= to; ts += every) {
    const text = every < 60_000 ? clockSeconds(ts) : clockMinutes(ts);
    const left = x(ts) - (text.length * charWidth(10)) / 2;
    if (left >= plot.x && left + text.length * charWidth(10) <= plot.x + plot.width) context.fillText(text, Math.round(left), plot.y + plot.height + 13);
  }
}
