/** A market order walked through the live book: what it would cost now, what a model says, and what such walks are worth. */

import { mount, unmount } from 'svelte';
import { getJson } from '../../core/access';
import { assets } from '../../core/assets';
import { type Grid, gridOf, toNumber, toText } from '../../core/decimal';
import { CanvasPanel, element, type Shown } from '../../core/panel';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { theme } from '../../core/theme';
import type { Impact } from '../../data/impact';
import { listed } from '../../data/instruments';
import { rewound } from '../../data/replay';
import { type Walk, walk } from '../../data/walk';
import ImpactForm from '../../ui/ImpactForm.svelte';
import { paintText } from '../features/paint';
import { lotsOf, textOf } from './order';
import { BAND_PX, type Calibration, calibrationLines, PAD, paintBand, paintCalibration, paintRows, ROW_PX, rowsOf } from './paint';

/** Walks a second: the server walks the book as it is then. */
const WALK_EVERY_MS = 500;
const RECORD_EVERY_MS = 5_000;
export const FORM_PX = 30;
const BESIDE_FROM_PX = 560;

/** What the form needs to know of the book. */
export interface Scope {
  base: string;
  quote: string;
  lot: Grid;
  mid: number;
  knownLots: number;
}

export class ImpactPanel extends CanvasPanel {
  readonly id = 'impact';
  readonly perfName = 'impact';
  readonly maxHz = 10;
  protected readonly continuous = true;

  readonly scope = new Store<Scope | undefined>(undefined);
  /** Why the size entered cannot be walked; '' while it can. */
  readonly wrong = new Store('');

  readonly #strip = element('div', 'impact-strip');
  #instrument: { lot: Grid; tick: Grid; last: number } | undefined;
  #impact: Impact | undefined;
  #path: Walk | undefined;
  #record: Calibration | undefined;
  #recordFailed = '';
  #failed = '';
  #asked = '';
  #walking = false;
  #again = false;

  protected start(): void {
    this.#strip.style.cssText = `position:absolute;inset:0 0 auto 0;height:${FORM_PX}px;z-index:1`;
    this.body.append(this.#strip);
    const form = mount(ImpactForm, { target: this.#strip, props: { panel: this } });
    this.keep(() => void unmount(form));
    this.keep(this.look.onChange(() => this.#onLook()));
    this.keep(settings.onChange(() => void this.#walk()));
    this.keep(rewound.onChange(() => void this.#fetchRecord()));
    this.keep(this.workspace.feed.link.onChange(({ phase }) => phase === 'open' && void this.#fetchInstrument()));
    this.keep(() => this.#handPath(undefined));
    const timers = [
      setInterval(() => this.visible() && void this.#walk(), WALK_EVERY_MS),
      setInterval(() => this.visible() && this.#refresh(), RECORD_EVERY_MS),
    ];
    this.keep(() => timers.forEach(clearInterval));
    this.#onLook();
  }

  protected reset(): void {}

  #onLook(): void {
    const { exchange, symbol } = this.look.get();
    const asked = `${exchange} ${symbol}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#impact = this.#record = this.#instrument = undefined;
    this.#failed = this.#recordFailed = '';
    this.scope.set(undefined);
    this.outdate();
    this.context.set(`${symbol} · ${exchange} · market order against the known book`);
    void this.#fetchInstrument();
    void this.#fetchRecord();
  }

  /** The instrument, as its venue lists it: panels may look at other venues than the workspace does. */
  async #fetchInstrument(): Promise<void> {
    const { exchange, symbol } = this.look.get();
    const asked = this.#asked;
    try {
      const found = (await listed(exchange)).find((one) => one.symbol === symbol);
      if (asked !== this.#asked) return;
      if (found) this.#instrument = { lot: gridOf(found.lot_grid), tick: gridOf(found.tick_grid), last: found.last ?? NaN };
      else this.#refuse(`${exchange} lists no ${symbol}`);
    } catch (error) {
      if (asked === this.#asked) this.#refuse(error instanceof Error ? error.message : String(error));
    }
    void this.#walk();
  }

  /** One question at a time; what changed meanwhile is asked for at once afterwards. */
  async #walk(): Promise<void> {
    const grids = this.#instrument;
    const { side, size, unit, feeBps } = settings.get().impact;
    if (!grids) return;
    const mid = this.#impact?.mid_price ?? grids.last;
    const lots = lotsOf(size, unit, grids.lot, mid);
    this.wrong.set(lots === undefined ? `at least one lot, ${toText(1, grids.lot)}` : '');
    if (lots === undefined) return;
    if (this.#walking) return void (this.#again = true);
    this.#walking = true;
    const { exchange, symbol } = this.look.get();
    const asked = this.#asked;
    try {
      const impact = await getJson<Impact>('/api/impact', { exchange, symbol, side, size: toText(lots, grids.lot), fee_bps: String(feeBps) });
      if (asked === this.#asked) this.#take(impact, grids.lot);
    } catch (error) {
      if (asked === this.#asked) this.#refuse(error instanceof Error ? error.message : String(error));
    }
    this.#walking = false;
    if (this.#again) {
      this.#again = false;
      void this.#walk();
    }
  }

  #take(impact: Impact, lot: Grid): void {
    this.#impact = impact;
    this.#failed = '';
    const { base, quote } = assets(impact.symbol);
    this.scope.set({ base, quote, lot, mid: impact.mid_price, knownLots: impact.known_depth / toNumber(1, lot) });
    this.#handPath(this.visible() ? impact : undefined);
    this.touch(performance.now());
  }

  #refuse(why: string): void {
    this.#failed = why;
    this.#impact = undefined;
    this.#handPath(undefined);
    this.outdate();
    this.invalidate(true);
  }

  #refresh(): void {
    if (!this.#instrument) void this.#fetchInstrument(); // it may have been listed since
    void this.#fetchRecord();
  }

  async #fetchRecord(): Promise<void> {
    const { exchange, symbol } = this.look.get();
    const asked = this.#asked;
    try {
      const record = await getJson<Calibration>('/api/impact/calibration', { exchange, symbol, limit: '300' });
      if (asked !== this.#asked) return;
      this.#record = record;
      this.#recordFailed = '';
    } catch (error) {
      if (asked === this.#asked) this.#recordFailed = error instanceof Error ? error.message : String(error);
    }
    this.invalidate();
  }

  /** Enter so many lots, in the unit in use. */
  choose(lots: number): void {
    const scope = this.scope.get();
    if (!scope) return;
    const { impact } = settings.get();
    settings.update({ impact: { ...impact, size: textOf(lots, impact.unit, scope.lot, scope.mid) } });
  }

  override setVisible(visible: boolean): void {
    super.setVisible(visible);
    if (!visible) this.#handPath(undefined);
  }

  /** The depth curve draws the way of an order that somebody looks at; of several panels the newest walk counts. */
  #handPath(of: Impact | undefined): void {
    if (!of) {
      if (this.#path && walk.get() === this.#path) walk.set(undefined);
      this.#path = undefined;
      return;
    }
    const { exchange, symbol, side, filled, unfilled, marginal_price: marginal, avg_price: average } = of;
    this.#path = { exchange, symbol, side, filled, unfilled, marginal, average };
    walk.set(this.#path);
  }

  protected paint(context: CanvasRenderingContext2D): void {
    const colours = theme.get();
    context.fillStyle = colours.bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    const beside = this.width >= BESIDE_FROM_PX;
    const left = { x: PAD, y: FORM_PX + 6, width: (beside ? Math.round(this.width * 0.44) : this.width) - 2 * PAD, height: this.height - FORM_PX - 6 };
    const impact = this.#impact;
    if (!impact) paintText(context, this.#failed || 'waiting for the book', left.x, left.y + 14, left.width, 11, colours.muted);
    else this.#paintWalk(context, left, impact);
    const used = ROW_PX * 11 + BAND_PX + 14;
    const record = beside
      ? { x: left.x + left.width + 2 * PAD, y: left.y, width: this.width - left.width - 4 * PAD - 4, height: left.height }
      : { x: PAD, y: left.y + used, width: left.width, height: left.height - used };
    if (record.height > 40) paintCalibration(context, record, this.#record, this.#recordFailed, colours);
  }

  #paintWalk(context: CanvasRenderingContext2D, box: { x: number; y: number; width: number; height: number }, impact: Impact): void {
    const colours = theme.get();
    const rows = this.#rows(impact);
    paintRows(context, box, rows, colours);
    const y = box.y + Math.min(rows.length * ROW_PX, box.height) + 2;
    if (impact.reason) paintText(context, impact.reason, box.x, y + 11, box.width, 10, colours.neutral);
    if (y + 14 + BAND_PX <= box.y + box.height) paintBand(context, { ...box, y: y + 16, height: BAND_PX }, impact, colours);
  }

  #rows(impact: Impact): ReturnType<typeof rowsOf> {
    const { base, quote } = assets(impact.symbol);
    return rowsOf(impact, base, quote, this.#instrument?.tick.decimals ?? 2);
  }

  override table(): Shown {
    return { columns: ['figure', 'value', 'unit'], rows: this.#impact ? this.#rows(this.#impact).map(({ label, value, unit }) => [label, value, unit]) : [] };
  }

  snapshot(): object {
    return {
      rows: this.#impact ? this.#rows(this.#impact).map(({ label, value, unit }) => [label, value, unit]) : [],
      raw: this.#impact ?? null,
      calibration: this.#record ? { lines: calibrationLines(this.#record), ...this.#record } : null,
      failed: this.#failed || this.wrong.get(),
      symbol: this.#impact?.symbol ?? null,
      context: this.context.get(),
      state: this.health.get().state,
    };
  }
}
