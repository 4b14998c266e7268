/** Every symbol at once: one cell each, shaded by its trade imbalance. */

import { ratio, signedMoney } from '../../core/format';
import { link } from '../../core/link';
import { charWidth, font, mix, readable, type Theme } from '../../core/theme';
import type { Market, Window } from '../../data/market';

export interface HeatLayout {
  count: number;
  columns: number;
  rows: number;
  width: number;
  height: number;
}

/** Cells are about this many times as wide as high: a name is longer than it is high. */
const ASPECT = 3.4;
const MIN_TEXT_HEIGHT = 9;

/** Largest cells with which `count` of them fill the area. */
export function layoutHeat(count: number, width: number, height: number): HeatLayout {
  if (count === 0) return { count, columns: 1, rows: 1, width, height };
  const ideal = Math.sqrt((width * height) / count / ASPECT);
  const columns = Math.max(1, Math.round(width / (ideal * ASPECT)));
  const rows = Math.ceil(count / columns);
  return { count, columns, rows, width: width / columns, height: Math.min(height / rows, 34) };
}

export function cellAt(layout: HeatLayout, x: number, y: number): number {
  const column = Math.floor(x / layout.width);
  const row = Math.floor(y / layout.height);
  const index = row * layout.columns + column;
  return column >= 0 && column < layout.columns && index < layout.count ? index : -1;
}

export function paintHeat(
  context: CanvasRenderingContext2D,
  layout: HeatLayout,
  market: Market,
  order: readonly number[],
  window: Window,
  hovered: number,
  theme: Theme,
  area: { width: number; height: number },
): void {
  context.fillStyle = theme.bg;
  context.fillRect(0, 0, area.width, area.height);
  const px = Math.max(8, Math.min(11, Math.floor(layout.height - 4)));
  const withText = layout.height >= MIN_TEXT_HEIGHT;
  context.font = font(px);
  const linked = link.get().symbol;
  const imbalance = market.figure(`ti_${window}`);
  const buy = market.figure(`buy_${window}`);
  const sell = market.figure(`sell_${window}`);
  order.forEach((index, position) => {
    const x = Math.round((position % layout.columns) * layout.width);
    const y = Math.round(Math.floor(position / layout.columns) * layout.height);
    const w = Math.round(((position % layout.columns) + 1) * layout.width) - x - 1;
    const h = Math.round((Math.floor(position / layout.columns) + 1) * layout.height) - y - 1;
    const traded = buy[index]! + sell[index]! > 0;
    const value = traded ? imbalance[index]! : 0;
    const fill = traded ? mix(value < 0 ? theme.sell : theme.buy, 0.06 + 0.5 * Math.abs(value), theme.bg) : theme.grid;
    context.fillStyle = fill;
    context.fillRect(x, y, w, h);
    if (withText) paintName(context, market.symbols[index]!, x, y, w, h, px, traded ? readable(theme.text, fill) : theme.muted);
    if (market.symbols[index] === linked || position === hovered) outline(context, x, y, w, h, position === hovered ? theme.text : theme.accent);
  });
  if (hovered >= 0 && order[hovered] !== undefined) paintTip(context, layout, hovered, tip(market, order[hovered], window), theme, area);
}

function paintName(context: CanvasRenderingContext2D, symbol: string, x: number, y: number, w: number, h: number, px: number, colour: string): void {
  const fits = Math.floor((w - 4) / charWidth(px));
  const name = symbol.replace(/(USDT|USDC)$/, '').slice(0, fits);
  context.fillStyle = colour;
  context.fillText(name, x + 3, Math.round(y + h / 2 + px * 0.36));
}

function outline(context: CanvasRenderingContext2D, x: number, y: number, w: number, h: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
}

function tip(market: Market, index: number, window: Window): string[] {
  const at = (name: string): number => market.figure(name)[index]!;
  return [
    market.symbols[index]!,
    `imbalance ${window}  ${ratio(at(`ti_${window}`))}`,
    `book top 10   ${ratio(at('bi'))}`,
    `net 1m  ${signedMoney(at('net_1m'))} $`,
  ];
}

function paintTip(context: CanvasRenderingContext2D, layout: HeatLayout, position: number, lines: string[], theme: Theme, area: { width: number; height: number }): void {
  const width = Math.max(...lines.map((line) => line.length)) * charWidth(11) + 16;
  const height = lines.length * 15 + 10;
  const column = position % layout.columns;
  const row = Math.floor(position / layout.columns);
  const right = (column + 1) * layout.width + 4;
  const x = Math.round(right + width < area.width ? right : column * layout.width - width - 4);
  const y = Math.round(Math.max(0, Math.min(row * layout.height, area.height - height)));
  context.fillStyle = theme.tip;
  context.fillRect(x, y, width, height);
  outline(context, x, y, width, height, theme.border);
  context.font = font(11);
  lines.forEach((line, k) => {
    context.fillStyle = k === 0 ? theme.text : theme.muted;
    context.fillText(line, x + 8, y + 17 + k * 15);
  });
}
