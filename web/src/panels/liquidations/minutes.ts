/** Totals by minute: closed shorts above the line, closed longs below it. */

import { clockMinutes, money } from '../../core/format';
import { hatch } from '../../core/hatch';
import { charWidth, font, mix, type Theme } from '../../core/theme';
import type { Minute } from '../../data/liquidations';

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const MINUTES = 60;
const TITLE_PX = 22;
const AXIS_PX = 16;
const LABELS_PX = 46;
/** A line of text over and under the bars. */
const LEGEND_PX = 20;

export function paintMinutes(
  context: CanvasRenderingContext2D,
  box: Box,
  known: readonly Minute[],
  pointerX: number | undefined,
  theme: Theme,
): void {
  context.fillStyle = theme.bg;
  context.fillRect(box.x, box.y, box.width, box.height);
  if (known.length === 0) return;
  const minutes = wholeHour(known);
  const plot = { ...box, y: box.y + TITLE_PX, width: box.width - LABELS_PX, height: box.height - TITLE_PX - AXIS_PX };
  const slot = plot.width / minutes.length;
  const hovered = pointerX === undefined ? -1 : Math.min(minutes.length - 1, Math.floor(pointerX / slot));
  const most = Math.max(1, ...minutes.map((minute) => Math.max(minute.longNotional, minute.shortNotional)));
  const middle = Math.round(plot.y + plot.height / 2);
  // Before the first report that is held nobody was listening, for all we know: that is no zero.
  const unheard = minutes.findIndex(({ ms }) => ms >= known[0]!.ms);
  context.fillStyle = hatch(context, theme);
  context.fillRect(plot.x, plot.y, Math.round(unheard * slot), plot.height);
  const room = Math.max(8, plot.height / 2 - LEGEND_PX);
  minutes.forEach((minute, k) => {
    const x = Math.round(plot.x + k * slot);
    const width = Math.max(1, Math.round(plot.x + (k + 1) * slot) - x - 1);
    const strength = k === hovered ? 0.95 : 0.62;
    const up = Math.round((minute.shortNotional / most) * room);
    const down = Math.round((minute.longNotional / most) * room);
    context.fillStyle = mix(theme.buy, strength, theme.bg);
    context.fillRect(x, middle - up, width, up);
    context.fillStyle = mix(theme.sell, strength, theme.bg);
    context.fillRect(x, middle + 1, width, down);
  });
  context.fillStyle = theme.faint;
  context.fillRect(plot.x, middle, plot.width, 1);
  const title = unheard > 0 ? `since ${clockMinutes(known[0]!.ms)}` : 'last 60 minutes';
  paintTitle(context, box, title, hovered < Math.max(0, unheard) ? undefined : minutes[hovered], minutes, theme);
  paintLabels(context, plot, most, middle, room, theme);
  paintTimes(context, plot, minutes, slot, theme);
}

/** Sixty minutes up to the newest, whether or not all of them were seen. */
export function wholeHour(known: readonly Minute[]): Minute[] {
  const newest = Math.max(...known.map((minute) => minute.ms));
  const byTime = new Map(known.map((minute) => [minute.ms, minute]));
  return Array.from({ length: MINUTES }, (_, k) => {
    const ms = newest - (MINUTES - 1 - k) * 60_000;
    return byTime.get(ms) ?? { ms, longNotional: 0, shortNotional: 0, longs: 0, shorts: 0 };
  });
}

/** Each side's total stands in its own half. */
function paintTitle(context: CanvasRenderingContext2D, box: Box, title: string, hovered: Minute | undefined, minutes: readonly Minute[], theme: Theme): void {
  const shown = hovered ?? sum(minutes);
  context.fillStyle = theme.raised;
  context.fillRect(box.x, box.y, box.width, TITLE_PX);
  context.fillStyle = theme.border;
  context.fillRect(box.x, box.y + TITLE_PX - 1, box.width, 1);
  context.font = font(11);
  context.fillStyle = theme.muted;
  context.fillText(hovered ? `minute ${clockMinutes(hovered.ms)}` : title, box.x + 8, box.y + 15);
  const count = (reports: number): string => (box.width < 140 ? '' : ` (${reports})`);
  context.fillStyle = theme.buy;
  context.fillText(`▲ SHORT ${money(shown.shortNotional)}${count(shown.shorts)}`, box.x + 8, box.y + TITLE_PX + 14);
  context.fillStyle = theme.sell;
  context.fillText(`▼ LONG ${money(shown.longNotional)}${count(shown.longs)}`, box.x + 8, box.y + box.height - AXIS_PX - 6);
}

function sum(minutes: readonly Minute[]): Minute {
  const total = { ms: 0, longNotional: 0, shortNotional: 0, longs: 0, shorts: 0 };
  for (const minute of minutes) {
    total.longNotional += minute.longNotional;
    total.shortNotional += minute.shortNotional;
    total.longs += minute.longs;
    total.shorts += minute.shorts;
  }
  return total;
}

function paintLabels(context: CanvasRenderingContext2D, plot: Box, most: number, middle: number, room: number, theme: Theme): void {
  context.font = font(10);
  context.fillStyle = theme.muted;
  context.fillText(money(most), plot.x + plot.width + 6, middle - room + 8);
  context.fillText('0', plot.x + plot.width + 6, middle + 4);
  context.fillText(money(most), plot.x + plot.width + 6, middle + room);
}

function paintTimes(context: CanvasRenderingContext2D, plot: Box, minutes: readonly Minute[], slot: number, theme: Theme): void {
  context.font = font(10);
  context.fillStyle = theme.muted;
  const every = slot * 15 >= 44 ? 15 : 30;
  minutes.forEach((minute, k) => {
    if ((minute.ms / 60_000) % every !== 0) return;
    const text = clockMinutes(minute.ms);
    const x = plot.x + k * slot - (text.length * charWidth(10)) / 2;
    if (x > plot.x && x + text.length * charWidth(10) < plot.x + plot.width) context.fillText(text, Math.round(x), plot.y + plot.height + 12);
  });
}
