/** Detections on the chart: a letter at the candle and price where each began, several of them side by side. */

import type { Theme } from '../../core/theme';
import type { Detection } from '../../data/detections';
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
}

/** Narrower candles would hide under their marks. */
const LEAST_CANDLE_PX = 18;

export function paintMarks(frame: MarksFrame, events: readonly Detection[]): number {
  if (frame.candleWidth < LEAST_CANDLE_PX) return 0;
  const taken: { x: number; y: number }[] = [];
  let painted = 0;
  for (const event of events) {
    const right = frame.x(event.startMs) + frame.candleWidth - MARK_PX / 2 - 2;
    const y = frame.y(event.side > 0 ? event.low : event.high);
    if (right < MARK_PX || right > frame.plot - MARK_PX / 2 || y < MARK_PX || y > frame.height - MARK_PX) continue;
    let x = right;
    while (taken.some((other) => Math.abs(other.x - x) < MARK_PX && Math.abs(other.y - y) < MARK_PX)) x -= MARK_PX + 1;
    if (x < right - frame.candleWidth) continue; // no room left in this candle
    taken.push({ x, y });
    paintMark(frame.context, event, x, y, frame.theme);
    painted += 1;
  }
  return painted;
}
