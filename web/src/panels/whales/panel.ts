/** Whales of all venues, newest on top, and what they bought and sold in the last hour and the one before. */

import { clock, clockMinutes, MISSING, money, price, share } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { show } from '../../core/link';
import { settings } from '../../core/settings';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { charWidth, font, mix, theme } from '../../core/theme';
import { allVenues, Rows, type WhaleFlow, type WhaleHour, type WhaleRow } from '../../data/derivs';

const COLUMNS: GridColumn[] = [
  { id: 'time', title: 'time UTC', width: 90, align: 'left' },
  { id: 'venue', title: 'venue', width: 88, grow: 1, align: 'left' },
  { id: 'symbol', title: 'symbol', width: 72, grow: 4, align: 'left' },
  { id: 'side', title: 'side', width: 54, align: 'left' },
  { id: 'tier', title: 'tier', width: 58, align: 'left' },
  { id: 'notional', title: 'notional', width: 68, grow: 2, align: 'right', bar: 'share' },
  { id: 'price', title: 'vwap', width: 94, grow: 1, align: 'right', drop: 1 },
  { id: 'adv', title: '% of ADV', width: 68, grow: 1, align: 'right', drop: 2 },
  { id: 'depth', title: '% 10 bps', width: 70, grow: 1, align: 'right', drop: 3 },
  { id: 'trades', title: 'prints', width: 52, grow: 1, align: 'right', drop: 4 },
];

const KEPT = 500;
/** An order of this many dollars fills its bar; bars grow with the root. */
const FULL_BAR = 5_000_000;
const STRIP_PX = 18;

export class WhalesPanel extends GridPanel {
  readonly id = 'whales';
  readonly perfName = 'whales';
  readonly maxHz = 5;
  protected readonly continuous = false;
  protected readonly grid = new TextGrid(COLUMNS);

  readonly #data = new Rows<WhaleRow>((row) => `${row.exchange}:${row.id}`);
  #came = new Map<string, number>();
  #rows: WhaleRow[] = [];
  #flow: WhaleFlow[] = [];
  #held = false;
  #paintedAt = 0;

  protected override start(): void {
    super.start();
    this.keep(this.listen('whales', { exchange: 'all', limit: KEPT }, (frame, now) => {
      for (const row of this.#data.onFrame(frame)) {
        const name = `${row.exchange}:${row.id}`;
        if (!this.#came.has(name)) this.#came.set(name, frame.type === 'snapshot' ? -Infinity : now);
      }
      this.#flow = (frame.meta['flow'] ?? []) as WhaleFlow[];
      this.#trim();
      this.#select();
    }));
    this.keep(settings.onChange(() => this.#reselect()));
    this.keep(this.look.onChange(() => this.#reselect()));
    this.context.set('all venues · parent orders ≥ $500k, mega ≥ $5m, or ≥ 0.5 % of their symbol’s ADV · USD');
  }

  #trim(): void {
    const names = [...this.#data.byName].sort(([, a], [, b]) => b.ts - a.ts || b.id - a.id).map(([name]) => name);
    for (const name of names.slice(KEPT)) {
      this.#data.byName.delete(name);
      this.#came.delete(name);
    }
  }

  #reselect(): void {
    this.#select();
    this.invalidate(true);
  }

  #select(): void {
    if (this.#held) return;
    const { minNotional, linkedOnly } = settings.get().whales;
    const { symbol } = this.look.get();
    this.#rows = [...this.#data.byName.values()]
      .filter((row) => row.notional >= minNotional && (!linkedOnly || row.symbol === symbol))
      .sort((a, b) => b.ts - a.ts || b.id - a.id);
  }

  protected override venues(): readonly string[] {
    return allVenues();
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return this.#data.byName.size > 0 ? 'none matches the filter' : 'no parent order was so large since the program began to look';
  }

  protected onRow(row: number): void {
    const { exchange, symbol } = this.#rows[row]!;
    if (exchange === this.look.get().exchange) show(symbol);
  }

  protected override onHold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.#reselect();
  }

  protected override gridSize(): { width: number; height: number } {
    return { width: this.width, height: Math.max(0, this.height - STRIP_PX * Math.max(1, this.#flow.length)) };
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    this.#paintedAt = now;
    const { height } = this.gridSize();
    if (this.#laidFor !== height) this.reset();
    super.paint(context, now);
    const { bg, border } = theme.get();
    context.fillStyle = bg;
    context.fillRect(0, height, this.width, this.height - height);
    context.fillStyle = border;
    context.fillRect(0, height, this.width, 1);
    this.#flow.forEach((flow, k) => this.#paintFlow(context, flow, height + k * STRIP_PX));
  }

  #laidFor = -1;

  protected override reset(): void {
    this.#laidFor = this.gridSize().height;
    super.reset();
  }

  #paintFlow(context: CanvasRenderingContext2D, flow: WhaleFlow, y: number): void {
    const { text, muted, buy, sell } = theme.get();
    let x = 6;
    const put = (words: string, colour: string): void => {
      if (x + words.length * charWidth(10) > this.width - 4) return;
      context.font = font(10);
      context.fillStyle = colour;
      context.fillText(words, x, y + 13);
      x += words.length * charWidth(10) + 8;
    };
    const hour = (words: string, told: WhaleHour | null): void => {
      put(words, muted);
      if (!told) {
        put(MISSING, muted);
        return put(`(known since ${clockMinutes(flow.since_ts)})`, muted);
      }
      put(`▲ ${money(told.buy_notional)}`, buy);
      put(`▼ ${money(told.sell_notional)}`, sell);
      put(`${told.count} orders`, muted);
    };
    put(flow.exchange.padEnd(12), text);
    hour(flow.hour && flow.hour.from_ts > flow.ts - 3_600_000 ? `since ${clockMinutes(flow.hour.from_ts)}` : 'last hour', flow.hour);
    hour('hour before', flow.hour_before);
  }

  protected writeRow: WriteRow = (index, put) => {
    const row = this.#rows[index]!;
    const { buy, sell, text, muted, accent, poc, bg } = theme.get();
    const side = row.side === 'buy' ? buy : sell;
    put('time', clock(row.ts), muted);
    put('venue', row.exchange, muted);
    put('symbol', row.symbol, row.symbol === this.look.get().symbol ? accent : text);
    put('side', row.side === 'buy' ? '▲ BUY' : '▼ SELL', side);
    put('tier', row.tier === 'mega' ? '◆ MEGA' : row.tier === 'whale' ? 'WHALE' : '% ADV', row.tier === 'mega' ? poc : row.tier === 'whale' ? text : muted);
    put('notional', money(row.notional), side, Math.sqrt(row.notional / FULL_BAR));
    put('price', price(row.price, row.price_decimals + 1), text);
    put('adv', row.pct_of_adv === null ? MISSING : share(row.pct_of_adv), muted);
    put('depth', row.depth_share === null ? MISSING : share(row.depth_share * 100), muted);
    put('trades', String(row.trades), muted);
    const mark = row.open ? side : row.tier === 'mega' ? poc : '';
    return this.rowStyle(index, mix(side, row.tier === 'mega' ? 0.12 : 0.04, bg), this.#came.get(`${row.exchange}:${row.id}`) ?? -Infinity, this.#paintedAt, mark);
  };

  protected rawRow(row: number): unknown {
    return this.#rows[row];
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    return { ...super.snapshot(), flow: this.#flow };
  }
}
