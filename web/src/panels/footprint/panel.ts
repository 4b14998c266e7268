/** The footprint: subscription and bin, the hand, and what is painted when. The drawing is in its neighbours. */

import { Aside } from '../../core/aside';
import { assets } from '../../core/assets';
import { stepText } from '../../core/decimal';
import { Hand } from '../../core/hand';
import { link, TIMEFRAME_MS } from '../../core/link';
import { CanvasPanel, element, fit, type Shown } from '../../core/panel';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { font, theme } from '../../core/theme';
import { DetectionLog } from '../../data/detections';
import { type Candle, FootprintData } from '../../data/footprint';
import { venueNow } from '../../data/status';
import { axisWidth, type AxisFrame, paintLastPrice, paintPriceAxis, paintPriceGrid, paintTimeAxis, TIME_AXIS_PX } from './axes';
import { type Auction, paintAuctions, unfinishedAuctions } from './auctions';
import { autoBins, autoMultiple, binFor, binLabel, chooseAutoBin, isBinChosen } from './bins';
import type { Look } from './candle';
import { footprintKey } from './keys';
import { type Detail, detailFor } from './lod';
import { Overlay } from './overlay';
import { NO_SCALE, scaleOf } from './scale';
import { paintSession, sessionWidth } from './session';
import { divide, paintSubPanes, type Placed, type SubPanes } from './subpanes';
import { footprintSnapshot, levelRows } from './snapshot';
import { Tiles } from './tiles';
import { type Extent, Viewport } from './viewport';

/** Candles to ask for; the next step when more fit on screen or a hand pans to the oldest. */
const LOOKBACKS = [60, 120, 240, 500, 1440];
const LIVE_REPAINT_MS = 100;

/** The bin of the footprint that follows the workspace, for the selector in the top bar. */
export const binShown = new Store<{ ticks: number; label: string; auto: boolean } | undefined>(undefined);

export class FootprintPanel extends CanvasPanel {
  readonly id = 'footprint';
  readonly perfName = 'footprint';
  readonly maxHz = 10;
  protected readonly continuous = false;

  readonly #overlay = element('canvas', 'surface overlay');
  readonly #over = this.#overlay.getContext('2d')!;
  readonly #view = new Viewport();
  readonly #tiles = new Tiles();
  #data = new FootprintData(0);
  #leave: (() => void) | undefined;
  #asked = '';
  /** The detectors of what is shown, and the session's profile in the bins of the candles. */
  readonly #detections = new Aside(this.workspace.feed, 'detections', () => new DetectionLog(), () => this.invalidate());
  readonly #session = new Aside(this.workspace.feed, 'footprint', () => new FootprintData(1), () => this.#refresh());
  #auctions: Auction[] = [];
  #lookback = LOOKBACKS[0]!;
  #scale = NO_SCALE;
  #detail: Detail | undefined;
  #newestMs = 0;
  #panes: SubPanes = divide(0).panes;
  #plot = 0;
  /** Pane is drawn anew at once (a hand moves it) or at the live rate (data). */
  #viewDirty = true;
  #dataDirty = true;
  #paintedAt = 0;
  readonly #hand = new Hand(this.canvas, this.#view, {
    oldest: () => -this.#data.candles.length,
    moved: () => this.#redraw(),
    pointed: () => this.invalidate(true),
  });

  protected start(): void {
    this.#overlay.setAttribute('aria-hidden', 'true');
    this.body.append(this.#overlay);
    this.keep(this.look.onChange(() => this.#subscribe()));
    this.keep(settings.onChange(() => this.#redraw()));
    this.followAim();
    this.keep(() => this.#leave?.());
    this.keep(() => this.#detections.close());
    this.keep(() => this.#session.close());
    this.keep(autoBins.onChange(() => this.#subscribe()));
    this.keep(settings.onChange(() => this.#followSession()));
    this.keep(settings.subscribe(() => this.#followDetections()));
    this.keep(this.look.onChange(() => this.#followDetections()));
    this.#subscribe();
    const clock = setInterval(() => this.invalidate(true), 1000);
    this.keep(() => clearInterval(clock));
  }

  protected reset(): void {
    fit(this.#overlay, this.#over, this.width, this.height);
    this.#tiles.clear();
    this.#redraw();
  }

  override table(): Shown | undefined {
    const { head, candles } = this.#data;
    return head ? levelRows(candles, head) : undefined;
  }

  snapshot(): object {
    return footprintSnapshot(this.#data, this.#session.data, this.#auctions);
  }

  // ---- subscription

  #subscribe(): void {
    const { exchange, symbol, timeframe } = this.look.get();
    const params = { exchange, symbol, tf: timeframe, step: binFor(this.look.get()), lookback: this.#lookback };
    const asked = JSON.stringify(params);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#leave?.();
    const shown = this.#data.head;
    const same = shown?.symbol === symbol && shown.timeframeMs === TIMEFRAME_MS[timeframe];
    if (!same) this.outdate();
    if (!shown) this.context.set(`${symbol} · ${exchange} · ${timeframe}`);
    const fresh = new FootprintData(this.#lookback);
    this.#leave = this.listen('footprint', params, (frame) => {
      fresh.onFrame(frame);
      if (this.#data !== fresh) this.#replace(fresh, same);
      this.#onData();
    });
  }

  #followSession(): void {
    const { exchange, symbol } = this.look.get();
    const { head } = this.#data;
    const step = head && isBinChosen(this.look.get()) ? stepText(head.stepTicks, head.tick) : '';
    this.#session.follow(settings.get().footprint.session && step ? { exchange, symbol, tf: '1d', step, lookback: 1 } : undefined);
  }

  #followDetections(): void {
    const { exchange, symbol } = this.look.get();
    this.#detections.follow(settings.get().detections.onFootprint ? { exchange, symbol } : undefined);
  }

  #replace(fresh: FootprintData, sameView: boolean): void {
    this.#data = fresh;
    this.#tiles.clear();
    this.#scale = NO_SCALE;
    this.#newestMs = 0;
    if (!sameView) this.#view.follow();
    this.#viewDirty = true;
  }

  #onData(): void {
    const { candles, head } = this.#data;
    const newest = candles.at(-1);
    if (!newest || newest.openMs < this.#newestMs) this.#rewind();
    if (!newest || !head) return this.#redraw();
    if (newest.openMs !== this.#newestMs) {
      if (this.#newestMs) this.#view.advance((newest.openMs - this.#newestMs) / head.timeframeMs);
      this.#newestMs = newest.openMs;
      this.#scale = scaleOf(candles, this.#scale);
    }
    this.#auctions = unfinishedAuctions(candles, head.stepTicks, this.#scale.minQuantity);
    this.#refresh();
    this.#followSession();
    this.#tellContext();
  }

  /** Time went back (a replay): where the hand had moved the picture means nothing any more. */
  #rewind(): void {
    this.#newestMs = 0;
    this.#scale = NO_SCALE;
    this.#view.follow();
  }

  /** Decide the automatic bin once candles show how far prices range. */
  #chooseBin(): void {
    const look = this.look.get();
    const { head, candles } = this.#data;
    if (isBinChosen(look) || head?.symbol !== look.symbol || this.#view.height <= 44) return;
    const columns = Math.ceil(this.#plot / this.#view.candleWidth);
    const chosen = autoMultiple(candles, columns, Math.floor((this.#view.height - 44) / 13));
    if (chosen === undefined) return;
    chooseAutoBin(look, stepText(chosen, head.tick));
  }

  #tellContext(): void {
    const head = this.#data.head!;
    const { exchange, timeframe, step } = this.look.get();
    const label = binLabel(head.stepTicks, head.tick);
    const text = `${head.symbol} · ${exchange} · ${timeframeName(head.timeframeMs, timeframe)} · bin ${label} · ${this.#unit()}`;
    this.context.set(text);
    const auto = step === 'auto';
    const shown = binShown.get();
    if (this.look === link && (shown?.label !== label || shown.auto !== auto)) binShown.set({ ticks: head.stepTicks, label, auto });
  }

  /** Quantities are in the base asset. */
  #unit(): string {
    return assets(this.#data.head?.symbol ?? '').base;
  }

  #growLookback(): void {
    const { first } = this.#view.visible();
    const next = LOOKBACKS.find((candidate) => candidate > this.#lookback);
    if (next === undefined || -first < this.#lookback || this.#data.candles.length < this.#lookback) return;
    this.#lookback = LOOKBACKS.find((candidate) => candidate > -first) ?? LOOKBACKS.at(-1)!;
    this.#subscribe();
  }

  // ---- painting

  #redraw(): void {
    this.#viewDirty = true;
    this.invalidate(true);
  }

  /** Draw anew at the rate of live data. */
  #refresh(): void {
    this.#dataDirty = true;
    this.invalidate();
  }

  protected paint(context: CanvasRenderingContext2D, now: number): void {
    // A hand may ask for 60 frames a second; data alone is drawn ten times.
    if (this.#viewDirty || (this.#dataDirty && now - this.#paintedAt >= LIVE_REPAINT_MS)) {
      this.#viewDirty = this.#dataDirty = false;
      this.#paintedAt = now;
      this.#paintChart(context);
    } else if (this.#dataDirty) this.invalidate();
    this.#paintOverlay();
  }

  #paintChart(context: CanvasRenderingContext2D): void {
    const { bg, muted } = theme.get();
    context.fillStyle = bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    const head = this.#data.head;
    const newest = this.#data.candles.at(-1);
    if (!head || !newest) {
      context.font = font(12);
      context.fillStyle = muted;
      context.fillText(head ? `no trades of ${head.symbol} yet` : 'waiting for candles', 16, 28);
      return;
    }
    this.#layout(axisWidth(head, newest.high));
    this.#chooseBin();
    const placed = this.#placed();
    this.#view.fit(this.#extent(placed), head.stepTicks);
    const frame: AxisFrame = { context, head, theme: theme.get(), view: this.#view, plot: this.#plot, width: this.width, height: this.height };
    this.#paintPricePane(frame, placed);
    const lower = { context, head, theme: frame.theme, plot: this.#plot, edge: this.width, candleWidth: this.#view.candleWidth };
    paintPriceAxis(frame, newest.close);
    paintLastPrice(frame, newest.close, newest.close >= newest.open);
    this.#paintLower(lower, placed);
    paintTimeAxis(frame, placed);
    this.#growLookback();
  }

  #layout(axis: number): void {
    const { chart, panes } = divide(this.height - TIME_AXIS_PX);
    this.#panes = panes;
    this.#plot = this.width - axis;
    this.#view.width = this.#plot;
    this.#view.height = chart;
  }

  /** The lower panes' background hides what candles hang over the edge; bars are clipped to the plot. */
  #paintLower(frame: Parameters<typeof paintSubPanes>[0], placed: Placed[]): void {
    const { context } = frame;
    const top = this.#panes.delta.top;
    context.fillStyle = frame.theme.bg;
    context.fillRect(0, top, this.width, this.height - top);
    paintSubPanes(frame, this.#panes, placed, this.#unit(), this.#data);
  }

  /** Candles on screen with their places. */
  #placed(): Placed[] {
    const head = this.#data.head!;
    const { first, last } = this.#view.visible();
    const placed: Placed[] = [];
    for (const candle of this.#data.candles) {
      const index = Math.round((candle.openMs - this.#newestMs) / head.timeframeMs);
      if (index >= first && index <= last) placed.push({ candle, x: this.#view.x(index) });
    }
    return placed;
  }

  #extent(placed: readonly Placed[]): Extent | undefined {
    const traded = placed.filter(({ candle }) => candle.trades > 0);
    if (traded.length === 0) return undefined;
    return {
      low: Math.min(...traded.map(({ candle }) => candle.low)),
      high: Math.max(...traded.map(({ candle }) => candle.high)),
    };
  }

  #paintPricePane(frame: AxisFrame, placed: readonly Placed[]): void {
    const { context, head } = frame;
    this.#detail = detailFor(this.#view.candleWidth, this.#view.rowHeight, this.#detail);
    const chosen = settings.get().footprint;
    const look: Look = { head, theme: frame.theme, detail: this.#detail, scale: this.#scale, width: this.#view.candleWidth, perTick: this.#view.perTick, ...chosen };
    const key = `${look.detail}${chosen.style}${chosen.imbalance}${chosen.valueArea}${look.scale.version}|${look.width}|${look.perTick}`;
    context.save();
    context.beginPath();
    context.rect(0, 0, this.#plot, this.#view.height);
    context.clip();
    paintPriceGrid(frame);
    this.#tiles.begin();
    let complete = true;
    for (const { candle, x } of [...placed].reverse()) {
      complete = this.#tiles.draw(context, candle, x, (price) => this.#view.y(price), look, key) && complete;
    }
    this.#tiles.end();
    if (chosen.auctions) paintAuctions(frame, this.#auctions, placed);
    const session = this.#sessionShown();
    if (session) paintSession({ ...frame, width: session.width }, session.session, this.#session.data.tradesSince);
    context.restore();
    if (!complete) this.#redraw();
  }

  /** The session's profile and the width it has; undefined where it is not shown. */
  #sessionShown(): { session: Candle; width: number } | undefined {
    const { candles, head } = this.#session.data;
    const session = candles.at(-1);
    const width = sessionWidth(this.#plot);
    const sameBins = head?.stepTicks === this.#data.head?.stepTicks;
    return session && session.trades > 0 && width > 0 && sameBins ? { session, width } : undefined;
  }

  #paintOverlay(): void {
    const context = this.#over;
    context.clearRect(0, 0, this.width, this.height);
    const head = this.#data.head;
    if (!head || this.#data.candles.length === 0 || this.#view.perTick === 0) return;
    const overlay = new Overlay(
      {
        context, theme: theme.get(), plot: this.#plot, width: this.width, height: this.height,
        chart: this.#view.height, panes: this.height - TIME_AXIS_PX,
      },
      head, this.#data, this.#view, this.#newestMs,
    );
    overlay.paintCountdown(venueNow(this.workspace.feed.serverNow(), this.look.get().exchange));
    overlay.paintMarks(this.#detections.data);
    const { pointer } = this.#hand;
    if (pointer && overlay.covers(pointer)) overlay.paintPointer(this, pointer, { lane: this.#sessionShown(), minQuantity: this.#scale.minQuantity, auctions: this.#auctions });
    else overlay.paintAim(this);
  }

  // ---- keys

  override onKey(event: KeyboardEvent): boolean {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    return this.#hand.key(key, event.shiftKey) || footprintKey(key, this.look, this.#data.head);
  }

  /** Newest candle at the right, prices to fit. */
  follow(): void {
    this.#hand.follow();
  }
}

const timeframeName = (ms: number, chosen: keyof typeof TIMEFRAME_MS): string =>
  TIMEFRAME_MS[chosen] === ms ? chosen : (Object.entries(TIMEFRAME_MS).find(([, value]) => value === ms)?.[0] ?? `${ms} ms`);
