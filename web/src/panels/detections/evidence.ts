/** Why a detector fired: what was measured against what it was compared with, and the moments that raised it. */

import { toNumber, toText } from '../../core/decimal';
import { clock, MISSING, quantity, span } from '../../core/format';
import { charWidth, font, mix, type Theme } from '../../core/theme';
import { type Detection, type DetectionHead, sideName } from '../../data/detections';
import type { Box } from '../features/paint';
import { paintText } from '../features/paint';

const LIMIT = '_limit';
const LINE_PX = 15;
const PAD = 8;

/** A name of the protocol as words: `depth_share_pct` is `depth share %`. */
export const words = (name: string): string =>
  name.replace(/_(lots|ticks|ms|bps|pct)$/, (_, unit: string) => (unit === 'pct' ? ' %' : unit === 'bps' ? ' bps' : unit === 'ticks' ? ' ticks' : '')).replaceAll('_', ' ');

function figure(name: string, value: number, head: DetectionHead): string {
  if (!Number.isFinite(value)) return MISSING;
  if (name.includes('_lots')) return quantity(toNumber(value, head.lot), head.lot.decimals);
  if (/_ms(_limit)?$/.test(name)) return span(value);
  return quantity(value, 2);
}

export interface EvidenceLine {
  what: string;
  measured: string;
  limit: string;
}

/** Every measurement beside its threshold. */
export function evidenceLines(event: Detection, head: DetectionHead): EvidenceLine[] {
  const { evidence } = event;
  return Object.keys(evidence)
    .filter((name) => !name.endsWith(LIMIT))
    .map((name) => {
      const limit = evidence[name + LIMIT];
      return { what: words(name), measured: figure(name, evidence[name]!, head), limit: limit === undefined ? '' : figure(name, limit, head) };
    });
}

/** The telling figures in one line. */
export function summary({ kind, evidence }: Detection): string {
  const at = (name: string): number => evidence[name] ?? NaN;
  const times = (name: string): string => `${quantity(at(name), 1)}×`;
  switch (kind) {
    case 'wall': {
      const executed = Number.isFinite(at('executed_share')) ? `, ${quantity(at('executed_share') * 100, 0)} % executed` : '';
      return `${times('multiple')} median, ${quantity(at('distance_bps'), 1)} bps away${executed}`;
    }
    case 'sweep':
      return `${at('levels')} levels in ${at('duration_ms')} ms, ${quantity(at('depth_share_pct'), 0)} % of 10 bps`;
    case 'absorption':
      return `${quantity(at('absorbed_lots') / at('absorbed_lots_limit'), 1)}× the limit taken, price stands`;
    case 'layering':
      return `${at('levels')} levels, ${quantity(at('depth_share_pct'), 0)} % of 10 bps, ${quantity(at('withdrawn_share') * 100, 0)} % withdrawn`;
    case 'iceberg':
      return `${times('multiple')} the display executed, ${at('refills')} refills`;
    case 'exhaustion':
      return `depth ${quantity((at('depth_lots') / at('depth_lots_limit')) * 50, 0)} % of median, spread ${at('spread_ticks')} ticks`;
    default:
      return `${at('withdrawals')} withdrawn within ${quantity(at('within_ms') / 1000, 0)} s`;
  }
}

export function paintEvidence(context: CanvasRenderingContext2D, box: Box, event: Detection, head: DetectionHead, theme: Theme): void {
  context.fillStyle = theme.bg;
  context.fillRect(box.x, box.y, box.width, box.height);
  context.fillStyle = theme.border;
  context.fillRect(box.x, box.y, box.width, 1);
  context.textBaseline = 'alphabetic';
  const title = `evidence · ${event.kind} · ${sideName(event.kind, event.side)} · ${clock(event.startMs)} · confidence ${event.confidence.toFixed(2)}`;
  paintText(context, title, PAD, box.y + 15, box.width - 150, 11, theme.text, 600);
  paintText(context, 'Esc: report cards', box.width - PAD - 17 * charWidth(10), box.y + 15, 17 * charWidth(10) + 2, 10, theme.muted);
  const half = Math.min(Math.round(box.width / 2), 420);
  paintMeasured(context, { x: PAD, y: box.y + 22, width: half - 2 * PAD, height: box.height - 24 }, evidenceLines(event, head), theme);
  paintMoments(context, { x: half, y: box.y + 22, width: box.width - half - PAD, height: box.height - 24 }, event, head, theme);
}

function paintMeasured(context: CanvasRenderingContext2D, box: Box, lines: readonly EvidenceLine[], theme: Theme): void {
  const limitX = box.x + box.width - 64;
  const measuredX = limitX - 68;
  right(context, 'measured', measuredX + 60, box.y + 11, 10, theme.muted);
  right(context, 'threshold', limitX + 64, box.y + 11, 10, theme.muted);
  const fits = Math.floor((box.height - LINE_PX) / LINE_PX);
  lines.slice(0, fits).forEach(({ what, measured, limit }, k) => {
    const y = box.y + 11 + (k + 1) * LINE_PX;
    paintText(context, what, box.x, y, measuredX - box.x - 4, 11, theme.muted);
    right(context, measured, measuredX + 60, y, 11, theme.text);
    right(context, limit, limitX + 64, y, 11, theme.muted);
  });
}

/** The newest moments where not all fit, and always how it began. */
function paintMoments(context: CanvasRenderingContext2D, box: Box, event: Detection, head: DetectionHead, theme: Theme): void {
  const fits = Math.max(1, Math.floor(box.height / LINE_PX) - 1);
  const rows = event.rows.length > fits ? [event.rows[0]!, ...event.rows.slice(event.rows.length - fits + 1)] : event.rows;
  paintText(context, 'moments', box.x, box.y + 11, box.width, 10, theme.muted);
  rows.forEach(([ms, tick, lots, what], k) => {
    const size = lots ? quantity(toNumber(lots, head.lot), head.lot.decimals) : '';
    const line = `${clock(ms)}  ${toText(tick, head.tick)}  ${size.padStart(6)}  ${what}`;
    paintText(context, line, box.x, box.y + 11 + (k + 1) * LINE_PX, box.width, 11, k === 0 ? theme.text : mix(theme.text, 0.8));
  });
}

function right(context: CanvasRenderingContext2D, text: string, x: number, y: number, px: number, colour: string): void {
  context.font = font(px);
  context.fillStyle = colour;
  context.fillText(text, Math.round(x - text.length * charWidth(px)), Math.round(y));
}
