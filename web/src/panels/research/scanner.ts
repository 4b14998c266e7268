/** Pairs of a whole universe by what survives correction and hold-out; a click makes one the pair of all research panels. */

import { clockMinutes, day, MISSING } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { type GridColumn, type Sort, TextGrid, type WriteRow } from '../../core/textgrid';
import { settings } from '../../core/settings';
import { theme } from '../../core/theme';
import { type Candidate, look, scan } from '../../data/scan';
import { shortName } from '../../data/study';
import { paintText } from '../features/paint';
import { FOOT_PX } from './panel';
import { probability } from './report';
import { digits } from './spread';

const COLUMNS: GridColumn[] = [
  { id: 'y', title: 'y', width: 86, grow: 2, align: 'left', sortable: true },
  { id: 'x', title: 'on x', width: 86, grow: 2, align: 'left', sortable: true },
  { id: 'p_corrected', title: 'p corr.', width: 62, align: 'right', sortable: true },
  { id: 'z', title: 'z now', width: 50, align: 'right', sortable: true },
  { id: 'half_life', title: 'half-life', width: 74, align: 'right', sortable: true },
  { id: 'hold_out', title: 'hold-out p', width: 80, align: 'right', sortable: true, drop: 1 },
  { id: 'drift', title: 'β drift %', width: 74, align: 'right', sortable: true, drop: 2 },
  { id: 'beta', title: 'β', width: 62, align: 'right', sortable: true, drop: 3 },
  { id: 'correlation', title: 'r', width: 46, align: 'right', sortable: true, drop: 4 },
  { id: 'statistic', title: 'EG', width: 48, align: 'right', sortable: true, drop: 5 },
  { id: 'verdict', title: 'verdict', width: 74, grow: 6, align: 'left', sortable: true, hint: 'What a pair fails at; under the table the sentences of the row under the pointer' },
];

export class ScannerPanel extends GridPanel {
  readonly id = 'scanner';
  readonly perfName = 'scanner';
  readonly maxHz = 5;
  protected readonly continuous = false;
  protected readonly grid = new TextGrid(COLUMNS);

  #rows: readonly Candidate[] = [];

  protected override start(): void {
    super.start();
    this.keep(scan.subscribe(() => this.#onScan()));
    this.keep(settings.onChange(() => this.#order()));
    void look();
    this.touch(performance.now()); // an empty table is what there is before the first scan
  }

  #onScan(): void {
    this.#order();
    this.touch(performance.now());
    this.judge();
  }

  #order(): void {
    const { sort, descending } = settings.get().scanner;
    const found = scan.get().state?.result?.candidates ?? [];
    const key = keyOf(sort);
    const sign = descending ? -1 : 1;
    this.#rows = [...found].sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      if (one === null || other === null) return Number(one === null) - Number(other === null);
      return sign * (typeof one === 'string' ? one.localeCompare(String(other)) : one - Number(other)) || a.p - b.p;
    });
    this.context.set(this.#told());
    this.invalidate(true);
  }

  #told(): string {
    const { state } = scan.get();
    if (!state) return 'all pairs, Engle-Granger, corrected and held out';
    if (state.state === 'running') return `${Math.floor((100 * state.done) / Math.max(1, state.of))} %`;
    if (!state.result) return '';
    const { pairs, symbols, passed } = state.result;
    return `${pairs.toLocaleString('en')} pairs of ${symbols} · ${passed.toLocaleString('en')} pass`;
  }

  /** The figures stay those of the scan. */
  override judge(): void {
    super.judge();
    if (this.health.get().state === 'disconnected') return;
    const { state, why } = scan.get();
    const text = why || state?.state === 'failed' ? 'FAILED' : state?.state === 'running' ? `SCANNING ${Math.floor((100 * state.done) / Math.max(1, state.of))} %` : state ? 'DONE' : 'IDLE';
    const word = text === 'FAILED' ? 'stale' : text.startsWith('SCANNING') ? 'waiting' : 'live';
    if (this.health.get().text !== text) this.health.set({ state: word, text });
    this.root.dataset['state'] = word;
  }

  protected override sort(): Sort {
    const { sort, descending } = settings.get().scanner;
    return { id: sort, descending };
  }

  protected override onHeader(column: string): void {
    const { scanner } = settings.get();
    settings.update({ scanner: { ...scanner, sort: column, descending: scanner.sort === column ? !scanner.descending : false } });
  }

  protected override gridSize(): { width: number; height: number } {
    return { width: this.width, height: this.height - FOOT_PX };
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    const { state, why } = scan.get();
    if (why) return why;
    if (state?.state === 'failed') return state.detail;
    if (state?.state === 'running') return 'testing every pair in both directions…';
    return state ? 'no pair could be looked at' : 'Scan: every pair of the most traded, or of uploads';
  }

  protected onRow(row: number): void {
    const one = this.#rows[row];
    if (one) settings.update({ research: { ...settings.get().research, x: one.x, y: one.y } });
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    super.paint(context, now);
    const { raised, muted, neutral } = theme.get();
    context.fillStyle = raised;
    context.fillRect(0, this.height - FOOT_PX, this.width, FOOT_PX);
    const hovered = this.#rows[this.grid.hovered];
    const text = hovered ? hovered.reasons.join('; ') || 'qualified: corrected p, hold-out, half-life and drift are all within bounds' : this.#foot();
    paintText(context, text, 6, this.height - 5, this.width - 12, 10, hovered && !hovered.qualified ? neutral : muted);
  }

  #foot(): string {
    const { state, tookMs } = scan.get();
    const found = state?.result;
    if (!found) return 'corrected over all pairs (Benjamini-Hochberg), judged by the newer 30 % of the bars';
    const when = (ms: number): string => `${day(ms).slice(5)} ${clockMinutes(ms)}`;
    const left = Object.keys(found.excluded).length;
    return `${found.bars.toLocaleString('en')} bars, ${when(found.first_ms)} to ${when(found.last_ms + found.tf_ms)} UTC, newest ${found.hold_out_bars} held out · ${found.lags} lags · ${left} left out${tookMs ? ` · took ${(tookMs / 1000).toFixed(1)} s` : ''}`;
  }

  protected writeRow: WriteRow = (row, put) => {
    const one = this.#rows[row]!;
    const { text, muted, buy, neutral, bg } = theme.get();
    const { research } = settings.get();
    put('y', shortName(one.y), text);
    put('x', shortName(one.x), text);
    put('p_corrected', probability(one.p_corrected), one.p_corrected < 0.05 ? text : muted);
    put('z', one.z === null ? MISSING : one.z.toFixed(2), one.z !== null && Math.abs(one.z) >= 2 ? neutral : text);
    put('half_life', one.half_life.bars === null ? MISSING : one.half_life.bars.toFixed(1), text);
    put('hold_out', probability(one.hold_out.p), one.hold_out.rejects_at_5pct ? text : muted);
    put('drift', one.beta_drift_pct.toFixed(0), text);
    put('beta', digits(one.beta), text);
    put('correlation', one.correlation.toFixed(2), muted);
    put('statistic', one.statistic.toFixed(2), muted);
    put('verdict', one.qualified ? '✓ qualified' : `✕ ${one.reasons.map(briefly).join(', ')}`, one.qualified ? buy : muted);
    const mark = research.x === one.x && research.y === one.y ? theme.get().accent : one.qualified ? buy : '';
    return this.rowStyle(row, bg, -Infinity, 0, mark);
  };

  protected rawRow(row: number): unknown {
    return this.#rows[row];
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    return { ...super.snapshot(), scan: scan.get(), foot: this.#foot(), empty: this.emptySentence() };
  }
}

/** What a reason is about, in the room of a cell; the foot has the sentence of the row under the pointer. */
function briefly(reason: string): string {
  const words = { 'corrected p': 'p', 'half-life': 'half-life', beta: 'drift', 'the newer bars': 'hold-out' };
  return Object.entries(words).find(([begins]) => reason.startsWith(begins))?.[1] ?? reason;
}

function keyOf(column: string): (one: Candidate) => number | string | null {
  const keys: Record<string, (one: Candidate) => number | string | null> = {
    y: (one) => one.y,
    x: (one) => one.x,
    z: (one) => (one.z === null ? null : -Math.abs(one.z)),
    half_life: (one) => one.half_life.bars,
    hold_out: (one) => one.hold_out.p,
    drift: (one) => Math.abs(one.beta_drift_pct),
    beta: (one) => one.beta,
    correlation: (one) => -one.correlation,
    statistic: (one) => one.statistic,
    verdict: (one) => (one.qualified ? 0 : one.reasons.length),
  };
  return keys[column] ?? ((one) => one.p_corrected);
}
