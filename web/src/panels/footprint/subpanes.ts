/** Under the footprint, on the same time axis: delta and volume of each candle, cumulative volume delta. */

import { toNumber } from '../../core/decimal';
import { clockMinutes, clockSeconds, quantity, signed } from '../../core/format';
import { charWidth, font, mix, type Theme } from '../../core/theme';
import type { Candle, FootprintHead } from '../../data/footprint';

export interface Pane {
  top: number;
  height: number;
}

export interface SubPanes {
  delta: Pane;
  volume: Pane;
  cvd: Pane;
}

/** A candle on screen: its data, left edge and width. */
export interface Placed {
  candle: Candle;
  x: number;
}

interface Frame {
  context: CanvasRenderingContext2D;
  head: FootprintHead;
  theme: Theme;
  /** Right edge of the plot, where the axis begins, and of the axis. */
  plot: number;
  edge: number;
  candleWidth: number;
}

const DAY_MS = 86_400_000;
/** Room for a pane's name at its left edge. */
const LABEL_PX = 54;

/** Share the height under the chart out. */
export function divide(height: number): { chart: number; panes: SubPanes } {
  const lower = Math.round(Math.min(196, Math.max(92, height * 0.26)));
  const chart = height - lower;
  const delta = Math.round(lower * 0.32);
  const volume = Math.round(lower * 0.28);
  return {
    chart,
    panes: {
      delta: { top: chart, height: delta },
      volume: { top: chart + delta, height: volume },
      cvd: { top: chart + delta + volume, height: lower - delta - volume },
    },
  };
}

/** From when on CVD is counted, and from when on by trades. */
export interface Since {
  cvdSince: number | null;
  tradesSince: number | null;
}

export function paintSubPanes(frame: Frame, panes: SubPanes, placed: readonly Placed[], unit: string, since: Since): void {
  for (const pane of [panes.delta, panes.volume, panes.cvd]) {
    frame.context.fillStyle = frame.theme.border;
    frame.context.fillRect(0, pane.top, frame.edge, 1);
  }
  paintDelta(frame, panes.delta, placed);
  paintVolume(frame, panes.volume, placed);
  paintCvd(frame, panes.cvd, placed);
  label(frame, panes.delta, `Δ ${unit}`);
  label(frame, panes.volume, `VOL ${unit}`);
  const [from, by] = sinceText(placed, since);
  const whole = `CVD ${unit} since ${from} UTC${by}`;
  label(frame, panes.cvd, whole.length * charWidth(9) + 12 < frame.plot ? whole : `CVD ${unit} since ${from}`);
}

function paintDelta(frame: Frame, pane: Pane, placed: readonly Placed[]): void {
  const { context, theme, head } = frame;
  const most = Math.max(1, ...placed.map(({ candle }) => Math.abs(candle.ask - candle.bid)));
  const middle = Math.round(pane.top + pane.height / 2);
  const room = pane.height / 2 - 4;
  for (const { candle, x } of placed) {
    const delta = candle.ask - candle.bid;
    const height = Math.round((Math.abs(delta) / most) * room);
    context.fillStyle = mix(delta < 0 ? theme.sell : theme.buy, 0.5, theme.bg);
    bar(frame, x, delta < 0 ? middle : middle - height, Math.max(1, height));
    figure(frame, x, delta < 0 ? middle - 4 : middle + 11, about(candle) + signed(toNumber(delta, head.lot), head.lot.decimals), theme.text);
  }
  context.fillStyle = theme.faint;
  context.fillRect(0, middle, frame.plot, 1);
  axisLabel(frame, pane.top + 12, signed(toNumber(most, head.lot), head.lot.decimals));
  axisLabel(frame, pane.top + pane.height - 4, signed(-toNumber(most, head.lot), head.lot.decimals));
}

function paintVolume(frame: Frame, pane: Pane, placed: readonly Placed[]): void {
  const { context, theme, head } = frame;
  const most = Math.max(1, ...placed.map(({ candle }) => candle.ask + candle.bid));
  const room = pane.height - 6;
  for (const { candle, x } of placed) {
    const bottom = pane.top + pane.height;
    const sell = Math.round((candle.bid / most) * room);
    const buy = Math.round((candle.ask / most) * room);
    context.fillStyle = mix(theme.sell, 0.32, theme.bg);
    bar(frame, x, bottom - sell, sell);
    context.fillStyle = mix(theme.buy, 0.32, theme.bg);
    bar(frame, x, bottom - sell - buy, buy);
    // Within the bar where it is high enough for a line of text, else on top of it.
    figure(frame, x, sell + buy >= 15 ? bottom - 4 : bottom - sell - buy - 3, about(candle) + quantity(toNumber(candle.ask + candle.bid, head.lot), head.lot.decimals), theme.text);
  }
  axisLabel(frame, pane.top + 12, quantity(toNumber(most, head.lot), head.lot.decimals));
}

function paintCvd(frame: Frame, pane: Pane, placed: readonly Placed[]): void {
  if (placed.length === 0) return;
  const { context, theme, head, candleWidth } = frame;
  const values = placed.map(({ candle }) => candle.cvd);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const span = high - low || 1;
  const y = (cvd: number): number => pane.top + 6 + ((high - cvd) / span) * (pane.height - 12);
  if (low < 0 && high > 0) {
    context.fillStyle = mix(theme.faint, 0.5, theme.bg);
    context.fillRect(0, Math.round(y(0)), frame.plot, 1);
  }
  context.strokeStyle = theme.neutral;
  context.lineWidth = 1.5;
  context.beginPath();
  let day = -1;
  for (const { candle, x } of placed) {
    const at = x + candleWidth / 2;
    const sameDay = Math.floor(candle.openMs / DAY_MS) === day;
    // The sum starts again at midnight: no line joins two days.
    if (sameDay) context.lineTo(at, y(candle.cvd));
    else context.moveTo(at, y(candle.cvd));
    day = Math.floor(candle.openMs / DAY_MS);
  }
  context.stroke();
  const newest = placed.at(-1)!;
  context.fillStyle = theme.neutral;
  context.fillRect(newest.x + candleWidth / 2 - 2, y(newest.candle.cvd) - 2, 4, 4);
  axisLabel(frame, Math.min(pane.top + pane.height - 4, Math.max(pane.top + 12, y(newest.candle.cvd) + 4)), signed(toNumber(newest.candle.cvd, head.lot), head.lot.decimals), theme.neutral);
}

/** The sum begins at midnight, or with the oldest trade held of the day, and says which, and until when klines told it. */
function sinceText(placed: readonly Placed[], { cvdSince, tradesSince }: Since): [from: string, by: string] {
  const newest = placed.at(-1)?.candle.openMs ?? 0;
  const midnight = newest - (newest % DAY_MS);
  const from = cvdSince !== null && cvdSince > midnight ? clockSeconds(cvdSince) : '00:00';
  const led = cvdSince !== null && tradesSince !== null && cvdSince < tradesSince && tradesSince > midnight;
  return [from, led ? `, by klines to ${clockMinutes(tradesSince)}` : ''];
}

const about = (candle: Candle): string => (candle.gap > 0 ? '≈' : '');

function bar(frame: Frame, x: number, y: number, height: number): void {
  const inset = frame.candleWidth >= 8 ? 2 : 0;
  frame.context.fillRect(x + inset, y, Math.max(1, frame.candleWidth - inset - (inset ? 4 : 1)), height);
}

/** The bar's figure, where a candle is wide enough for it. */
function figure(frame: Frame, x: number, baseline: number, text: string, colour: string): void {
  if (text.length * charWidth(10) + 6 > frame.candleWidth || x < LABEL_PX) return;
  frame.context.font = font(10);
  frame.context.fillStyle = colour;
  frame.context.fillText(text, Math.round(x + (frame.candleWidth - 2 - text.length * charWidth(10)) / 2), Math.round(baseline));
}

function label(frame: Frame, pane: Pane, text: string): void {
  frame.context.font = font(9);
  frame.context.fillStyle = frame.theme.bg;
  frame.context.fillRect(2, pane.top + 2, text.length * charWidth(9) + 6, 12);
  frame.context.fillStyle = frame.theme.muted;
  frame.context.fillText(text, 5, pane.top + 11);
}

function axisLabel(frame: Frame, baseline: number, text: string, colour: string = frame.theme.muted): void {
  frame.context.font = font(10);
  frame.context.fillStyle = colour;
  frame.context.fillText(text, frame.plot + 7, Math.round(baseline));
}
