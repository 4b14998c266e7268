/** Open interest of every venue's derivatives, counted once, in dollars; how it changed in an hour and a day. */

import { MISSING, money, percent, quantity, span } from '../../core/format';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import type { InterestRow } from '../../data/derivs';
import { venueNow } from '../../data/status';
import { DerivTable, orNaN } from '../derivtable';
import { type Chart, lineColours } from '../lines';

const COLUMNS: GridColumn[] = [
  { id: 'symbol', title: 'symbol', width: 100, grow: 2, align: 'left', sortable: true },
  { id: 'venue', title: 'venue', width: 88, grow: 1, align: 'left', sortable: true },
  { id: 'usd', title: 'open, USD', width: 78, grow: 1, align: 'right', sortable: true },
  { id: 'hour', title: '% in 1 h', width: 70, grow: 1, align: 'right', sortable: true },
  { id: 'day', title: '% in 24 h', width: 74, grow: 1, align: 'right', sortable: true, drop: 1 },
  { id: 'quantity', title: 'base units', width: 84, grow: 1, align: 'right', drop: 2 },
  { id: 'age', title: 'told', width: 60, grow: 1, align: 'right', drop: 3 },
];

export class InterestPanel extends DerivTable<InterestRow> {
  readonly id = 'interest';
  readonly perfName = 'interest';
  protected readonly topic = 'interest';
  /** Told every few seconds, not every second. */
  protected override readonly continuous = false;
  protected readonly columns = COLUMNS;
  protected readonly grid = new TextGrid(COLUMNS);

  protected override start(): void {
    super.start();
    this.context.set('all venues · open interest counted once · USD at the mark price · change of the quantity');
  }

  protected value(row: InterestRow, column: string): number | string {
    switch (column) {
      case 'symbol':
        return row.symbol;
      case 'venue':
        return row.exchange;
      case 'hour':
        return orNaN(row.change_1h_pct);
      case 'day':
        return orNaN(row.change_24h_pct);
      default:
        return orNaN(row.usd);
    }
  }

  protected histories(): ReturnType<DerivTable<InterestRow>['histories']> {
    return { quantity: { path: '/api/interest/history', params: { minutes: '240' } } };
  }

  protected chart(symbol: string, failed: string | undefined): Chart {
    const [accent] = lineColours(theme.get());
    const row = this.linked();
    return {
      title: failed ?? `${symbol} · open interest by minute, 4 h · base units`,
      print: (value) => quantity(value),
      lines: [{ name: row?.exchange ?? '', colour: accent!, points: this.minutes['quantity'] ?? [], width: 1.6 }],
      empty: row ? (row.why ?? 'a line needs two minutes') : `no derivative is called ${symbol}`,
    };
  }

  protected writeRow: WriteRow = (index, plain) => {
    const row = this.at(index);
    const put = this.putOf(row.exchange, plain);
    const { buy, sell, text, muted, accent, bg } = theme.get();
    const linked = row.symbol === this.look.get().symbol;
    const change = (value: number | null): [string, string] => [value === null ? MISSING : percent(value), value === null || value === 0 ? muted : value > 0 ? buy : sell];
    put('symbol', row.symbol, linked ? accent : text);
    put('venue', row.exchange, muted);
    put('usd', row.usd === null ? MISSING : money(row.usd), text);
    put('hour', ...change(row.change_1h_pct));
    put('day', ...change(row.change_24h_pct));
    put('quantity', row.quantity === null ? (row.why ?? MISSING) : quantity(row.quantity), muted);
    put('age', row.ts === null ? MISSING : span(venueNow(this.workspace.feed.serverNow(), row.exchange) - row.ts), muted);
    return this.rowStyle(index, linked ? mix(accent, 0.12, bg) : bg, -Infinity, 0, linked ? accent : '');
  };
}
