/** The profile of the session along the left edge of the chart: the footprint of one day, as far as its trades are held. */

import { clockMinutes } from '../../core/format';
import { charWidth, font, mix, type Theme } from '../../core/theme';
import type { Candle, FootprintHead } from '../../data/footprint';
import type { Viewport } from './viewport';

interface Frame {
  context: CanvasRenderingContext2D;
  head: FootprintHead;
  theme: Theme;
  view: Viewport;
  width: number;
}

/** Width the profile takes of a plot; 0 where candles need all of it. */
export const sessionWidth = (plot: number): number => (plot < 420 ? 0 : Math.min(110, Math.round(plot * 0.13)));

/** `session` is binned as the candles are: bars of volume at price, sold then bought, value area lighter. No POC is told while minutes are without trades. */
export function paintSession({ context, head, theme, view, width }: Frame, session: Candle, tradesSince: number | null): void {
  context.fillStyle = theme.bg;
  context.fillRect(0, 0, width, view.height);
  const step = head.stepTicks;
  const [low, high] = [view.priceAt(view.height) - step, view.top];
  let most = 1;
  for (let k = 0; k < session.price.length; k++) most = Math.max(most, session.cellBid[k]! + session.cellAsk[k]!);
  const room = width - 8;
  for (let k = 0; k < session.price.length; k++) {
    const price = session.price[k]!;
    if (price < low || price > high) continue;
    const top = Math.round(view.y(price + step));
    const height = Math.max(1, Math.round(view.y(price)) - top - (view.rowHeight >= 4 ? 1 : 0));
    const inside = price >= session.val && price <= session.vah;
    const sold = Math.round((session.cellBid[k]! / most) * room);
    const total = Math.round(((session.cellBid[k]! + session.cellAsk[k]!) / most) * room);
    context.fillStyle = mix(theme.sell, inside ? 0.42 : 0.22, theme.bg);
    context.fillRect(0, top, sold, height);
    context.fillStyle = mix(theme.buy, inside ? 0.42 : 0.22, theme.bg);
    context.fillRect(sold, top, total - sold, height);
  }
  if (session.poc >= 0) {
    edge(context, view, session.vah + step, 'VAH', theme.muted, width);
    edge(context, view, session.val, 'VAL', theme.muted, width);
    edge(context, view, session.poc + step / 2, 'POC', theme.poc, width);
  }
  context.fillStyle = theme.border;
  context.fillRect(width - 1, 0, 1, view.height);
  const since = tradesSince !== null && tradesSince > session.openMs ? clockMinutes(tradesSince) : '00:00';
  const whole = `session since ${since}`;
  const label = whole.length * charWidth(9) + 8 < width ? whole : 'session';
  context.font = font(9);
  context.fillStyle = theme.bg;
  context.fillRect(0, 0, label.length * charWidth(9) + 8, 14);
  context.fillStyle = theme.muted;
  context.fillText(label, 4, 10);
}

function edge(context: CanvasRenderingContext2D, view: Viewport, price: number, name: string, colour: string, width: number): void {
  const y = Math.round(view.y(price));
  if (y < 16 || y > view.height) return;
  context.fillStyle = colour;
  context.fillRect(0, y, width - 1, 1);
  context.font = font(9);
  context.fillText(name, width - 3 * charWidth(9) - 4, y - 2);
}
