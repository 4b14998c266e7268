/** One strip: name, value and rule at the left, 180 seconds at the right, its scale at the edge. */

import { niceStep } from '../../core/axis';
import { charWidth, font, mix, type Theme } from '../../core/theme';

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Line {
  values: Float64Array;
  colour: string;
}

export interface Scale {
  low: number;
  high: number;
}

/** A scale that holds every value and ends on round numbers, so that it rarely moves. */
export function scaleOf(lines: readonly Line[], zero: boolean): Scale | undefined {
  let low = zero ? 0 : Infinity;
  let high = zero ? 0 : -Infinity;
  for (const { values } of lines) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!(low <= high)) return undefined;
  const step = niceStep(Math.max((high - low) / 4, Math.abs(high) * 1e-7, 1e-9));
  if (low === high) return { low: low - step, high: high + step };
  return { low: Math.floor(low / step) * step, high: Math.ceil(high / step) * step };
}

/** Draw values over `times` in [from, to]; undefined ones leave a hole. */
export function paintSeries(
  context: CanvasRenderingContext2D,
  box: Box,
  times: Float64Array,
  from: number,
  to: number,
  lines: readonly Line[],
  scale: Scale,
  bars: boolean,
  theme: Theme,
): void {
  const x = (ts: number): number => box.x + ((ts - from) / (to - from)) * box.width;
  const y = (value: number): number => box.y + ((scale.high - value) / (scale.high - scale.low)) * box.height;
  if (scale.low < 0 && scale.high > 0) {
    context.fillStyle = theme.border;
    context.fillRect(box.x, Math.round(y(0)), box.width, 1);
  }
  if (bars) return paintBars(context, box, times, lines[0]!, x, y, theme);
  for (const { values, colour } of lines) {
    context.beginPath();
    let pen = false;
    for (let k = 0; k < values.length; k++) {
      const value = values[k]!;
      if (Number.isNaN(value) || times[k]! < from) {
        pen = false;
        continue;
      }
      // A second without neighbours must be seen too.
      if (!pen) context.moveTo(x(times[k]!) - 1, y(value));
      context.lineTo(x(times[k]!), y(value));
      pen = true;
    }
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.stroke();
  }
}

function paintBars(
  context: CanvasRenderingContext2D,
  box: Box,
  times: Float64Array,
  line: Line,
  x: (ts: number) => number,
  y: (value: number) => number,
  theme: Theme,
): void {
  const width = Math.max(1, Math.floor(box.width / 180) - (box.width > 540 ? 1 : 0));
  const zero = Math.round(y(0));
  const shades = [mix(theme.sell, 0.75, theme.bg), mix(line.colour, 0.75, theme.bg)];
  for (const sign of [0, 1]) {
    context.fillStyle = shades[sign]!;
    for (let k = 0; k < line.values.length; k++) {
      const value = line.values[k]!;
      if (Number.isNaN(value) || value === 0 || Number(value > 0) !== sign) continue;
      const left = Math.round(x(times[k]!)) - width;
      if (left < box.x) continue;
      const top = Math.round(y(value));
      context.fillRect(left, Math.min(top, zero), width, Math.max(1, Math.abs(top - zero)));
    }
  }
}

/** Seconds that are not known: hatched, never zero. */
export function paintUnknown(context: CanvasRenderingContext2D, box: Box, fromX: number, toX: number, theme: Theme): void {
  const left = Math.max(box.x, fromX);
  const right = Math.min(box.x + box.width, toX);
  if (right <= left) return;
  context.save();
  context.beginPath();
  context.rect(left, box.y, right - left, box.height);
  context.clip();
  context.beginPath();
  for (let x = left - box.height; x < right; x += 6) {
    context.moveTo(x, box.y + box.height);
    context.lineTo(x + box.height, box.y);
  }
  context.strokeStyle = theme.grid;
  context.lineWidth = 1;
  context.stroke();
  context.restore();
}

/** Text that ends in … where there is no room for all of it. */
export function paintText(context: CanvasRenderingContext2D, text: string, x: number, y: number, room: number, px: number, colour: string, weight = 400): void {
  const fits = Math.floor(room / charWidth(px));
  context.font = font(px, weight);
  context.fillStyle = colour;
  context.fillText(text.length > fits ? `${text.slice(0, Math.max(0, fits - 1))}…` : text, Math.round(x), Math.round(y));
}
