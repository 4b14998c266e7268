/** A sortable, filtered table over the rows of all venues, and the linked instrument's minutes under it. */

import { getJson } from '../core/access';
import { GridPanel } from '../core/gridpanel';
import { show } from '../core/link';
import { settings, type Settings } from '../core/settings';
import { Store } from '../core/store';
import type { GridColumn, Sort } from '../core/textgrid';
import { theme } from '../core/theme';
import { allVenues, everyVenue, Rows } from '../data/derivs';
import { rewound } from '../data/replay';
import { type Box, type Chart, paintLines } from './lines';

interface Named {
  exchange: string;
  symbol: string;
  why: string | null;
}

export interface Minute {
  ts: number;
  value: number | null;
}

const CHART_PX = 128;
const CHART_FROM_PX = 300;
const FETCH_EVERY_MS = 15_000;

export abstract class DerivTable<T extends Named> extends GridPanel {
  readonly maxHz = 4;
  protected readonly continuous: boolean = true;
  readonly filter = new Store('');
  readonly shown = new Store({ rows: 0, all: 0 });

  protected readonly data = new Rows<T>((row) => `${row.exchange}:${row.symbol}`);
  protected abstract readonly topic: 'basis' | 'funding' | 'interest';
  protected abstract readonly columns: readonly GridColumn[];
  protected minutes: Record<string, Minute[]> = {};
  #order: T[] = [];
  #held = false;
  #asked = 0;
  #of = '';
  #failed: string | undefined;

  /** What a column sorts by; NaN is last. */
  protected abstract value(row: T, column: string): number | string;
  protected abstract chart(symbol: string, failed: string | undefined): Chart;
  /** Paths and parameters of the histories under the table, by name. */
  protected abstract histories(): Record<string, { path: string; params: Record<string, string> }>;

  protected override start(): void {
    super.start();
    this.keep(everyVenue((exchange) => this.#listen(exchange)));
    this.keep(this.filter.onChange(() => this.#reorder()));
    this.keep(settings.onChange(() => this.#reorder()));
    this.keep(this.look.onChange(() => this.#onLook()));
    const timer = setInterval(() => void this.#fetch(), FETCH_EVERY_MS);
    this.keep(() => clearInterval(timer));
    this.keep(rewound.onChange(() => void this.#fetch()));
    void this.#fetch();
  }

  #listen(exchange: string): () => void {
    const onFrame = (frame: Parameters<Rows<T>['onFrame']>[0]): void => {
      this.data.onFrame(frame, (row) => row.exchange === exchange);
      if (!this.#held) this.#sort();
      if (this.#of === '') void this.#fetch();
    };
    if (exchange === this.look.get().exchange) return this.listen(this.topic, { exchange }, onFrame);
    return this.workspace.feed.subscribe(this.topic, { exchange }, {
      onFrame: (frame) => {
        onFrame(frame);
        this.touch(performance.now());
      },
    });
  }

  protected override venues(): readonly string[] {
    return allVenues();
  }

  protected count(): number {
    return this.#order.length;
  }

  protected at(row: number): T {
    return this.#order[row]!;
  }

  protected emptySentence(): string {
    return this.data.byName.size > 0 ? `no symbol contains “${this.filter.get()}”` : 'no derivative is listed yet';
  }

  protected get chosen(): Settings['basis'] {
    return settings.get()[this.topic];
  }

  protected override sort(): Sort {
    return { id: this.chosen.sort, descending: this.chosen.descending };
  }

  protected override onHeader(column: string): void {
    const same = this.chosen.sort === column;
    const descending = same ? !this.chosen.descending : column !== 'symbol' && column !== 'venue';
    settings.update({ [this.topic]: { ...this.chosen, sort: column, descending } });
  }

  protected onRow(row: number): void {
    const { exchange, symbol } = this.at(row);
    if (exchange === this.look.get().exchange) show(symbol);
  }

  protected override onHold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    if (!held) this.#reorder();
  }

  protected override gridSize(): { width: number; height: number } {
    return { width: this.width, height: this.height - (this.height >= CHART_FROM_PX ? CHART_PX : 0) };
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    super.paint(context, now);
    const { height } = this.gridSize();
    if (height === this.height) return;
    const box: Box = { x: 0, y: height, width: this.width, height: this.height - height };
    paintLines(context, box, this.chart(this.look.get().symbol, this.#failed), theme.get());
  }

  protected rawRow(row: number): unknown {
    return this.at(row);
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    return { ...super.snapshot(), minutes: this.minutes };
  }

  /** The row of what the panel looks at. */
  protected linked(): T | undefined {
    const { exchange, symbol } = this.look.get();
    return this.data.byName.get(`${exchange}:${symbol}`);
  }

  #onLook(): void {
    this.invalidate(true);
    void this.#fetch();
  }

  #reorder(): void {
    this.#sort();
    this.reset();
    this.invalidate(true);
  }

  #sort(): void {
    const wanted = this.filter.get().trim().toUpperCase();
    const { sort, descending } = this.chosen;
    const rows = [...this.data.byName.values()].filter((row) => row.symbol.toUpperCase().includes(wanted));
    const keyed = rows.map((row) => ({ row, key: this.value(row, sort) }));
    keyed.sort((a, b) => order(a.key, b.key, descending) || (a.row.symbol < b.row.symbol ? -1 : a.row.symbol > b.row.symbol ? 1 : 0));
    this.#order = keyed.map(({ row }) => row);
    const known = this.shown.get();
    if (known.rows !== rows.length || known.all !== this.data.byName.size) this.shown.set({ rows: rows.length, all: this.data.byName.size });
  }

  async #fetch(): Promise<void> {
    const row = this.linked();
    if (!row || this.workspace.feed.link.get().phase !== 'open') return;
    const of = `${row.exchange}:${row.symbol}`;
    if (of !== this.#of) this.minutes = {}; // never another symbol's past under this one's name
    this.#of = of;
    const asked = ++this.#asked;
    try {
      const told: Record<string, Minute[]> = {};
      for (const [name, { path, params }] of Object.entries(this.histories())) {
        told[name] = (await getJson<{ points: Minute[] }>(path, { exchange: row.exchange, symbol: row.symbol, ...params })).points;
      }
      if (asked !== this.#asked) return;
      this.minutes = told;
      this.#failed = undefined;
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#failed = error instanceof Error ? error.message : String(error);
    }
    this.invalidate();
  }
}

/** Unknown values stay at the end, whichever way the others go. */
function order(a: number | string, b: number | string, descending: boolean): number {
  const noA = Number.isNaN(a);
  const noB = Number.isNaN(b);
  if (noA || noB) return Number(noA) - Number(noB);
  const by = a < b ? -1 : a > b ? 1 : 0;
  return descending ? -by : by;
}

export const orNaN = (value: number | null): number => value ?? NaN;
