/**
 * Detections on the chart: a letter under the candle in which one began, where it favours buyers, or over it. Its price
 * is a notch at the candle's edge: a letter there would hide the figures that it is about.
 */

import type { Theme } from '../../core/theme';
import type { Detection } from '../../data/detections';
import { HEADER_PX } from './candle';
import { MARK_PX, paintMark } from '../detections/marks';

interface MarksFrame {
  context: CanvasRenderingContext2D;
  theme: Theme;
  plot: number;
  height: number;
  candleWidth: number;
  /** Left edge of the candle that holds a time. */
  x(ms: number): number;
  /** Height of the middle of a tick. */
  y(tick: number): number;
  /** Upper and lower edge of what the candle that holds a time paints. */
  edges(ms: number): { top: number; bottom: number } | undefined;
}

/** Narrower candles would hide under their marks. */
const LEAST_CANDLE_PX = 18;
const NOTCH_PX = 3;
const GAP_PX = 2;
/** Rows of letters over or under one candle. */
const ROWS = 3;

export function paintMarks(frame: MarksFrame, events: readonly Detection[]): number {
  const { context, theme, candleWidth } = frame;
  if (candleWidth < LEAST_CANDLE_PX) return 0;
  const room = Math.floor((candleWidth - GAP_PX) / (MARK_PX + 1));
  const placed = new Map<string, number>();
  let painted = 0;
  for (const event of events) {
    const left = frame.x(event.startMs);
    const edges = frame.edges(event.startMs);
    if (!edges || left + candleWidth < 0 || left > frame.plot - MARK_PX) continue;
    const price = frame.y(event.side > 0 ? event.low : event.high);
    if (price > 0 && price < frame.height) {
      context.fillStyle = event.side > 0 ? theme.buy : theme.sell;
      context.fillRect(Math.round(left + candleWidth - NOTCH_PX), Math.round(price) - 1, NOTCH_PX, NOTCH_PX);
    }
    const place = `${left} ${event.side}`;
    const at = placed.get(place) ?? 0;
    placed.set(place, at + 1);
    const row = Math.floor(at / room);
    if (row >= ROWS) continue; // the log has them all
    const away = GAP_PX + MARK_PX / 2 + row * (MARK_PX + 1);
    const y = event.side > 0 ? edges.bottom + away : edges.top - HEADER_PX - away;
    if (y < MARK_PX / 2 || y > frame.height - MARK_PX / 2) continue; // pushed back, it would lie on the figures
    painted += 1;
    const x = left + candleWidth - MARK_PX / 2 - 1 - (at % room) * (MARK_PX + 1);
    paintMark(context, event, x, y, theme);
  }
  return painted;
}
