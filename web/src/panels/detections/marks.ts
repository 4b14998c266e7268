/** How a detection is marked on a chart: one letter in a small tag, in the colour of the side it favours. */

import { charWidth, font, mix, readable, type Theme } from '../../core/theme';
import type { Detection, DetectionKind } from '../../data/detections';

/** Letters that no two kinds share. */
export const LETTERS: Record<DetectionKind, string> = {
  wall: 'W', sweep: 'S', absorption: 'A', layering: 'L', iceberg: 'I', exhaustion: 'E', pull: 'P',
};

export const MARK_PX = 13;
const FONT_PX = 9;

/** Paint the tag of a detection with its centre at (x, y). */
export function paintMark(context: CanvasRenderingContext2D, event: Pick<Detection, 'kind' | 'side' | 'state'>, x: number, y: number, theme: Theme): void {
  const colour = event.side > 0 ? theme.buy : theme.sell;
  const fill = mix(colour, 0.25, theme.bg);
  const left = Math.round(x - MARK_PX / 2);
  const top = Math.round(y - MARK_PX / 2);
  context.fillStyle = fill;
  context.fillRect(left, top, MARK_PX, MARK_PX);
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.setLineDash(event.state === 'open' ? [] : [2, 1]);
  context.strokeRect(left + 0.5, top + 0.5, MARK_PX - 1, MARK_PX - 1);
  context.setLineDash([]);
  context.font = font(FONT_PX, 600);
  context.fillStyle = readable(colour, fill);
  context.textBaseline = 'alphabetic';
  context.fillText(LETTERS[event.kind], Math.round(x - charWidth(FONT_PX) / 2), top + MARK_PX - 3);
}
