/** Basis of every derivative against spot, the premium of mark over index beside it under its own name. */

import { MISSING, percent, price } from '../../core/format';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import type { BasisRow } from '../../data/derivs';
import { DerivTable, orNaN } from '../derivtable';
import { type Chart, lineColours } from '../lines';

const COLUMNS: GridColumn[] = [
  { id: 'symbol', title: 'symbol', width: 102, grow: 2, align: 'left', sortable: true },
  { id: 'venue', title: 'venue', width: 56, grow: 1, align: 'left', sortable: true },
  { id: 'basis', title: 'bps', width: 58, grow: 1, align: 'right', sortable: true, hint: 'Basis: mid against spot mid, of the same moment' },
  { id: 'state', title: 'state', width: 116, grow: 8, align: 'left', sortable: true },
  { id: 'mid', title: 'mid', width: 76, grow: 1, align: 'right', drop: 1 },
  { id: 'spot', title: 'spot mid', width: 96, grow: 1, align: 'right', drop: 2 },
  { id: 'annual', title: '% a year', width: 60, grow: 1, align: 'right', sortable: true, drop: 4 },
  { id: 'premium', title: 'mark/index bps', width: 102, grow: 1, align: 'right', sortable: true, drop: 5 },
  { id: 'hour', title: '1 h ago', width: 56, grow: 1, align: 'right', drop: 3 },
  { id: 'day', title: '24 h ago', width: 60, grow: 1, align: 'right', drop: 6 },
];

const mids = (row: BasisRow): string =>
  row.spot_mid === null ? `mid ${price(row.mid, row.price_decimals + 1)}` : `${price(row.mid, row.price_decimals + 1)} · spot ${price(row.spot_mid, (row.spot_decimals ?? 0) + 1)}`;

const bps = (value: number | null): string => (value === null ? MISSING : percent(value, 2));

export class BasisPanel extends DerivTable<BasisRow> {
  readonly id = 'basis';
  readonly perfName = 'basis';
  protected readonly topic = 'basis';
  protected readonly columns = COLUMNS;
  protected readonly grid = new TextGrid(COLUMNS);

  protected override start(): void {
    super.start();
    this.context.set('all venues · (mid − spot mid) / spot mid, same moment · bps');
  }

  protected value(row: BasisRow, column: string): number | string {
    if (column === 'symbol') return row.symbol;
    if (column === 'venue') return row.exchange;
    if (column === 'annual') return orNaN(row.annualised_pct);
    if (column === 'premium') return orNaN(row.premium_bps);
    if (column === 'state') return row.state ?? NaN;
    return orNaN(row.basis_bps);
  }

  protected histories(): ReturnType<DerivTable<BasisRow>['histories']> {
    return {
      basis: { path: '/api/basis/history', params: { figure: 'basis', minutes: '60' } },
      premium: { path: '/api/basis/history', params: { figure: 'premium', minutes: '60' } },
    };
  }

  protected chart(symbol: string, failed: string | undefined): Chart {
    const [accent, amber] = lineColours(theme.get());
    const row = this.linked();
    return {
      // A narrow table has no room for the two prices that a basis is between.
      title: failed ?? [symbol, ...(row ? [mids(row)] : []), 'bps'].join(' · '),
      print: (value) => percent(value, 2),
      levels: [{ value: 0, name: '' }],
      lines: [
        { name: 'basis', colour: accent!, points: this.minutes['basis'] ?? [], width: 1.6 },
        { name: 'mark/index', colour: amber!, points: this.minutes['premium'] ?? [] },
      ],
      empty: row ? (row.why ?? 'a line needs two minutes') : `no derivative is called ${symbol}`,
    };
  }

  protected writeRow: WriteRow = (index, plain) => {
    const row = this.at(index);
    const put = this.putOf(row.exchange, plain);
    const { buy, sell, text, muted, accent, amber, bg } = theme.get();
    const linked = row.symbol === this.look.get().symbol;
    const shade = row.state === null || row.state === 'FLAT' ? muted : row.state.endsWith('CONTANGO') ? buy : sell;
    const steep = row.state?.startsWith('STEEP') ?? false;
    put('symbol', row.symbol, linked ? accent : text);
    put('venue', row.exchange, muted);
    put('basis', bps(row.basis_bps), row.basis_bps === null ? muted : shade);
    put('state', row.state === null ? (row.why ?? MISSING) : `${steep ? '◆ ' : ''}${row.state}`, shade);
    put('mid', price(row.mid, row.price_decimals + 1), text);
    put('spot', price(row.spot_mid, (row.spot_decimals ?? 0) + 1), text);
    put('annual', row.annualised_pct === null ? MISSING : percent(row.annualised_pct), muted);
    put('premium', bps(row.premium_bps), text);
    put('hour', bps(row.spot_mid === null ? row.premium_bps_1h_ago : row.basis_bps_1h_ago), muted);
    put('day', bps(row.spot_mid === null ? row.premium_bps_24h_ago : row.basis_bps_24h_ago), muted);
    return { ...this.rowStyle(index, linked ? mix(accent, 0.12, bg) : bg, -Infinity, 0, linked ? accent : ''), ...(steep ? { mark: amber } : {}) };
  };
}
