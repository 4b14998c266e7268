/** What moves over the footprint while its candles stand: countdown, detectors' marks, crosshair, another panel's aim. */

import { type Looker, point, pointedElsewhere, unpoint } from '../../core/aim';
import { type CrosshairFrame, paintAim, paintCrosshair, paintTooltip } from '../../core/crosshair';
import { onGrid, toNumber, toText } from '../../core/decimal';
import { clockSeconds } from '../../core/format';
import { settings } from '../../core/settings';
import { font } from '../../core/theme';
import type { DetectionLog } from '../../data/detections';
import type { Candle, FootprintData, FootprintHead } from '../../data/footprint';
import type { Auction } from './auctions';
import { extentOf } from './candle';
import { tooltipLines } from './crosshair';
import { paintMarks } from './marks';
import type { Viewport } from './viewport';

interface Place {
  x: number;
  y: number;
}

/** What the pointer can rest on beside the candles, and what they are judged by. */
interface Under {
  lane: { session: Candle; width: number } | undefined;
  minQuantity: number;
  auctions: readonly Auction[];
}

export class Overlay {
  constructor(
    private readonly frame: CrosshairFrame,
    private readonly head: FootprintHead,
    private readonly data: FootprintData,
    private readonly view: Viewport,
    private readonly newestMs: number,
  ) {}

  covers({ x, y }: Place): boolean {
    return x < this.frame.plot && y < this.frame.panes;
  }

  /** Time left of the newest candle, under the last price. */
  paintCountdown(nowMs: number): void {
    const { context, theme, plot, width } = this.frame;
    const newest = this.data.candles.at(-1)!;
    const left = newest.openMs + this.head.timeframeMs - nowMs;
    const y = Math.round(this.view.y(newest.close + 0.5));
    if (left <= 0 || this.head.timeframeMs < 60_000 || y < 0 || y > this.view.height - 14) return;
    context.font = font(10);
    context.fillStyle = theme.raised;
    context.fillRect(plot + 1, y + 9, width - plot - 1, 14);
    context.fillStyle = theme.muted;
    context.fillText(clockSeconds(left).replace(/^00:/, ''), plot + 8, y + 20);
  }

  /** What the detectors have found in the candles on screen. */
  paintMarks(log: DetectionLog): void {
    if (log.head?.symbol !== this.head.symbol) return;
    const { context, theme, plot } = this.frame;
    const { timeframeMs } = this.head;
    const hidden = new Set(settings.get().detections.hidden.split(','));
    const { first, last } = this.view.visible();
    const events = log.between(this.newestMs + first * timeframeMs, this.newestMs + (last + 1) * timeframeMs).filter((event) => !hidden.has(event.kind));
    paintMarks(
      {
        context, theme, plot, height: this.view.height, candleWidth: this.view.candleWidth,
        x: (ms) => this.view.x(Math.floor((ms - this.newestMs) / timeframeMs)),
        y: (tick) => this.view.y(tick + 0.5),
        edges: (ms) => {
          const candle = this.#candleOf(Math.floor(ms / timeframeMs) * timeframeMs);
          if (!candle) return undefined;
          const { high, low } = extentOf(candle, this.head.stepTicks);
          return { top: this.view.y(high), bottom: this.view.y(low) };
        },
      },
      events,
    );
  }

  /** Crosshair and figures under the pointer, which `owner` tells the other panels. */
  paintPointer(owner: Looker, pointer: Place, { lane, minQuantity, auctions }: Under): void {
    const { frame, head, view } = this;
    const inChart = pointer.y < view.height;
    const index = view.indexAt(pointer.x);
    const open = this.newestMs + index * head.timeframeMs;
    const session = lane && inChart && pointer.x < lane.width ? lane.session : undefined;
    const candle = session ?? this.#candleOf(open);
    const price = Math.floor(view.priceAt(pointer.y));
    const column = view.x(index) + Math.round(view.candleWidth / 2);
    point(owner, open + head.timeframeMs / 2, inChart ? toNumber(price, head.tick) : undefined);
    paintCrosshair(frame, pointer, inChart ? toText(price, head.tick) : undefined, clockSeconds(open), column);
    if (!candle) return;
    paintTooltip(frame, pointer, tooltipLines(candle, price, head, session ? Infinity : minQuantity, frame.theme, this.data.gaps, session ? [] : auctions));
  }

  /** What another panel than `owner` points at: the candle of that moment, and the price. */
  paintAim(owner: Looker): void {
    unpoint(owner);
    const { ms, price } = pointedElsewhere(owner);
    const index = ms && Math.floor((ms - this.newestMs) / this.head.timeframeMs);
    const x = index === undefined ? undefined : this.view.x(index) + this.view.candleWidth / 2;
    const y = price && this.view.y(onGrid(price, this.head.tick) + 0.5);
    const { context, theme, plot, panes } = this.frame;
    paintAim(context, theme, { width: plot, height: panes }, x, y !== undefined && y < this.view.height ? y : undefined);
  }

  #candleOf(openMs: number): Candle | undefined {
    return this.data.candles.find((candle) => candle.openMs === openMs);
  }
}
