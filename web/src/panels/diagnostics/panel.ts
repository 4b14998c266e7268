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
/** A column of text where there are two: the wider it may be, the more of it can be read. */
const [COLUMN_PX, WIDE_COLUMN_PX] = [330, 430];
const LEAST_LIST_PX = 480;
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

  /** Where the text stands, and in how many columns: beside the list, or under it in a narrow panel. */
  #text(): Box & { columns: number } {
    const lines = this.#lines().length;
    if (this.width >= BESIDE_FROM_PX) {
      const columns = lines > rowsIn(this.height) ? 2 : 1;
      const room = Math.max(COLUMN_PX, Math.min(WIDE_COLUMN_PX, (this.width - LEAST_LIST_PX) / 2));
      const width = columns === 1 ? TEXT_PX : Math.round(room * 2);
      return { x: this.width - width, y: 0, width, height: this.height, columns };
    }
    const columns = Math.max(1, Math.floor(this.width / COLUMN_PX));
    // One line more: a heading does not stay alone at the foot of a column.
    const height = Math.round(Math.min(this.height * 0.6, LINE_PX * (Math.ceil(lines / columns) + (columns > 1 ? 1 : 0)) + 8));
    return { x: 0, y: this.height - height, width: this.width, height, columns };
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
    const width = box.width / box.columns;
    const labels = Math.min(142, width * 0.42);
    for (const [line, column, row] of flow(this.#lines(), rowsIn(box.height), box.columns)) {
      const { label, value, warn } = line;
      const [x, y] = [box.x + column * width + PAD, box.y + 4 + row * LINE_PX + 12];
      paintText(context, label, x, y, value === '' ? width - 2 * PAD : labels, 11, value === '' ? text : muted, value === '' ? 600 : 400);
      paintText(context, value, x + labels, y, width - labels - PAD, 11, warn ? neutral : text);
    }
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

const rowsIn = (height: number): number => Math.floor((height - 6) / LINE_PX);

/** Each line with its column and row; a heading goes to the next column with what it heads. */
function* flow(lines: readonly Line[], rows: number, columns: number): Generator<[Line, number, number]> {
  let [column, row] = [0, 0];
  for (const line of lines) {
    if (row >= rows || (line.value === '' && row === rows - 1)) [column, row] = [column + 1, 0];
    if (column >= columns) return;
    yield [line, column, row];
    row += 1;
  }
}

/** /health answers 503 with the same figures where a venue is stale: that is what a diagnosis wants to see. */
async function getHealth(): Promise<Health> {
  const answer = await fetch('/health');
  return (await answer.json()) as Health;
}
