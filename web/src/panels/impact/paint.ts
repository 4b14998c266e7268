/** The walk's figures, its cost beside the model's band, and how true earlier walks were. */

import { niceStep } from '../../core/axis';
import { MISSING, money, quantity } from '../../core/format';
import { charWidth, font, mix, type Theme } from '../../core/theme';
import type { Impact } from '../../data/impact';
import { type Box, paintText } from '../features/paint';

export interface Sweep {
  ts: number;
  side: 'buy' | 'sell';
  quantity: number;
  levels: number;
  book_age_ms: number;
  predicted_bps: number;
  realised_bps: number;
  error_bps: number;
}

/** `GET /api/impact/calibration`. */
export interface Calibration {
  symbol: string;
  seen: number;
  not_compared: Record<string, number>;
  parameters: { sweep_levels: number; sweep_ms: number; kept: number };
  accuracy_bps: {
    n: number;
    realised_mean: number;
    mean_error: number;
    mean_absolute_error: number;
    p50_absolute_error: number;
    p90_absolute_error: number;
  } | null;
  sweeps: Sweep[];
}

export interface Row {
  label: string;
  value: string;
  unit: string;
  warn?: boolean;
}

export const ROW_PX = 18;
export const PAD = 8;
/** Height of the bar that compares walk and model. */
export const BAND_PX = 46;

const bps = (value: number | null): string => (value === null ? MISSING : value.toFixed(value < 9.9995 ? 3 : 2));

/** Figures of a walk as they are printed. */
export function rowsOf(impact: Impact, base: string, quote: string, decimals: number): Row[] {
  const price = (value: number | null, more: number): string => (value === null ? MISSING : value.toFixed(decimals + more));
  const all = impact.unfilled === 0;
  return [
    { label: 'average price', value: price(impact.avg_price, 2), unit: quote },
    { label: 'slippage from mid', value: price(impact.slippage, 2), unit: quote },
    { label: 'slippage', value: bps(impact.slippage_bps), unit: 'bps' },
    { label: `fee ${impact.fee_bps} bps`, value: money(impact.fee), unit: quote },
    { label: 'cost with fee', value: bps(impact.cost_bps), unit: 'bps' },
    { label: 'levels consumed', value: String(impact.levels_consumed), unit: '' },
    { label: 'last fill', value: price(impact.marginal_price, 0), unit: quote },
    { label: 'filled', value: quantity(impact.filled), unit: base },
    { label: 'unfilled', value: all ? '0' : quantity(impact.unfilled), unit: base, warn: !all },
    { label: 'value of the fill', value: money(impact.notional), unit: quote },
  ];
}

export function paintRows(context: CanvasRenderingContext2D, box: Box, rows: readonly Row[], theme: Theme): void {
  const unitPx = 5 * charWidth(10);
  rows.slice(0, Math.floor(box.height / ROW_PX)).forEach(({ label, value, unit, warn }, k) => {
    const y = box.y + k * ROW_PX + 13;
    paintText(context, label, box.x, y, box.width * 0.55, 11, theme.muted);
    right(context, value, box.x + box.width - unitPx - 4, y, 12, warn ? theme.neutral : theme.text, 600);
    paintText(context, unit, box.x + box.width - unitPx, y, unitPx + 2, 10, theme.muted);
  });
}

/** Slippage on a scale, and the square-root law's band beside it, named as what it is. */
export function paintBand(context: CanvasRenderingContext2D, box: Box, impact: Impact, theme: Theme): void {
  const { low_bps: low, high_bps: high, reason } = impact.model;
  const walked = impact.slippage_bps;
  const words = low === null || high === null ? `model: ${reason ?? 'none'}` : `model, square-root law σ·Y·√(N/ADV), Y 0.5 … 1: ${bps(low)} – ${bps(high)} bps`;
  paintText(context, words, box.x, box.y + 11, box.width, 10, theme.muted);
  const most = Math.max(walked ?? 0, high ?? 0, 0.01);
  const step = niceStep(most / 3);
  const top = Math.ceil(most / step) * step;
  const x = (value: number): number => box.x + (value / top) * (box.width - 30);
  const line = box.y + 26;
  context.fillStyle = theme.grid;
  context.fillRect(box.x, line - 5, box.width - 30, 10);
  if (low !== null && high !== null) {
    context.fillStyle = mix(theme.accent, 0.35, theme.bg);
    context.fillRect(Math.round(x(low)), line - 5, Math.max(2, Math.round(x(high) - x(low))), 10);
  }
  if (walked !== null) {
    context.fillStyle = impact.side === 'buy' ? theme.buy : theme.sell;
    context.fillRect(Math.round(x(walked)) - 1, line - 7, 3, 14);
  }
  for (let value = 0; value <= top * 1.001; value += step) {
    const text = String(Number(value.toPrecision(3)));
    paintText(context, text, x(value) - (value ? (text.length * charWidth(9)) / 2 : 0), line + 16, 60, 9, theme.muted);
  }
  paintText(context, 'bps', box.x + box.width - 22, line + 3, 24, 9, theme.muted);
}

/** Predicted against realised cost of real sweeps: on the diagonal the walk told the truth. */
export function paintCalibration(context: CanvasRenderingContext2D, box: Box, record: Calibration | undefined, failed: string, theme: Theme): void {
  if (!record) return paintText(context, failed || 'waiting for the calibration record', box.x, box.y + 12, box.width, 11, theme.muted);
  const { sweep_levels: levels, sweep_ms: ms } = record.parameters;
  paintText(context, `calibration · real sweeps, ≥ ${levels} prices in ≤ ${ms} ms · cost in bps of the mid before`, box.x, box.y + 11, box.width, 10, theme.muted);
  calibrationLines(record).forEach((line, k) => paintText(context, line, box.x, box.y + 26 + k * 14, box.width, 11, k === 0 ? theme.text : theme.muted));
  const top = box.y + 26 + calibrationLines(record).length * 14;
  const side = Math.min(box.width - 40, box.y + box.height - top - 22);
  if (side < 60 || record.sweeps.length === 0) return;
  paintScatter(context, { x: box.x + 34, y: top, width: side, height: side }, record.sweeps, theme);
}

export function calibrationLines({ accuracy_bps: found, seen, not_compared: not }: Calibration): string[] {
  const left = Object.entries(not).map(([why, n]) => `${n} not compared: ${why}`);
  if (!found) return [`no sweep compared yet, ${seen} seen`, ...left];
  return [
    `n ${found.n} · mean |error| ${found.mean_absolute_error.toFixed(3)} · error ${found.mean_error.toFixed(3)} · realised ${found.realised_mean.toFixed(3)}`,
    `|error| half below ${found.p50_absolute_error.toFixed(3)}, nine tenths below ${found.p90_absolute_error.toFixed(3)}`,
    ...left,
  ];
}

function paintScatter(context: CanvasRenderingContext2D, box: Box, sweeps: readonly Sweep[], theme: Theme): void {
  const values = sweeps.flatMap(({ predicted_bps: said, realised_bps: cost }) => [said, cost]).sort((a, b) => a - b);
  // The largest few may lie outside, at the edge, so that the others can be told apart.
  const reach = Math.max(0.1, values[Math.floor(values.length * 0.97)] ?? 0.1);
  const step = niceStep(reach / 3);
  const top = Math.ceil(reach / step) * step;
  const x = (value: number): number => box.x + Math.max(0, Math.min(1, value / top)) * box.width;
  const y = (value: number): number => box.y + box.height - Math.max(0, Math.min(1, value / top)) * box.height;
  for (let value = 0; value <= top * 1.001; value += step) {
    const text = String(Number(value.toPrecision(3)));
    context.fillStyle = theme.grid;
    context.fillRect(Math.round(x(value)), box.y, 1, box.height);
    context.fillRect(box.x, Math.round(y(value)), box.width, 1);
    right(context, text, box.x - 5, y(value) + 4, 9, theme.muted);
    paintText(context, text, x(value) - (text.length * charWidth(9)) / 2, box.y + box.height + 11, 60, 9, theme.muted);
  }
  context.strokeStyle = theme.faint;
  context.beginPath();
  context.moveTo(x(0), y(0));
  context.lineTo(x(top), y(top));
  context.stroke();
  for (const { predicted_bps: said, realised_bps: cost, side } of sweeps) {
    context.fillStyle = mix(side === 'buy' ? theme.buy : theme.sell, 0.75, theme.bg);
    context.fillRect(Math.round(x(said)) - 1, Math.round(y(cost)) - 1, 3, 3);
  }
  paintText(context, '↑ realised  → predicted', box.x + 4, box.y + 10, box.width, 9, theme.muted);
}

function right(context: CanvasRenderingContext2D, text: string, x: number, y: number, px: number, colour: string, weight = 400): void {
  context.font = font(px, weight);
  context.fillStyle = colour;
  context.fillText(text, Math.round(x - text.length * charWidth(px)), Math.round(y));
}
