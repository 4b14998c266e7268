/** Report cards: how often each detector fired, and what the mid price did next, beside what it does anyway. */

import { font, charWidth, mix, type Theme } from '../../core/theme';
import { DETECTION_KINDS } from '../../data/detections';
import { type Box, paintText } from '../features/paint';

interface Distribution {
  n: number;
  mean: number;
  std: number;
  p25: number;
  median: number;
  p75: number;
}

interface Card {
  fired: number | null;
  returns_bps: Record<string, Distribution | null>;
}

/** What `GET /api/detections` says beside the events. */
export interface Cards {
  watched_s: number;
  report_card: Record<string, Card>;
}

export const HORIZONS = ['1s', '5s', '30s'] as const;
const BASELINE = 'baseline';
const ROW_PX = 18;
export const CARD_PX = 22 + ROW_PX * (DETECTION_KINDS.length + 2) + 4;
const PAD = 8;
const NAME_PX = 84;
const COUNT_PX = 104;

export function paintCards(context: CanvasRenderingContext2D, box: Box, cards: Cards | undefined, failed: string, theme: Theme): void {
  context.fillStyle = theme.bg;
  context.fillRect(box.x, box.y, box.width, box.height);
  context.fillStyle = theme.border;
  context.fillRect(box.x, box.y, box.width, 1);
  context.textBaseline = 'alphabetic';
  const title = 'report cards · move of the mid price in the favoured direction, bps · box: middle half, bar: median · baseline: any second';
  paintText(context, title, PAD, box.y + 15, box.width - 2 * PAD, 10, theme.muted);
  if (!cards) return paintText(context, failed || 'waiting for the report cards', PAD, box.y + 40, box.width - 2 * PAD, 11, theme.muted);
  const left = PAD + NAME_PX + COUNT_PX;
  const width = Math.floor((box.width - left - PAD) / HORIZONS.length);
  const top = box.y + 22;
  right(context, 'fired', PAD + NAME_PX + 34, top + 12, theme.muted);
  right(context, 'per min', PAD + NAME_PX + COUNT_PX - 6, top + 12, theme.muted);
  HORIZONS.forEach((horizon, k) => paintText(context, `after ${horizon.replace('s', ' s')}`, left + k * width + 8, top + 12, width - 8, 10, theme.muted));
  const names = [...DETECTION_KINDS, BASELINE];
  const scales = HORIZONS.map((horizon) => reach(cards, horizon));
  names.forEach((name, row) => {
    const y = top + ROW_PX * (row + 1);
    const card = cards.report_card[name];
    if (name === BASELINE) {
      context.fillStyle = theme.grid;
      context.fillRect(PAD, y - 1, box.width - 2 * PAD, 1);
    }
    paintText(context, name, PAD, y + 13, NAME_PX, 11, name === BASELINE ? theme.muted : theme.text);
    if (!card) return;
    if (card.fired !== null) {
      right(context, String(card.fired), PAD + NAME_PX + 34, y + 13, theme.text);
      right(context, rate(card.fired, cards.watched_s), PAD + NAME_PX + COUNT_PX - 6, y + 13, theme.muted);
    }
    HORIZONS.forEach((horizon, k) => {
      const cell = { x: left + k * width + 8, y, width: width - 16, height: ROW_PX };
      paintDistribution(context, cell, card.returns_bps[horizon] ?? null, scales[k]!, theme, name === BASELINE);
    });
  });
}

const rate = (fired: number, seconds: number): string => (seconds > 0 ? ((fired * 60) / seconds).toFixed(2) : '—');

/** Half the width of a column's scale: as far as the farthest quartile. */
function reach(cards: Cards, horizon: string): number {
  const known = Object.values(cards.report_card).flatMap((card) => card.returns_bps[horizon] ?? []);
  return Math.max(0.1, ...known.flatMap(({ p25, p75, mean }) => [Math.abs(p25), Math.abs(p75), Math.abs(mean)]));
}

function paintDistribution(context: CanvasRenderingContext2D, box: Box, found: Distribution | null, reach: number, theme: Theme, base: boolean): void {
  const text = found ? `${signed(found.mean)} n ${found.n}` : 'none yet';
  const textPx = 15 * charWidth(10);
  const plot = { x: box.x, width: Math.max(0, box.width - textPx - 6) };
  right(context, text, box.x + box.width, box.y + 13, found ? (base ? theme.muted : theme.text) : theme.faint);
  if (!found || plot.width < 24) return;
  const x = (bps: number): number => plot.x + plot.width / 2 + (bps / reach) * (plot.width / 2 - 2);
  const middle = box.y + ROW_PX / 2;
  context.fillStyle = theme.border;
  context.fillRect(Math.round(x(0)), box.y + 2, 1, ROW_PX - 4);
  const colour = base ? theme.muted : found.mean >= 0 ? theme.buy : theme.sell;
  context.fillStyle = mix(colour, 0.3, theme.bg);
  context.fillRect(Math.round(x(found.p25)), middle - 4, Math.max(1, Math.round(x(found.p75) - x(found.p25))), 8);
  context.fillStyle = colour;
  context.fillRect(Math.round(x(found.median)), middle - 5, 2, 10);
}

function signed(value: number): string {
  const text = value.toFixed(2);
  return Number(text) > 0 ? `+${text}` : Number(text) === 0 ? '0.00' : text;
}

function right(context: CanvasRenderingContext2D, text: string, x: number, y: number, colour: string): void {
  context.font = font(10);
  context.fillStyle = colour;
  context.fillText(text, Math.round(x - text.length * charWidth(10)), Math.round(y));
}
