/** How the program stands: what each symbol brings and costs, and the watchdog's, latency's and queues' figures. */

import { getJson } from '../../core/access';
import { clockSeconds, MISSING, quantity, span } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { show } from '../../core/link';
import { type GridColumn, type Sort, TextGrid, type WriteRow } from '../../core/textgrid';
import { theme } from '../../core/theme';
import { status } from '../../data/status';
import { type Box, paintText } from '../features/paint';
import { type Health, type Line, linesOf } from './lines';
import { Monitor, type Operations, type SymbolRate } from './monitor';

const COLUMNS: GridColumn[] = [
  { id: 'symbol', title: 'symbol', width: 92, grow: 2, align: 'left', sortable: true },
  { id: 'book', title: 'book', width: 58, align: 'left', sortable: true },
  { id: 'diffs', title: 'diffs/s', width: 58, grow: 1, align: 'right', sortable: true },
  { id: 'trades', title: 'trades/s', width: 64, grow: 1, align: 'right', sortable: true },
  { id: 'quotes', title: 'quotes/s', width: 64, grow: 1, align: 'right', sortable: true, drop: 1 },
  { id: 'age', title: 'last event', width: 72, grow: 1, align: 'right', sortable: true },
  { id: 'resyncs', title: 'resyncs', width: 56, grow: 1, align: 'right', sortable: true, drop: 2 },
  { id: 'memory', title: 'book kB', width: 58, grow: 1, align: 'right', sortable: true, drop: 3 },
];

const ASK_EVERY_MS = 2_000;
const TEXT_PX = 430;
const BESIDE_FROM_PX = 860;
const LINE_PX = 16;
const PAD = 8;

export class DiagnosticsPanel extends GridPanel {
  readonly id = 'diagnostics';
  readonly perfName = 'diagnostics';
  readonly maxHz = 2;
  protected readonly continuous = true;
  protected readonly grid = new TextGrid(COLUMNS);

  readonly #monitor = new Monitor();
  #sort: Sort = { id: 'diffs', descending: true };
  #rows: SymbolRate[] = [];
  #health: Health | undefined;
  #failed = '';
  #asking = false;

  protected override start(): void {
    super.start();
    const timer = setInterval(() => void this.#ask(), ASK_EVERY_MS);
    this.keep(() => clearInterval(timer));
    this.keep(status.onChange(() => this.invalidate()));
    this.context.set(`${this.look.get().exchange} · rates over the last ${ASK_EVERY_MS / 1000} s · ages by the venue's clock`);
    void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#asking || (this.ready && !this.visible())) return;
    this.#asking = true;
    try {
      const { exchange } = this.look.get();
      const [operations, health] = await Promise.all([getJson<Operations>('/api/operations', { exchange }), getHealth()]);
      this.#monitor.take(operations);
      this.#health = health;
      this.#failed = '';
      this.#order();
      this.touch(performance.now());
    } catch (error) {
      this.#failed = error instanceof Error ? error.message : String(error);
      this.invalidate();
    }
    this.#asking = false;
  }

  #order(): void {
    const { id, descending } = this.#sort;
    const key = (row: SymbolRate): number | string => (id === 'symbol' || id === 'book' ? row[id] : row[id as 'diffs']);
    this.#rows = [...this.#monitor.symbols].sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      const order = typeof one === 'string' ? one.localeCompare(String(other)) : (Number.isNaN(one) ? -1 : one) - (Number.isNaN(Number(other)) ? -1 : Number(other));
      return (descending ? -order : order) || a.symbol.localeCompare(b.symbol);
    });
  }

  protected override sort(): Sort {
    return this.#sort;
  }

  protected override onHeader(column: string): void {
    const same = this.#sort.id === column;
    this.#sort = { id: column, descending: same ? !this.#sort.descending : column !== 'symbol' && column !== 'book' };
    this.#order();
    this.invalidate(true);
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return this.#failed || 'the venue has not told its instruments yet';
  }

  protected onRow(row: number): void {
    const symbol = this.#rows[row]?.symbol;
    if (symbol) show(symbol);
  }

  #text(): Box {
    const beside = this.width >= BESIDE_FROM_PX;
    const height = Math.min(this.height * 0.5, LINE_PX * 14);
    return beside
      ? { x: this.width - TEXT_PX, y: 0, width: TEXT_PX, height: this.height }
      : { x: 0, y: Math.round(this.height - height), width: this.width, height: Math.round(height) };
  }

  protected override gridSize(): { width: number; height: number } {
    const { x, y } = this.#text();
    return x > 0 ? { width: x, height: this.height } : { width: this.width, height: y };
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    super.paint(context, now);
    const box = this.#text();
    const { bg, border, text, muted, neutral } = theme.get();
    context.fillStyle = bg;
    context.fillRect(box.x, box.y, box.width, box.height);
    context.fillStyle = border;
    context.fillRect(box.x, box.y, box.x > 0 ? 1 : box.width, box.x > 0 ? box.height : 1);
    const column = Math.min(150, box.width * 0.42);
    this.#lines().slice(0, Math.floor((box.height - 6) / LINE_PX)).forEach(({ label, value, warn }, k) => {
      const y = box.y + 4 + k * LINE_PX + 12;
      paintText(context, label, box.x + PAD, y, value === '' ? box.width - 2 * PAD : column, 11, value === '' ? text : muted, value === '' ? 600 : 400);
      paintText(context, value, box.x + PAD + column, y, box.width - column - 2 * PAD, 11, warn ? neutral : text);
    });
  }

  #lines(): Line[] {
    return linesOf(this.#health, this.#monitor, this.look.get().exchange, this.#failed);
  }

  protected writeRow: WriteRow = (row, put) => {
    const one = this.#rows[row]!;
    const { text, muted, neutral, bg } = theme.get();
    const rate = (value: number): string => (Number.isNaN(value) ? MISSING : value === 0 ? '0' : quantity(value, 1));
    put('symbol', one.symbol, text);
    put('book', one.book, one.book === 'live' || one.book === 'off' ? muted : neutral);
    put('diffs', rate(one.diffs), text);
    put('trades', rate(one.trades), text);
    put('quotes', rate(one.quotes), text);
    put('age', span(one.age), one.age > 10_000 ? neutral : muted);
    put('resyncs', String(one.resyncs), one.resyncs > 1 ? text : muted);
    put('memory', (one.memory / 1024).toFixed(0), muted);
    return { background: bg, mark: '' };
  };

  protected rawRow(row: number): unknown {
    return this.#rows[row];
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    return { ...super.snapshot(), lines: this.#lines().map(({ label, value }) => [label, value]), at: clockSeconds(this.#monitor.serverMs) };
  }
}

/** /health answers 503 with the same figures where a venue is stale: that is what a diagnosis wants to see. */
async function getHealth(): Promise<Health> {
  const answer = await fetch('/health');
  return (await answer.json()) as Health;
}
