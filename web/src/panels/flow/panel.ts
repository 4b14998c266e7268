/** Order-flow imbalance of a few coins on every venue: who is pressing, how hard, and whether it is turning. */

import { MISSING, percent, ratio, signedMoney } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { show } from '../../core/link';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { allVenues, type FlowRow, Rows } from '../../data/derivs';

const WINDOWS = ['10s', '5m', '15m'] as const;
const COLUMNS: GridColumn[] = [
  { id: 'symbol', title: 'symbol', width: 100, grow: 2, align: 'left' },
  { id: 'venue', title: 'venue', width: 88, grow: 1, align: 'left' },
  { id: 'buy', title: 'buy % 1m', width: 64, align: 'right' },
  { id: 'bar', title: '1 m', width: 60, grow: 6, align: 'center', bar: 'split' },
  { id: 'sell', title: 'sell %', width: 50, align: 'right', drop: 1 },
  { id: 'net', title: 'net $/min', width: 70, grow: 1, align: 'right' },
  { id: 'trend', title: 'trend', width: 42, align: 'center' },
  ...WINDOWS.map((window): GridColumn => ({ id: window, title: window, width: 44, grow: 1, align: 'center', bar: 'signed', drop: window === '10s' ? 2 : window === '5m' ? 3 : 4 })),
  { id: 'hour', title: '15m 1h ago', width: 78, grow: 1, align: 'right', drop: 5 },
  { id: 'day', title: '24h ago', width: 60, grow: 1, align: 'right', drop: 6 },
];
const SECONDS = { '10s': 10, '5m': 300, '15m': 900 } as const;
const ARROWS: Record<string, string> = { 'up up': '▲▲', up: '▲', flat: '→', down: '▼', 'down down': '▼▼' };

export class FlowPanel extends GridPanel {
  readonly id = 'flow';
  readonly perfName = 'flow';
  readonly maxHz = 5;
  protected readonly continuous = true;
  protected readonly grid = new TextGrid(COLUMNS);

  readonly #data = new Rows<FlowRow>((row) => `${row.exchange}:${row.symbol}`);
  #rows: FlowRow[] = [];
  #leave: () => void = () => {};
  #asked = '';

  protected override start(): void {
    super.start();
    this.#ask();
    this.keep(this.look.onChange(() => this.#ask()));
    this.keep(() => this.#leave());
    this.context.set('every venue of the coin · aggressor’s volume · trend: 10 s against 1 m, ▲ from 0.1, ▲▲ from 0.3');
  }

  /** The linked symbol first, then the server's own list; asked anew when the linked one is in neither. */
  #ask(): void {
    const { exchange, symbol } = this.look.get();
    this.invalidate(true);
    if (this.#asked === symbol) return;
    this.#asked = symbol;
    this.#leave();
    this.outdate();
    this.#data.byName.clear();
    const others = ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'XRPUSDT', 'DOGEUSDT', 'BNBUSDT'].filter(
      (name) => name !== symbol && this.workspace.market.indexOf(name) >= 0,
    );
    this.#leave = this.listen('flow', { exchange, symbols: [symbol, ...others].join(',') }, (frame) => {
      this.#data.onFrame(frame);
      const order = (frame.meta['order'] ?? []) as [string, string][];
      this.#rows = order.flatMap(([venue, name]) => this.#data.byName.get(`${venue}:${name}`) ?? []);
    });
  }

  /** The venue's instruments came: now its large coins can be asked for, too. */
  onUniverse(): void {
    this.#asked = '';
    this.#ask();
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return 'no market of this coin is listed';
  }

  protected onRow(row: number): void {
    const { exchange, symbol } = this.#rows[row]!;
    if (exchange === this.look.get().exchange) show(symbol);
  }

  protected override venues(): readonly string[] {
    return allVenues();
  }

  protected writeRow: WriteRow = (index, plain) => {
    const row = this.#rows[index]!;
    const put = this.putOf(row.exchange, plain);
    const { buy, sell, text, muted, accent, bg } = theme.get();
    const linked = row.symbol === this.look.get().symbol;
    const minute = row.windows['1m']!;
    const shade = (value: number | null): string => (value === null || value === 0 ? muted : value > 0 ? buy : sell);
    put('symbol', row.symbol, linked ? accent : text);
    put('venue', row.exchange, muted);
    put('buy', minute.buy_pct === null ? MISSING : minute.buy_pct.toFixed(1), buy);
    put('sell', minute.sell_pct === null ? MISSING : minute.sell_pct.toFixed(1), sell);
    put('bar', minute.imbalance === null ? (row.why ?? 'no trade in 1 m') : '', muted, minute.imbalance ?? NaN);
    put('net', minute.imbalance === null ? MISSING : signedMoney(minute.net_per_min), shade(minute.net_per_min));
    const rising = row.trend === null ? null : row.trend.startsWith('up') ? 1 : row.trend === 'flat' ? 0 : -1;
    put('trend', row.trend === null ? MISSING : ARROWS[row.trend]!, shade(rising));
    for (const window of WINDOWS) {
      const { imbalance, held_s } = row.windows[window]!;
      const whole = imbalance !== null && held_s === SECONDS[window];
      put(window, imbalance === null ? MISSING : ratio(imbalance), whole ? text : muted, imbalance ?? 0);
    }
    put('hour', row.imbalance_15m_1h_ago === null ? MISSING : percent(row.imbalance_15m_1h_ago), muted);
    put('day', row.imbalance_15m_24h_ago === null ? MISSING : percent(row.imbalance_15m_24h_ago), muted);
    return this.rowStyle(index, linked ? mix(accent, 0.1, bg) : bg, -Infinity, 0, linked ? accent : '');
  };

  protected rawRow(row: number): unknown {
    return this.#rows[row];
  }
}
