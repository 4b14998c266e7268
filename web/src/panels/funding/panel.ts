/** Funding momentum: rate, normalised by the symbol's own interval, where it is going, who pays whom and when. */

import { MISSING, percent } from '../../core/format';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import type { FundingRow } from '../../data/derivs';
import { venueNow } from '../../data/status';
import { DerivTable, orNaN } from '../derivtable';
import { type Chart, lineColours } from '../lines';

const COLUMNS: GridColumn[] = [
  { id: 'symbol', title: 'symbol', width: 100, grow: 2, align: 'left', sortable: true },
  { id: 'venue', title: 'venue', width: 88, grow: 1, align: 'left', sortable: true },
  { id: 'rate', title: '% / 8 h', width: 84, grow: 1, align: 'right', sortable: true },
  { id: 'own', title: 'own rate', width: 110, grow: 1, align: 'right', drop: 3 },
  { id: 'annual', title: '% a year', width: 66, grow: 1, align: 'right', sortable: true, drop: 5 },
  { id: 'payer', title: 'pays', width: 88, grow: 1, align: 'left', sortable: true },
  { id: 'slope', title: 'bps/h', width: 62, grow: 1, align: 'right', sortable: true },
  { id: 'next', title: 'next in', width: 66, grow: 1, align: 'right', sortable: true, drop: 1 },
  { id: 'rank', title: 'pctile', width: 54, grow: 1, align: 'right', sortable: true, drop: 2 },
  { id: 'hour', title: '1 h ago', width: 66, grow: 1, align: 'right', drop: 4 },
  { id: 'day', title: '24 h ago', width: 66, grow: 1, align: 'right', drop: 6 },
];

const rate = (value: number | null): string => (value === null ? MISSING : percent(value, 4));

export class FundingPanel extends DerivTable<FundingRow> {
  readonly id = 'funding';
  readonly perfName = 'funding';
  protected readonly topic = 'funding';
  protected readonly columns = COLUMNS;
  protected readonly grid = new TextGrid(COLUMNS);

  protected override start(): void {
    super.start();
    this.context.set('all venues · rate of the next payment · % per 8 h by each symbol’s own interval · slope over 60 min');
    // The time to the next payment runs on without news.
    const timer = setInterval(() => this.invalidate(), 1_000);
    this.keep(() => clearInterval(timer));
  }

  protected value(row: FundingRow, column: string): number | string {
    switch (column) {
      case 'symbol':
        return row.symbol;
      case 'venue':
        return row.exchange;
      case 'annual':
        return orNaN(row.annual_pct);
      case 'payer':
        return row.payer ?? NaN;
      case 'slope':
        return orNaN(row.slope_bps_per_h);
      case 'next':
        return orNaN(row.next_ts);
      case 'rank':
        return orNaN(row.percentile);
      default:
        return orNaN(row.rate_8h_pct);
    }
  }

  protected histories(): ReturnType<DerivTable<FundingRow>['histories']> {
    return { rate: { path: '/api/funding/history', params: { minutes: '240' } } };
  }

  protected chart(symbol: string, failed: string | undefined): Chart {
    const [accent] = lineColours(theme.get());
    const row = this.linked();
    return {
      title: failed ?? `${symbol} · estimate of the next rate · % / 8 h`,
      print: (value) => percent(value, 4),
      levels: [{ value: 0, name: '' }],
      lines: [{ name: row?.payer ?? '', colour: accent!, points: this.minutes['rate'] ?? [], width: 1.6 }],
      empty: row ? (row.why ?? 'a line needs two minutes') : `no perpetual is called ${symbol}`,
    };
  }

  protected writeRow: WriteRow = (index, plain) => {
    const row = this.at(index);
    const put = this.putOf(row.exchange, plain);
    const { buy, sell, text, muted, accent, amber, bg } = theme.get();
    const linked = row.symbol === this.look.get().symbol;
    // Who pays is hurt: longs pay at a positive rate.
    const shade = row.rate_pct === null || row.rate_pct === 0 ? muted : row.rate_pct > 0 ? buy : sell;
    const mark = row.extreme ? amber : linked ? accent : '';
    put('symbol', row.symbol, linked ? accent : text);
    put('venue', row.exchange, muted);
    put('rate', `${row.extreme ? '◆ ' : ''}${rate(row.rate_8h_pct)}`, row.extreme ? amber : shade);
    put('own', row.rate_pct === null ? MISSING : `${rate(row.rate_pct)} /${row.interval_h === null ? '?' : `${row.interval_h} h`}`, muted);
    put('annual', row.annual_pct === null ? MISSING : percent(row.annual_pct), muted);
    put('payer', row.payer ?? MISSING, shade);
    const slope = row.slope_bps_per_h;
    put('slope', slope === null ? MISSING : percent(slope, 2), slope === null ? muted : slope > 0 ? buy : slope < 0 ? sell : muted);
    put('next', row.next_ts === null ? MISSING : countdown(row.next_ts - venueNow(this.workspace.feed.serverNow(), row.exchange)), text);
    put('rank', row.percentile === null ? MISSING : row.percentile.toFixed(0), muted);
    put('hour', rate(row.rate_8h_pct_1h_ago), muted);
    put('day', rate(row.rate_8h_pct_24h_ago), muted);
    return this.rowStyle(index, linked ? mix(accent, 0.12, bg) : bg, -Infinity, 0, mark);
  };
}

/** `7:59:59`, `12:04`. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}
