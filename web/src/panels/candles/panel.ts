/** The footprint as a table: a row a candle, its delta as a bar, 3:1 rows lit, price levels under the one opened. */

import { assets } from '../../core/assets';
import { stepText, toNumber, toText } from '../../core/decimal';
import { clockMinutes, clockSeconds, day, MISSING, quantity, share, signed } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { TIMEFRAME_MS } from '../../core/link';
import { type GridColumn, type Put, type RowStyle, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { FootprintData } from '../../data/footprint';
import { unfinishedAuctions } from '../footprint/auctions';
import { autoBins, binFor, binLabel } from '../footprint/bins';
import { NO_SCALE, scaleOf } from '../footprint/scale';
import { plain } from '../footprint/snapshot';
import { type CandleRow, type LevelRow, type Row, SESSION, tableRows } from './rows';

const COLUMNS: GridColumn[] = [
  { id: 'time', title: 'time', width: 92, align: 'left' },
  { id: 'bid', title: 'bid vol', width: 54, grow: 1, align: 'right' },
  { id: 'ask', title: 'ask vol', width: 54, grow: 1, align: 'right' },
  { id: 'delta', title: 'delta', width: 74, grow: 2, align: 'right', bar: 'signed' },
  { id: 'cvd', title: 'CVD', width: 58, grow: 1, align: 'right' },
  { id: 'levels', title: 'levels', width: 46, grow: 1, align: 'right' },
  { id: 'trades', title: 'trades', width: 52, grow: 1, align: 'right', drop: 3 },
  { id: 'poc', title: 'POC', width: 76, grow: 1, align: 'right', drop: 2 },
  { id: 'value', title: 'value area', width: 138, grow: 1, align: 'right', drop: 4 },
  { id: 'marks', title: 'imbalance', width: 132, grow: 3, align: 'left', drop: 1 },
];
/** Candles asked for: as many as a chart does, so that both share a topic; all there are once a hand scrolls to the end. */
const LOOKBACKS = [60, 240, 1440];

export class CandlesPanel extends GridPanel {
  readonly id = 'candles';
  readonly perfName = 'candles';
  readonly maxHz = 4;
  protected readonly continuous = false;
  protected readonly grid = new TextGrid(COLUMNS);

  #data = new FootprintData(0);
  #session = new FootprintData(1);
  #leave: (() => void)[] = [];
  #asked = '';
  #lookback = LOOKBACKS[0]!;
  #scale = NO_SCALE;
  readonly #open = new Set<number>();
  #rows: Row[] = [];
  /** The largest delta among the candles, and among the levels, which bars are measured against. */
  #most = { candle: 1, level: 1 };

  protected override start(): void {
    super.start();
    this.keep(() => this.#stop());
    this.keep(this.look.onChange(() => this.#subscribe()));
    this.keep(autoBins.onChange(() => this.#subscribe()));
    this.#subscribe();
  }

  #stop(): void {
    for (const leave of this.#leave.splice(0)) leave();
  }

  #subscribe(): void {
    const { exchange, symbol, timeframe } = this.look.get();
    const params = { exchange, symbol, tf: timeframe, step: binFor(this.look.get()), lookback: this.#lookback };
    const asked = JSON.stringify(params);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#stop();
    const { head } = this.#data;
    if (head?.symbol !== symbol || head.timeframeMs !== TIMEFRAME_MS[timeframe]) this.#forget();
    const fresh = new FootprintData(this.#lookback);
    this.#leave.push(
      this.listen('footprint', params, (frame) => {
        fresh.onFrame(frame);
        if (this.#data !== fresh) this.#adopt(fresh);
        this.#onData();
      }),
    );
  }

  #forget(): void {
    this.#data = new FootprintData(0);
    this.#session = new FootprintData(1);
    this.#open.clear();
    this.#rows = [];
    this.outdate();
    const { exchange, symbol, timeframe } = this.look.get();
    this.context.set(`${symbol} · ${exchange} · ${timeframe}`);
    this.reset();
  }

  /** The answer says the bin; the session is asked for in the same. */
  #adopt(fresh: FootprintData): void {
    this.#data = fresh;
    this.#scale = NO_SCALE;
    const head = fresh.head!;
    const { exchange, symbol } = this.look.get();
    const session = new FootprintData(1);
    const params = { exchange, symbol, tf: '1d', step: stepText(head.stepTicks, head.tick), lookback: 1 };
    this.#leave.push(
      this.workspace.feed.subscribe('footprint', params, {
        onFrame: (frame) => {
          session.onFrame(frame);
          this.#session = session;
          this.#onData();
          this.invalidate();
        },
      }),
    );
  }

  #onData(): void {
    const { head, candles } = this.#data;
    if (!head) return;
    const { exchange, timeframe } = this.look.get();
    this.#scale = scaleOf(candles, this.#scale);
    this.#rows = tableRows({
      session: this.#session.head?.stepTicks === head.stepTicks ? this.#session.candles[0] : undefined,
      candles,
      step: head.stepTicks,
      minQuantity: this.#scale.minQuantity,
      auctions: unfinishedAuctions(candles, head.stepTicks, this.#scale.minQuantity),
      open: this.#open,
    });
    this.#most = { candle: 1, level: 1 };
    for (const row of this.#rows) {
      if (row.kind === 'candle') this.#most.candle = Math.max(this.#most.candle, Math.abs(row.candle.ask - row.candle.bid));
      else if (row.kind === 'level') this.#most.level = Math.max(this.#most.level, Math.abs(row.candle.cellAsk[row.at]! - row.candle.cellBid[row.at]!));
    }
    this.context.set(`${head.symbol} · ${exchange} · ${timeframe} · bin ${binLabel(head.stepTicks, head.tick)} · ${assets(head.symbol).base} · click a row for its price levels`);
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return `no trades of ${this.look.get().symbol} yet`;
  }

  /** Open a candle's levels, close them; from a level, its candle's. */
  protected onRow(index: number): void {
    const row = this.#rows[index]!;
    const isSession = row.kind === 'session' || (row.kind === 'level' && row.candle === this.#session.candles[0]);
    const name = isSession ? SESSION : row.candle.openMs;
    if (!this.#open.delete(name)) this.#open.add(name);
    this.#onData();
    this.invalidate(true);
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    super.paint(context, now);
    this.#growLookback();
  }

  #growLookback(): void {
    const next = LOOKBACKS.find((candidate) => candidate > this.#lookback);
    const atEnd = this.grid.top > 0 && this.grid.top + this.grid.capacity >= this.#rows.length;
    if (next === undefined || !atEnd || this.#data.candles.length < this.#lookback) return;
    this.#lookback = next;
    this.#subscribe();
  }

  protected writeRow: WriteRow = (index, put) => {
    const row = this.#rows[index]!;
    return row.kind === 'level' ? this.#writeLevel(index, row, put) : this.#writeCandle(index, row, put);
  };

  #writeCandle(index: number, row: CandleRow, put: Put): RowStyle {
    const { candle, kind } = row;
    const { head } = this.#data;
    const { text, muted, buy, sell, poc, amber, bg } = theme.get();
    const price = (ticks: number): string => (ticks < 0 ? MISSING : toText(ticks, head!.tick));
    const delta = candle.ask - candle.bid;
    const about = candle.gap > 0 ? '≈' : '';
    const missing = candle.gap > 0 ? `${candle.gap} gap${candle.gap > 1 ? 's' : ''}, at least` : candle.klines > 0 ? `${candle.klines} min by klines` : '';
    const at = (head!.timeframeMs < 60_000 ? clockSeconds : clockMinutes)(candle.openMs);
    const when = kind === 'session' ? 'session' : head!.timeframeMs >= 86_400_000 ? day(candle.openMs) : at;
    put('time', `${row.open ? '▾' : '▸'} ${when}`, kind === 'session' ? text : muted);
    put('bid', about + this.#amount(candle.bid), candle.bid ? sell : muted);
    put('ask', about + this.#amount(candle.ask), candle.ask ? buy : muted);
    put('delta', about + this.#signed(delta), shade(delta), kind === 'session' ? 0 : delta / this.#most.candle);
    put('cvd', this.#signed(candle.cvd), shade(candle.cvd));
    put('levels', candle.price.length || !candle.klines ? String(candle.price.length) : MISSING, muted);
    put('trades', quantity(candle.trades, 0), muted);
    put('poc', price(candle.poc), poc);
    put('value', candle.val < 0 ? MISSING : `${price(candle.val)} – ${price(candle.vah)}`, muted);
    put('marks', missing || marksOf(row), missing ? amber : text);
    const lit = row.dominant && (row.dominant === 'buy' ? buy : sell);
    const tint = lit ? mix(lit, 0.16, bg) : kind === 'session' ? mix(text, 0.06, bg) : bg;
    return this.rowStyle(index, tint, -Infinity, 0, lit ?? '');
  }

  #writeLevel(index: number, { candle, at, buy: buys, sell: sells, stacked }: LevelRow, put: Put): RowStyle {
    const { head } = this.#data;
    const { text, muted, faint, buy, sell, poc, bg } = theme.get();
    const price = candle.price[at]!;
    const [bid, ask] = [candle.cellBid[at]!, candle.cellAsk[at]!];
    const isPoc = price === candle.poc;
    const inside = price >= candle.val && price <= candle.vah;
    put('time', `  ${toText(price, head!.tick)}`, isPoc ? poc : inside ? text : muted);
    put('bid', this.#amount(bid), sells ? sell : bid ? text : faint);
    put('ask', this.#amount(ask), buys ? buy : ask ? text : faint);
    put('delta', this.#signed(ask - bid), shade(ask - bid), (ask - bid) / this.#most.level);
    put('levels', '', muted);
    put('trades', quantity(candle.cellTrades[at]!, 0), muted);
    put('poc', isPoc ? 'POC' : '', poc);
    put('value', inside ? 'in value area' : '', faint);
    const words = [buys ? `buy ${strength(buys)}` : '', sells ? `sell ${strength(sells)}` : '', stacked ? 'stacked' : ''];
    put('marks', words.filter(Boolean).join(' · '), buys ? buy : sell);
    return this.rowStyle(index, mix(text, 0.03, bg), -Infinity, 0, buys ? buy : sells ? sell : '');
  }

  #amount(lots: number): string {
    const { lot } = this.#data.head!;
    return quantity(toNumber(lots, lot), lot.decimals);
  }

  #signed(lots: number): string {
    const { lot } = this.#data.head!;
    return signed(toNumber(lots, lot), lot.decimals);
  }

  protected rawRow(index: number): unknown {
    const row = this.#rows[index];
    const head = this.#data.head;
    if (!row || !head) return null;
    if (row.kind !== 'level') return { kind: row.kind, dominant: row.dominant ?? null, stacks: row.stacks.length, ...plain(row.candle, head) };
    const { candle, at, kind, buy, sell, stacked } = row;
    const amount = (lots: ArrayLike<number>): number => toNumber(lots[at]!, head.lot);
    return { kind, p: toNumber(candle.price[at]!, head.tick), bid: amount(candle.cellBid), ask: amount(candle.cellAsk), n: candle.cellTrades[at]!, buy: buy > 0, sell: sell > 0, stacked };
  }
}

const shade = (lots: number): string => (lots > 0 ? theme.get().buy : lots < 0 ? theme.get().sell : theme.get().muted);

const strength = (times: number): string => (times === Infinity ? 'against 0' : `${share(times)}×`);

/** `buy 3:1 · 2 stacks · high unfinished`. */
function marksOf({ dominant, stacks, auctions }: CandleRow): string {
  const open = auctions.filter((auction) => !auction.touched).map((auction) => `${auction.end} unfinished`);
  return [dominant ? `${dominant} 3:1` : '', stacks.length ? `${stacks.length} stacked` : '', ...open].filter(Boolean).join(' · ');
}
