/** Liquidations as reported, newest on top, and what each of the last 60 minutes closed. */

import { toNumber } from '../../core/decimal';
import { clock, MISSING, money, quantity } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { link, show } from '../../core/link';
import { settings } from '../../core/settings';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { Liquidations, type Liquidation } from '../../data/liquidations';
import { paintMinutes, type Box } from './minutes';

const COLUMNS: GridColumn[] = [
  { id: 'time', title: 'time UTC', width: 89, align: 'left' },
  { id: 'symbol', title: 'symbol', width: 80, grow: 3, align: 'left' },
  { id: 'side', title: 'position', width: 60, align: 'left', hint: 'The position that was closed by force: a closed long is a forced sell' },
  { id: 'price', title: 'avg price', width: 71, grow: 1, align: 'right' },
  { id: 'quantity', title: 'quantity', width: 64, grow: 1, align: 'right', drop: 1 },
  { id: 'notional', title: 'notional', width: 64, grow: 1, align: 'right', bar: 'share' },
];

/** The minutes stand beside the feed where both have room, else under it. */
const CHART_BESIDE_FROM = 560;
const CHART_WIDTH = 124;
const FEED_WIDTH = 470;
const CHART_HEIGHT = 108;
const CHART_FROM_HEIGHT = 220;
/** A liquidation of this many dollars fills its bar; bars grow with the root. */
const FULL_BAR = 250_000;

export class LiquidationsPanel extends GridPanel {
  readonly id = 'liquidations';
  readonly perfName = 'liq';
  readonly maxHz = 5;
  protected readonly continuous = false;
  protected readonly grid = new TextGrid(COLUMNS);

  readonly #data = new Liquidations();
  #rows: Liquidation[] = [];
  #held = false;
  #paintedAt = 0;
  #pointerX: number | undefined;

  protected override start(): void {
    super.start();
    const { exchange } = link.get();
    this.keep(this.listen('liquidations', { exchange, limit: 500 }, (frame, now) => {
      this.#data.onFrame(frame, now);
      this.#select();
    }));
    this.keep(settings.onChange(() => this.#reselect()));
    this.keep(link.onChange(() => this.#reselect()));
    this.context.set(`${exchange} · all symbols · USD · 60 min by minute`);
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return this.#data.newest.length > 0 ? 'none matches the filter' : 'none reported yet';
  }

  protected onRow(row: number): void {
    const symbol = this.workspace.market.symbols[this.#rows[row]?.instrument ?? -1];
    if (symbol) show(symbol);
  }

  protected override onHold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.#reselect();
  }

  #reselect(): void {
    this.#select();
    this.invalidate(true);
  }

  #select(): void {
    if (this.#held) return;
    const { minNotional, linkedOnly } = settings.get().liquidations;
    const linked = linkedOnly ? this.workspace.market.indexOf(link.get().symbol) : undefined;
    this.#rows = this.#data.newest.filter(
      (row) => row.notional >= minNotional && (linked === undefined || row.instrument === linked),
    );
  }

  protected override gridSize(): { width: number; height: number } {
    const { width, height } = this;
    if (width >= CHART_BESIDE_FROM) return { width: Math.min(FEED_WIDTH, width - CHART_WIDTH), height };
    return { width, height: height >= CHART_FROM_HEIGHT ? height - CHART_HEIGHT : height };
  }

  /** Where the minutes are drawn; undefined where there is no room for them. */
  #chart(): Box | undefined {
    const feed = this.gridSize();
    if (feed.width < this.width) return { x: feed.width + 1, y: 0, width: this.width - feed.width - 1, height: this.height };
    if (feed.height < this.height) return { x: 0, y: feed.height + 1, width: this.width, height: this.height - feed.height - 1 };
    return undefined;
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    this.#paintedAt = now;
    super.paint(context, now);
    const box = this.#chart();
    if (!box) return;
    context.fillStyle = theme.get().border;
    if (box.x > 0) context.fillRect(box.x - 1, 0, 1, box.height);
    else context.fillRect(0, box.y - 1, box.width, 1);
    paintMinutes(context, box, this.#data.minutes, this.#pointerX, theme.get());
  }

  protected override onMove(event: PointerEvent): void {
    super.onMove(event);
    const box = this.#chart();
    const inside = box && event.offsetX >= box.x && event.offsetY >= box.y;
    const x = inside ? event.offsetX - box.x : undefined;
    if (x === this.#pointerX) return;
    this.#pointerX = x;
    this.invalidate(true);
  }

  protected override onLeave(): void {
    super.onLeave();
    this.#pointerX = undefined;
    this.invalidate(true);
  }

  protected writeRow: WriteRow = (row, put) => {
    const event = this.#rows[row]!;
    const { buy, sell, text, muted, accent, bg } = theme.get();
    const { symbols, ticks, lots } = this.workspace.market;
    const symbol = symbols[event.instrument] ?? MISSING;
    const tick = ticks[event.instrument];
    const lot = lots[event.instrument];
    // Coloured by who was hurt: a closed long is a forced sell.
    const side = event.long ? sell : buy;
    put('time', clock(event.tsMs), muted);
    put('symbol', symbol, symbol === link.get().symbol ? accent : text);
    put('side', event.long ? '▼ LONG' : '▲ SHORT', side);
    put('price', tick ? event.price.toFixed(tick.decimals) : MISSING, text);
    put('quantity', lot ? quantity(toNumber(event.quantity, lot), lot.decimals) : MISSING, text);
    put('notional', money(event.notional), side, Math.sqrt(event.notional / FULL_BAR));
    return this.rowStyle(row, mix(side, 0.04, bg), event.arrivedAt, this.#paintedAt, mix(side, 0.5, bg));
  };

  protected rawRow(row: number): unknown {
    const event = this.#rows[row]!;
    const lot = this.workspace.market.lots[event.instrument];
    return {
      symbol: this.workspace.market.symbols[event.instrument] ?? null,
      ts: event.tsMs,
      event_ts: event.eventMs,
      side: event.long ? 'long' : 'short',
      price: event.price,
      quantity: lot ? toNumber(event.quantity, lot) : null,
      notional: event.notional,
    };
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    return { ...super.snapshot(), minutes: this.#data.minutes };
  }
}
