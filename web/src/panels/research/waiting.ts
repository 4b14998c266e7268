/** A pair of which too few bars are there yet: how far it is, when it will be enough, and what can be had meanwhile. */

import { span } from '../../core/format';
import { TIMEFRAME_MS } from '../../core/link';
import { charWidth, mix, type Theme } from '../../core/theme';
import type { Study, Wish } from '../../data/study';
import { type Box, paintText } from '../features/paint';
import { wrapped } from './panes';

const BAR_PX = 160;
const LINE_PX = 16;
const PX = 11;

export function waitingLines(short: Study['short'], { tf, prices }: Wish): string[] {
  if (!short) return [];
  const left = (short.need - short.have) * TIMEFRAME_MS[tf];
  const sooner = tf === '1s' || prices === 'mids' ? '' : '; today’s candles of the venue, where it has them, come a minute after the start';
  return [
    `${short.have} of ${short.need} bars of ${tf} that both have`,
    `enough in ${span(left)} at most${sooner}`,
    ...(tf === '1s' ? [] : ['bars of 1s are enough after half a minute: choose 1s in Pair']),
  ];
}

export function paintWaiting(context: CanvasRenderingContext2D, box: Box, short: NonNullable<Study['short']>, wish: Wish, theme: Theme): void {
  const room = box.width - 24;
  const [first, ...rest] = waitingLines(short, wish);
  const lines = rest.flatMap((line) => wrapped(line, Math.max(16, Math.floor(room / charWidth(PX)))));
  const [x, width] = [box.x + 12, Math.min(BAR_PX, room)];
  let y = Math.round(box.y + Math.max(LINE_PX, (box.height - (lines.length + 2) * LINE_PX) / 2));
  paintText(context, first!, x, y, room, PX, theme.text, 600);
  y += 8;
  context.fillStyle = mix(theme.accent, 0.2, theme.bg);
  context.fillRect(x, y, width, 4);
  context.fillStyle = theme.accent;
  context.fillRect(x, y, Math.round((width * Math.min(short.have, short.need)) / short.need), 4);
  y += 8;
  for (const line of lines) paintText(context, line, x, (y += LINE_PX), room, PX, theme.muted);
}
