/** Big flow: one row an episode, newest on top; open ones grow where they stand. */

import { toNumber } from '../../core/decimal';
import { clock, MISSING, money, quantity, share, span } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { link, show } from '../../core/link';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { BigFlow, type Episode, RULES } from '../../data/bigflow';

const COLUMNS: GridColumn[] = [
  { id: 'time', title: 'began UTC', width: 100, align: 'left', hint: 'When the episode began, by the venue; the newest finding is on top' },
  { id: 'symbol', title: 'symbol', width: 104, grow: 3, align: 'left' },
  { id: 'side', title: 'side', width: 62, align: 'left' },
  { id: 'rule', title: 'rule', width: 76, grow: 1, align: 'left', hint: 'parent: prints of one side that followed each other at once; flow: net buying or selling over 10 s, 1 m or 5 m' },
  { id: 'price', title: 'vwap', width: 86, grow: 2, align: 'right', hint: 'Volume-weighted average price of the episode' },
  { id: 'quantity', title: 'quantity', width: 76, grow: 1, align: 'right', hint: 'In the base asset' },
  { id: 'notional', title: 'notional $', width: 80, grow: 1, align: 'right' },
  { id: 'adv', title: '% of ADV', width: 76, grow: 2, align: 'right', bar: 'share', hint: 'Notional in % of the average daily volume of 30 days' },
  { id: 'levels', title: 'levels', width: 56, grow: 1, align: 'right', drop: 3, hint: 'Different prices a parent order took; a flow has none' },
  { id: 'trades', title: 'trades', width: 58, grow: 1, align: 'right', drop: 2 },
  { id: 'depth', title: '% of book', width: 78, grow: 1, align: 'right', drop: 1, hint: 'Notional in % of what the side it hit held within 10 bps when it fired' },
  { id: 'span', title: 'lasted', width: 74, grow: 1, align: 'right', drop: 4, hint: '● it still grows' },
];

/** Distinct prices are counted up to here. */
const LEVELS_COUNTED = 64;
/** An episode of this percentage of ADV fills its bar. */
const FULL_BAR_PERCENT = 5;

export class BigFlowPanel extends GridPanel {
  readonly id = 'big-flow';
  readonly perfName = 'big';
  readonly maxHz = 10;
  protected readonly continuous = false;
  protected readonly grid = new TextGrid(COLUMNS);

  /** Rows that came while the pointer held the list still; undefined when it runs. */
  readonly held = new Store<number | undefined>(undefined);

  readonly #data = new BigFlow();
  #rows: Episode[] = [];
  #frozen: number[] | undefined;
  #paintedAt = 0;

  protected override start(): void {
    super.start();
    const { exchange } = link.get();
    this.keep(this.listen('bigflow', { exchange, limit: 500 }, (frame, now) => {
      this.#data.onFrame(frame, now);
      this.#select();
    }));
    this.keep(settings.onChange(() => this.#reselect()));
    this.keep(link.onChange(() => this.#reselect()));
    this.context.set(`${exchange} · all symbols · parent orders and net flow ≥ 0.5 % of ADV · USD`);
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return this.#data.newest.length > 0 ? 'no episode matches the filter' : 'no episode yet; a symbol whose average daily volume is unknown raises none';
  }

  protected onRow(row: number): void {
    const symbol = this.workspace.market.symbols[this.#rows[row]?.instrument ?? -1];
    if (symbol) show(symbol);
  }

  /** A list under the pointer stands still, so that a click meets the row it was meant for. */
  protected override onHold(held: boolean): void {
    if (held === (this.#frozen !== undefined)) return;
    this.#frozen = held ? this.#rows.map((episode) => episode.id) : undefined;
    this.#reselect();
  }

  #reselect(): void {
    this.#select();
    this.invalidate(true);
  }

  #select(): void {
    const matching = this.#data.newest.filter(this.#filter());
    if (!this.#frozen) {
      this.#rows = matching;
      return this.held.set(undefined);
    }
    const newest = this.#frozen[0] ?? -1;
    this.#rows = this.#frozen.flatMap((id) => this.#data.get(id) ?? []);
    this.held.set(matching.filter((episode) => episode.id > newest).length);
  }

  #filter(): (episode: Episode) => boolean {
    const { minNotional, side, rule, linkedOnly } = settings.get().bigFlow;
    const linked = linkedOnly ? this.workspace.market.indexOf(link.get().symbol) : undefined;
    return (episode) =>
      episode.notional >= minNotional &&
      (side === 'all' || episode.buy === (side === 'buy')) &&
      (rule === 'all' || RULES[episode.rule] === rule) &&
      (linked === undefined || episode.instrument === linked);
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    this.#paintedAt = now;
    super.paint(context, now);
  }

  protected writeRow: WriteRow = (row, put) => {
    const episode = this.#rows[row]!;
    const { buy, sell, text, muted, neutral, accent, bg } = theme.get();
    const { symbols, ticks, lots } = this.workspace.market;
    const symbol = symbols[episode.instrument] ?? MISSING;
    const tick = ticks[episode.instrument];
    const lot = lots[episode.instrument];
    const side = episode.buy ? buy : sell;
    put('time', clock(episode.startMs), muted);
    put('symbol', symbol, symbol === link.get().symbol ? accent : text);
    put('side', episode.buy ? '▲ BUY' : '▼ SELL', side);
    put('rule', RULES[episode.rule] ?? MISSING, muted);
    put('price', tick ? episode.price.toFixed(tick.decimals) : MISSING, text);
    put('quantity', lot ? quantity(toNumber(episode.quantity, lot), lot.decimals) : MISSING, text);
    put('notional', money(episode.notional), side);
    put('adv', share(episode.percentOfAdv), side, Math.sqrt(episode.percentOfAdv / FULL_BAR_PERCENT));
    put('levels', levels(episode), text);
    put('trades', String(episode.trades), text);
    put('depth', share((episode.notional / episode.depth10) * 100), text);
    put('span', `${episode.open ? '● ' : ''}${span(episode.tsMs - episode.startMs)}`, episode.open ? neutral : muted);
    return this.rowStyle(row, mix(side, episode.open ? 0.1 : 0.04, bg), episode.cameAt, this.#paintedAt, episode.open ? side : mix(side, 0.4, bg));
  };

  protected rawRow(row: number): unknown {
    const episode = this.#rows[row]!;
    const lot = this.workspace.market.lots[episode.instrument];
    return {
      id: episode.id,
      symbol: this.workspace.market.symbols[episode.instrument] ?? null,
      side: episode.buy ? 'buy' : 'sell',
      rule: RULES[episode.rule],
      start_ts: episode.startMs,
      ts: episode.tsMs,
      price: episode.price,
      quantity: lot ? toNumber(episode.quantity, lot) : null,
      notional: episode.notional,
      pct_of_adv: episode.percentOfAdv,
      levels: episode.levels,
      trades: episode.trades,
      depth_10bps: episode.depth10,
      open: episode.open,
    };
  }
}

/** A flow is no single order: it has a range, not levels. */
function levels(episode: Episode): string {
  if (episode.levels === 0) return MISSING;
  return episode.levels >= LEVELS_COUNTED ? `${LEVELS_COUNTED}+` : String(episode.levels);
}
