/** Imbalance of every symbol: a sortable table or a strip of cells, and the linked symbol's history under it. */

import { getJson } from '../../core/access';
import { toText } from '../../core/decimal';
import { MISSING, money, percent, ratio, signedMoney } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { link, show } from '../../core/link';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { type GridColumn, type Sort, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { type Window, WINDOWS } from '../../data/market';
import { rewound } from '../../data/replay';
import { venueNow } from '../../data/status';
import { cellAt, type HeatLayout, layoutHeat, paintHeat } from './heat';
import { type History, paintHistory } from './history';
import { FIGURE_OF, ordered } from './order';

const COLUMNS: GridColumn[] = [
  { id: 'symbol', title: 'symbol', width: 88, grow: 3, align: 'left', sortable: true },
  { id: 'last', title: 'last', width: 70, grow: 2, align: 'right', sortable: true, hint: 'Price of the newest trade' },
  { id: 'change', title: '24h %', width: 50, grow: 1, align: 'right', sortable: true, drop: 3 },
  ...WINDOWS.map((window): GridColumn => ({
    id: window, title: window, width: 46, grow: 3, align: 'center', bar: 'signed', sortable: true, hint: `Trade imbalance over ${window}: (bought − sold) / both`, ...(window === '15m' ? { drop: 2 } : {}),
  })),
  { id: 'book', title: 'book', width: 46, grow: 3, align: 'center', bar: 'signed', sortable: true, hint: 'Book imbalance of the best 10 levels: (bids − asks) / both' },
  { id: 'net', title: 'net $/m', width: 59, grow: 1, align: 'right', sortable: true, hint: 'Bought minus sold over the last minute, USD' },
  { id: 'volume', title: '24h $', width: 54, grow: 1, align: 'right', sortable: true, drop: 1, hint: 'Volume of 24 h in the quote currency, as the venue tells it' },
];

const HISTORY_PX = 104;
const HISTORY_FROM_PX = 260;
/** The newest point comes with the stream; the rest is fetched again as often as this. */
const HISTORY_EVERY_MS = 15_000;

export class ImbalancePanel extends GridPanel {
  readonly id = 'imbalance';
  readonly perfName = 'imbalance';
  readonly maxHz = 5;
  protected readonly continuous = true;
  protected readonly grid = new TextGrid(COLUMNS);

  readonly filter = new Store('');
  /** Symbols shown of all. */
  readonly shown = new Store({ rows: 0, all: 0 });

  #order: number[] = [];
  #held = false;
  #history: History = { symbol: '', window: '1m', points: [], failed: undefined };
  /** Number of the newest question; the answer to an older one comes too late. */
  #asked = 0;
  /** The venue's time when it was asked. */
  #fetchedMs = 0;
  #heat: HeatLayout | undefined;
  #heatHover = -1;

  protected override start(): void {
    super.start();
    this.keep(this.filter.onChange(() => this.#reorder()));
    this.keep(settings.onChange(() => this.#onSettings()));
    this.keep(link.onChange(() => this.#onLink()));
    const timer = setInterval(() => void this.#fetchHistory(), HISTORY_EVERY_MS);
    this.keep(() => clearInterval(timer));
    this.keep(rewound.onChange(() => void this.#fetchHistory()));
    this.#tellContext();
  }

  /** The workspace reads the topic once for everybody and passes the news on. */
  onMarket(now: number): void {
    if (!this.#held) this.#sort();
    // A replay may pass minutes in a second, and none.
    const passed = venueNow(this.workspace.market.serverMs, link.get().exchange) - this.#fetchedMs;
    if (this.#history.symbol === '' || passed > HISTORY_EVERY_MS) void this.#fetchHistory();
    this.touch(now);
  }

  protected count(): number {
    return this.#order.length;
  }

  protected emptySentence(): string {
    return this.workspace.market.symbols.length > 0 ? `no symbol contains “${this.filter.get()}”` : 'the venue has not told its instruments yet';
  }

  protected override sort(): Sort {
    const { sort, descending } = settings.get().imbalance;
    return { id: sort, descending };
  }

  protected onRow(row: number): void {
    const symbol = this.workspace.market.symbols[this.#order[row] ?? -1];
    if (symbol) show(symbol);
  }

  protected override onHeader(column: string): void {
    const { imbalance } = settings.get();
    const same = imbalance.sort === column;
    const descending = same ? !imbalance.descending : column !== 'symbol';
    settings.update({ imbalance: { ...imbalance, sort: column, descending } });
  }

  protected override onHold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    if (!held) this.#reorder();
  }

  protected override gridSize(): { width: number; height: number } {
    const history = this.height >= HISTORY_FROM_PX ? HISTORY_PX : 0;
    return { width: this.width, height: this.height - history };
  }

  #onSettings(): void {
    if (this.#history.window !== settings.get().imbalance.window) void this.#fetchHistory();
    this.#tellContext();
    this.reset();
    this.#reorder();
  }

  #onLink(): void {
    this.invalidate(true);
    if (this.#history.symbol !== link.get().symbol) void this.#fetchHistory();
  }

  #tellContext(): void {
    const { mode, window } = settings.get().imbalance;
    const what = mode === 'heat' ? `trade imbalance ${window}` : '10s 1m 5m 15m · book top 10';
    this.context.set(`${link.get().exchange} · ${what} · −1…+1 · net in USD a minute`);
  }

  #reorder(): void {
    this.#sort();
    this.invalidate(true);
  }

  #sort(): void {
    const { market } = this.workspace;
    this.#order = ordered(market, this.sort(), this.filter.get());
    const known = this.shown.get();
    if (known.rows !== this.#order.length || known.all !== market.symbols.length) {
      this.shown.set({ rows: this.#order.length, all: market.symbols.length });
    }
  }

  async #fetchHistory(): Promise<void> {
    const { exchange, symbol } = link.get();
    const { window } = settings.get().imbalance;
    if (this.workspace.market.indexOf(symbol) < 0 || this.workspace.feed.link.get().phase !== 'open') return;
    // Never another symbol's past under this one's name.
    if (this.#history.symbol !== symbol || this.#history.window !== window) this.#history = { symbol, window, points: [], failed: undefined };
    const asked = ++this.#asked;
    this.#fetchedMs = venueNow(this.workspace.market.serverMs, link.get().exchange);
    try {
      const { points } = await getJson<{ points: History['points'] }>('/api/imbalance/history', { exchange, symbol, window });
      if (asked !== this.#asked) return;
      this.#history = { symbol, window, points, failed: undefined };
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#history = { ...this.#history, failed: error instanceof Error ? error.message : String(error) };
    }
    this.invalidate();
  }

  // ---- painting

  protected override reset(): void {
    super.reset();
    this.#heat = undefined;
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    if (settings.get().imbalance.mode === 'heat') this.#paintHeat(context);
    else super.paint(context, now);
    const { height } = this.gridSize();
    if (height === this.height) return;
    const box = { x: 0, y: height, width: this.width, height: this.height - height };
    paintHistory(context, box, this.#history, this.#live(), theme.get());
  }

  /** Newest value of the history's symbol, from the stream. */
  #live(): { ts: number; imbalance: number } | undefined {
    const { market } = this.workspace;
    const index = market.indexOf(this.#history.symbol);
    if (index < 0) return undefined;
    return { ts: venueNow(market.serverMs, link.get().exchange), imbalance: market.figure(`ti_${this.#history.window}`)[index]! };
  }

  #paintHeat(context: CanvasRenderingContext2D): void {
    const { width, height } = this.gridSize();
    if (this.#heat?.count !== this.#order.length) this.#heat = layoutHeat(this.#order.length, width, height);
    const { window } = settings.get().imbalance;
    paintHeat(context, this.#heat, this.workspace.market, this.#order, window, this.#heatHover, theme.get(), { width, height });
  }

  protected override onMove(event: PointerEvent): void {
    if (settings.get().imbalance.mode !== 'heat') return super.onMove(event);
    const cell = this.#heat ? cellAt(this.#heat, event.offsetX, event.offsetY) : -1;
    this.#held = event.offsetY < this.gridSize().height;
    this.canvas.style.cursor = cell >= 0 ? 'pointer' : '';
    if (cell === this.#heatHover) return;
    this.#heatHover = cell;
    this.invalidate(true);
  }

  protected override onLeave(): void {
    this.#heatHover = -1;
    super.onLeave();
    this.onHold(false);
  }

  protected override onClick(event: MouseEvent): void {
    if (settings.get().imbalance.mode !== 'heat') return super.onClick(event);
    const cell = this.#heat ? cellAt(this.#heat, event.offsetX, event.offsetY) : -1;
    if (cell >= 0) this.onRow(cell);
  }

  protected writeRow: WriteRow = (row, put) => {
    const { market } = this.workspace;
    const index = this.#order[row]!;
    const { buy, sell, text, muted, accent, bg } = theme.get();
    const symbol = market.symbols[index]!;
    const linked = symbol === link.get().symbol;
    const at = (name: string): number => market.figure(name)[index]!;
    const shade = (value: number): string => (value > 0 ? buy : value < 0 ? sell : muted);
    const last = at('last');
    put('symbol', symbol, linked ? accent : text);
    put('last', last > 0 ? toText(last, market.ticks[index]!) : MISSING, text);
    put('change', percent(at('chg24')), shade(at('chg24')));
    for (const window of WINDOWS) {
      const traded = at(`buy_${window}`) + at(`sell_${window}`) > 0;
      put(window, traded ? ratio(at(`ti_${window}`)) : MISSING, traded ? text : muted, traded ? at(`ti_${window}`) : 0);
    }
    put('book', ratio(at('bi')), Number.isNaN(at('bi')) ? muted : text, at('bi'));
    put('net', signedMoney(at('net_1m')), shade(at('net_1m')));
    put('volume', money(at('qv24')), muted);
    return this.rowStyle(row, linked ? mix(accent, 0.12, bg) : bg, -Infinity, 0, linked ? accent : '');
  };

  protected rawRow(row: number): unknown {
    const { market } = this.workspace;
    const index = this.#order[row]!;
    const figures = Object.entries(FIGURE_OF).map(([name, figure]) => [name, market.figure(figure)[index]]);
    const windows = WINDOWS.flatMap((window: Window) => [
      [`buy_${window}`, market.figure(`buy_${window}`)[index]],
      [`sell_${window}`, market.figure(`sell_${window}`)[index]],
    ]);
    return { symbol: market.symbols[index], ...Object.fromEntries([...figures, ...windows]) };
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    const { mode } = settings.get().imbalance;
    const base = super.snapshot();
    if (mode === 'table') return { ...base, mode, history: this.#history };
    const rows = this.#order.map((index) => [this.workspace.market.symbols[index]!]);
    return { ...base, mode, rows, raw: this.#order.map((_, row) => this.rawRow(row)), history: this.#history };
  }
}
