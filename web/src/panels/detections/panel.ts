/** What the detectors have found: a log, newest on top, and under it the evidence of one event or the report cards. */

import { getJson } from '../../core/access';
import { toNumber, toText } from '../../core/decimal';
import { clock, money, quantity, span } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { settings } from '../../core/settings';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { type Detection, DetectionLog, sideName } from '../../data/detections';
import { rewound } from '../../data/replay';
import { CARD_PX, type Cards, paintCards } from './card';
import { evidenceLines, paintEvidence, summary } from './evidence';
import { LETTERS } from './marks';

const COLUMNS: GridColumn[] = [
  { id: 'time', title: 'began UTC', width: 92, align: 'left', hint: 'When it began, by the venue; the newest finding is on top' },
  { id: 'symbol', title: 'symbol', width: 76, grow: 1, align: 'left', drop: 4 },
  { id: 'kind', title: 'detector', width: 92, align: 'left' },
  { id: 'side', title: 'side', width: 52, align: 'left' },
  { id: 'price', title: 'price', width: 118, grow: 1, align: 'right' },
  { id: 'size', title: 'size', width: 60, grow: 1, align: 'right' },
  { id: 'notional', title: 'notional', width: 66, grow: 1, align: 'right', drop: 3 },
  { id: 'confidence', title: 'confid.', width: 58, align: 'right', bar: 'share' },
  { id: 'state', title: 'became', width: 64, align: 'left' },
  { id: 'span', title: 'lasted', width: 52, align: 'right', drop: 2 },
  { id: 'evidence', title: 'evidence', width: 150, grow: 8, align: 'left', drop: 1 },
];

/** Report cards are told by request; returns of 30 s need no faster pace. */
const CARDS_EVERY_MS = 5_000;
/** Where the panel is lower than this, the log has it all until cards or evidence are asked for. */
const LOWER_FROM_PX = 300;
const LEAST_LOG_PX = 64;

export class DetectionsPanel extends GridPanel {
  readonly id = 'detections';
  readonly perfName = 'detections';
  readonly maxHz = 5;
  protected readonly continuous = false;
  protected readonly grid = new TextGrid(COLUMNS);

  #log = new DetectionLog();
  #rows: Detection[] = [];
  #frozen: number[] | undefined;
  /** The event whose evidence is shown; undefined: the report cards are. */
  #chosen: number | undefined;
  #cards: Cards | undefined;
  #failed = '';
  #leave: (() => void) | undefined;
  #asked = '';
  #paintedAt = 0;

  protected override start(): void {
    super.start();
    this.keep(this.look.onChange(() => this.#subscribe()));
    this.keep(settings.onChange(() => this.#onSettings()));
    this.keep(rewound.onChange(() => void this.#fetchCards()));
    this.keep(() => this.#leave?.());
    const timer = setInterval(() => this.visible() && void this.#fetchCards(), CARDS_EVERY_MS);
    this.keep(() => clearInterval(timer));
    this.#subscribe();
  }

  #subscribe(): void {
    const { exchange, symbol } = this.look.get();
    const asked = `${exchange} ${symbol}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#leave?.();
    this.outdate();
    this.#chosen = undefined;
    this.#cards = undefined;
    this.context.set(`${symbol} · ${exchange} · event time, thresholds of this symbol`);
    const log = new DetectionLog();
    this.#leave = this.listen('detections', { exchange, symbol }, (frame, now) => {
      log.onFrame(frame, now);
      this.#log = log;
      this.#select();
    });
    void this.#fetchCards();
  }

  async #fetchCards(): Promise<void> {
    const { exchange, symbol } = this.look.get();
    const asked = this.#asked;
    try {
      const cards = await getJson<Cards>('/api/detections', { exchange, symbol, limit: '1' });
      if (asked !== this.#asked) return;
      this.#cards = cards;
      this.#failed = '';
    } catch (error) {
      if (asked === this.#asked) this.#failed = error instanceof Error ? error.message : String(error);
    }
    if (this.#chosen === undefined) this.invalidate();
  }

  #onSettings(): void {
    this.reset();
    this.#select();
  }

  /** A list under the pointer stands still, so that a click meets the row it was meant for. */
  protected override onHold(held: boolean): void {
    if (held === (this.#frozen !== undefined)) return;
    this.#frozen = held ? this.#rows.map((event) => event.id) : undefined;
    this.#select();
  }

  #select(): void {
    const hidden = new Set(settings.get().detections.hidden.split(','));
    const matching = this.#log.newest.filter((event) => !hidden.has(event.kind));
    this.#rows = this.#frozen ? this.#frozen.flatMap((id) => this.#log.get(id) ?? []) : matching;
    this.invalidate(true);
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return this.#log.newest.length > 0 ? 'every event is hidden by the filter' : 'nothing found yet; medians are learnt in the first 30 s';
  }

  protected onRow(row: number): void {
    const id = this.#rows[row]?.id;
    this.#choose(id === this.#chosen ? undefined : id);
  }

  override onKey(event: KeyboardEvent): boolean {
    if (event.key === 'Escape' && this.#chosen !== undefined) {
      this.#choose(undefined);
      return true;
    }
    return super.onKey(event);
  }

  protected override gridSize(): { width: number; height: number } {
    const lower = this.height >= LOWER_FROM_PX || settings.get().detections.cards || this.#chosen !== undefined;
    return { width: this.width, height: lower ? Math.max(LEAST_LOG_PX, this.height - CARD_PX) : this.height };
  }

  protected override onClick(event: MouseEvent): void {
    if (event.offsetY >= this.gridSize().height) {
      return this.#choose(undefined); // back to the report cards
    }
    super.onClick(event);
  }

  #choose(id: number | undefined): void {
    this.#chosen = id;
    this.reset(); // the log may be shorter now
    this.invalidate(true);
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    this.#paintedAt = now;
    super.paint(context, now);
    const { height } = this.gridSize();
    if (height === this.height) return;
    const box = { x: 0, y: height, width: this.width, height: this.height - height };
    const event = this.#chosen === undefined ? undefined : this.#log.get(this.#chosen);
    const { head } = this.#log;
    if (event && head) paintEvidence(context, box, event, head, theme.get());
    else paintCards(context, box, this.#cards, this.#failed, theme.get());
  }

  protected writeRow: WriteRow = (row, put) => {
    const event = this.#rows[row]!;
    const { buy, sell, text, muted, neutral, accent, bg } = theme.get();
    const { symbol, tick, lot } = this.#log.head!;
    const shade = event.side > 0 ? buy : sell;
    const open = event.state === 'open';
    put('time', clock(event.startMs), muted);
    put('symbol', symbol, text);
    put('kind', `${LETTERS[event.kind]} ${event.kind}`, text);
    put('side', `${event.side > 0 ? '▲' : '▼'} ${sideName(event.kind, event.side)}`, shade);
    put('price', priceRange(event, tick), text);
    put('size', quantity(toNumber(event.lots, lot), lot.decimals), text);
    put('notional', money((toNumber(event.lots, lot) * toNumber(event.low + event.high, tick)) / 2), text);
    put('confidence', event.confidence.toFixed(2), muted, event.confidence);
    put('state', event.state === 'done' ? '' : open ? '● open' : event.state, open ? neutral : muted);
    put('span', event.tsMs > event.startMs ? span(event.tsMs - event.startMs) : '', muted);
    put('evidence', summary(event), muted);
    const chosen = event.id === this.#chosen;
    return this.rowStyle(row, chosen ? mix(accent, 0.16, bg) : mix(shade, open ? 0.08 : 0.03, bg), event.cameAt, this.#paintedAt, chosen ? accent : mix(shade, open ? 1 : 0.4, bg));
  };

  protected rawRow(row: number): unknown {
    const event = this.#rows[row]!;
    const { symbol, tick, lot } = this.#log.head!;
    return {
      id: event.id, symbol, kind: event.kind, side: sideName(event.kind, event.side), direction: event.side,
      start_ts: event.startMs, ts: event.tsMs, low: toNumber(event.low, tick), high: toNumber(event.high, tick),
      quantity: toNumber(event.lots, lot), confidence: event.confidence, state: event.state, evidence: event.evidence,
    };
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    const event = this.#chosen === undefined ? undefined : this.#log.get(this.#chosen);
    return {
      ...super.snapshot(),
      symbol: this.#log.head?.symbol ?? null,
      fired: this.#log.fired,
      cards: this.#cards?.report_card ?? null,
      evidence: event && this.#log.head ? evidenceLines(event, this.#log.head) : null,
    };
  }
}

function priceRange({ low, high }: Detection, tick: Parameters<typeof toText>[1]): string {
  return low === high ? toText(low, tick) : `${toText(low, tick)}–${toText(high, tick).slice(-Math.max(4, tick.decimals + 2))}`;
}


