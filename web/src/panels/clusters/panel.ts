/** Liquidations by price: where they happened, how many there may have been, what the book holds on the way. */

import { clockMinutes, clockSeconds, MISSING, money, price } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { charWidth, font, mix, theme } from '../../core/theme';
import type { Cluster, Clusters } from '../../data/derivs';
import { wrapped } from '../research/panes';

const COLUMNS: GridColumn[] = [
  { id: 'price', title: 'price from', width: 94, grow: 1, align: 'right' },
  { id: 'long', title: '▼ LONG', width: 84, grow: 3, align: 'right', bar: 'share' },
  { id: 'longs', title: 'n', width: 34, align: 'right', drop: 3 },
  { id: 'short', title: '▲ SHORT', width: 84, grow: 3, align: 'right', bar: 'share' },
  { id: 'shorts', title: 'n', width: 34, align: 'right', drop: 3 },
  { id: 'upper', title: 'at most', width: 74, grow: 1, align: 'right', drop: 2 },
  { id: 'depth', title: 'depth to it', width: 92, grow: 1, align: 'right', drop: 1 },
  { id: 'share', title: '% of it', width: 64, grow: 1, align: 'right' },
  { id: 'level', title: 'zone', width: 90, grow: 1, align: 'left' },
  { id: 'last', title: 'newest', width: 62, align: 'right', drop: 4 },
];

const WORDS: Record<Cluster['level'], string> = { none: '', watch: 'WATCH', danger: '◆ DANGER', critical: '◆◆ CRITICAL' };
type Shown = Cluster | 'mid';

export class ClustersPanel extends GridPanel {
  readonly id = 'clusters';
  readonly perfName = 'clusters';
  readonly maxHz = 2;
  protected readonly continuous = false;
  protected readonly grid = new TextGrid(COLUMNS);
  /** What the venue's reports cover, for the badge. */
  readonly coverage = new Store('');

  #told: Clusters | undefined;
  #rows: Shown[] = [];
  #asked = '';
  #leave: () => void = () => {};

  protected override start(): void {
    super.start();
    this.#ask();
    this.keep(this.look.onChange(() => this.#ask()));
    this.keep(settings.onChange(() => this.#ask()));
    this.keep(() => this.#leave());
  }

  #ask(): void {
    const { exchange, symbol } = this.look.get();
    const { window } = settings.get().clusters;
    const asked = `${exchange}:${symbol}:${window}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#leave();
    this.#told = undefined;
    this.#rows = [];
    this.outdate();
    this.context.set(`${exchange} · ${symbol} · ${window} · USD`);
    this.#leave = this.listen('clusters', { exchange, symbol, window }, (frame) => this.#take(frame.meta as unknown as Clusters));
  }

  #take(told: Clusters): void {
    this.#told = told;
    this.coverage.set(told.coverage_words);
    const mid = told.mid_price;
    const above = told.clusters.filter((one) => mid === null || one.price > mid);
    const below = told.clusters.filter((one) => mid !== null && one.price <= mid);
    this.#rows = [...above, ...(mid === null ? [] : ['mid' as const]), ...below];
    this.context.set(`${told.exchange} · ${told.symbol} · reported ${this.#reach(told)} · bucket ${told.bucket} · USD`);
  }

  /** The time that reports are known of: the window, or what of it somebody has listened to. */
  #reach({ ts, since_ts: since, window_ms: window }: Clusters): string {
    if (since === null) return 'since now';
    return since > ts - window ? `since ${clockMinutes(since)} UTC` : `in ${settings.get().clusters.window}`;
  }

  /** Clusters, and under them what is missing here and why, a line a row. */
  protected count(): number {
    return this.#rows.length + this.#notes().length;
  }

  #notes(): string[] {
    const told = this.#told;
    if (!told) return [];
    const reported = [told.clusters.length === 0 ? `no liquidation reported ${this.#reach(told)}` : '', told.depth_why ?? ''].filter((part) => part !== '');
    const room = Math.floor((this.width - 20) / charWidth(11));
    return [reported.length > 0 ? reported.join(' · ') : 'estimated levels: none', told.estimated_why].flatMap((words) => wrapped(words, room));
  }

  protected emptySentence(): string {
    return 'none reported yet';
  }

  protected onRow(): void {}

  protected writeRow: WriteRow = (index, put) => {
    const row = this.#rows[index];
    const told = this.#told!;
    const { buy, sell, text, muted, accent, amber, bg, raised } = theme.get();
    if (row === 'mid') {
      put('price', price(told.mid_price, told.price_decimals + 1), accent);
      put('long', 'mid price', accent);
      return { background: raised, mark: accent };
    }
    if (!row) return { background: bg, mark: '' };
    const most = Math.max(1, ...told.clusters.map((one) => Math.max(one.long_notional, one.short_notional)));
    const hot = row.level === 'danger' || row.level === 'critical';
    put('price', `${price(row.price, told.price_decimals)} `, hot ? amber : text); // a mid has one decimal more
    put('long', row.long_count ? money(row.long_notional) : '', sell, row.long_notional / most);
    put('longs', row.long_count ? String(row.long_count) : '', muted);
    put('short', row.short_count ? money(row.short_notional) : '', buy, row.short_notional / most);
    put('shorts', row.short_count ? String(row.short_count) : '', muted);
    put('upper', row.upper_notional === null ? MISSING : `≤ ${money(row.upper_notional)}`, muted);
    put('depth', row.depth_to_reach === null ? MISSING : money(row.depth_to_reach), muted);
    put('share', row.depth_share === null ? MISSING : (row.depth_share * 100).toFixed(row.depth_share < 0.1 ? 1 : 0), text);
    put('level', WORDS[row.level], hot ? amber : muted);
    put('last', clockSeconds(row.last_ts), muted);
    return this.rowStyle(index, hot ? mix(amber, 0.1, bg) : bg, -Infinity, 0, hot ? amber : '');
  };

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    super.paint(context, now);
    const { bg, muted } = theme.get();
    const { headerHeight, rowHeight, capacity, top } = this.grid;
    context.font = font(11);
    this.#notes().forEach((words, k) => {
      const slot = this.#rows.length + k - top;
      if (slot < 0 || slot >= capacity) return;
      const y = headerHeight + slot * rowHeight;
      context.fillStyle = bg;
      context.fillRect(3, y, this.width - 12, rowHeight);
      context.fillStyle = muted;
      context.fillText(words, 8, y + rowHeight / 2 + 4);
    });
  }

  protected rawRow(row: number): unknown {
    return this.#rows[row] ?? this.#notes()[row - this.#rows.length];
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    const told = this.#told;
    return { ...super.snapshot(), told: told ?? null };
  }
}
