/** What every panel is: a root element with a header, a canvas under it, a place in the scheduler, an age. */

import { replay } from '../data/replay';
import type { Status } from '../data/status';
import { lost, status, statusAt } from '../data/status';
import type { Market } from '../data/market';
import { aim, unpoint } from './aim';
import { dotsPerPx, floorToDot } from './dots';
import type { Feed } from './feed';
import { type Health, judge } from './freshness';
import type { Linked } from './link';
import { scheduler, type Task } from './scheduler';
import { Store } from './store';
import { theme } from './theme';
import type { Frame } from './wire';

export interface Workspace {
  feed: Feed;
  market: Market;
}

/** Where a panel sits: the workspace, its own id there (`heatmap`, `heatmap:ETHUSDT`), and what it looks at. */
export interface Seat extends Workspace {
  instance: string;
  look: Store<Linked>;
}

/** A table as a file takes it: cells under the names of their columns. */
export interface Shown {
  columns: string[];
  rows: (string | number | boolean | null)[][];
  /** What a reader of the rows must know beside the panel's parameters. */
  about?: Record<string, string>;
}

export interface PanelSnapshot {
  rows: string[][];
  raw: unknown;
}

export abstract class CanvasPanel implements Task {
  /** The kind of panel. */
  abstract readonly id: string;
  abstract readonly perfName: string;
  abstract readonly maxHz: number;
  /** Silence on the topic means that something is wrong. */
  protected abstract readonly continuous: boolean;

  readonly root = element('section', 'panel');
  readonly head = element('header', 'panel-head');
  readonly body = element('div', 'panel-body');
  /** Symbol, venue, window and units, for the header. */
  readonly context = new Store('');
  readonly health = new Store<Health>({ state: 'waiting', text: 'WAITING for the first snapshot' });

  /** This very panel: a workspace may hold several of a kind, for different symbols. */
  readonly instance: string;
  /** What the panel looks at: the workspace's symbol, or the one it is held on. */
  readonly look: Store<Linked>;

  protected readonly workspace: Workspace;
  protected readonly canvas = element('canvas', 'surface');
  protected readonly surface = this.canvas.getContext('2d', { alpha: false })!;
  protected width = 0;
  protected height = 0;

  #size = { width: 0, height: 0 };
  #resized = false;
  #visible = true;
  #drawn = false;
  #dataAt: number | undefined;
  #refused: string | undefined;
  readonly #observer = new ResizeObserver(([entry]) => this.#onResize(entry!));
  readonly #undo: (() => void)[] = [];

  constructor(seat: Seat) {
    this.workspace = seat;
    this.instance = seat.instance;
    this.look = seat.look;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.body.append(this.canvas);
    this.root.append(this.head, this.body);
  }

  /** Called once, after construction: subscribe, listen. */
  open(): void {
    this.root.dataset['panel'] = this.id;
    this.root.dataset['instance'] = this.instance;
    scheduler.add(this);
    this.#observer.observe(this.body);
    this.keep(theme.onChange(() => this.restyle()));
    this.keep(this.context.subscribe((text) => this.canvas.setAttribute('aria-label', `${this.id}: ${text}`)));
    this.start();
    this.judge();
  }

  close(): void {
    this.#observer.disconnect();
    scheduler.remove(this);
    for (const undo of this.#undo.splice(0)) undo();
    unpoint(this);
  }

  /** A panel behind another tab keeps its data and draws nothing. */
  setVisible(visible: boolean): void {
    this.#visible = visible;
    if (visible) this.invalidate(true);
  }

  visible(): boolean {
    return this.#visible && this.#size.width > 0 && this.#size.height > 0;
  }

  megapixels(): number {
    return (this.width * this.height) / 1e6;
  }

  /** Something of the panel's own topic has been painted. */
  get ready(): boolean {
    return this.#drawn && this.#dataAt !== undefined;
  }

  /** A snapshot of the panel's topic is here, be it empty. */
  protected get dataArrived(): boolean {
    return this.#dataAt !== undefined;
  }

  invalidate(urgent = false): void {
    scheduler.invalidate(this, urgent);
  }

  draw(now: number): void {
    if (this.#resized) this.#resize();
    this.paint(this.surface, now);
    this.#drawn ||= this.#dataAt !== undefined;
  }

  /** Renew the header's state word; called twice a second, and by whatever changes it. */
  judge(): void {
    const venues: Status['venues'] = status.get().venues;
    const names = this.venues();
    const gone = names.filter((name) => lost(venues[name]) !== undefined);
    const present = names.find((name) => !gone.includes(name));
    const health = judge({
      now: performance.now(),
      link: this.workspace.feed.link.get(),
      statusAt,
      venue: venues[present ?? names[0]!],
      missing: present === undefined ? '' : gone.map((name) => `${name}: ${lost(venues[name])}`).join('; '),
      replay: replay.get(),
      dataAt: this.#dataAt,
      refused: this.#refused,
      book: this.bookState(),
      continuous: this.continuous,
    });
    const known = this.health.get();
    if (known.text !== health.text) this.health.set(health);
    if (known.state !== health.state) this.invalidate(); // what is no longer the present is painted so
    this.root.dataset['state'] = health.state;
  }

  /** Venues that the panel is about. */
  protected venues(): readonly string[] {
    return [this.look.get().exchange];
  }

  /** State of the book that the panel shows; undefined where it shows none or it is not known yet. */
  protected bookState(): string | undefined {
    return undefined;
  }

  abstract snapshot(): PanelSnapshot | object;

  /** What is shown as a table, for a file; undefined where the panel is a picture only. */
  table(): Shown | undefined {
    return undefined;
  }

  /** What the panel is about, as the name of a file or of a journal entry has it. */
  get subject(): string {
    return this.look.get().symbol;
  }

  /** What is on the panel at this moment, and by which parameters, for a journal. */
  picture(): { canvas: HTMLCanvasElement; parameters: Record<string, string> } {
    this.draw(performance.now());
    return { canvas: this.canvas, parameters: this.parameters() };
  }

  protected parameters(): Record<string, string> {
    const { exchange, symbol, timeframe } = this.look.get();
    return { exchange, symbol, timeframe, shown: this.context.get(), state: this.health.get().text };
  }

  /** Keys while the pointer is over the panel or it has the focus; true when used. */
  onKey(_event: KeyboardEvent): boolean {
    return false;
  }

  protected abstract start(): void;
  protected abstract paint(context: CanvasRenderingContext2D, now: number): void;
  /** The canvas has a new size and is empty, or colours have changed: forget what is on it. */
  protected abstract reset(): void;

  protected restyle(): void {
    this.reset();
    this.invalidate(true);
  }

  /** Draw anew whenever the hand points at something on another panel. */
  protected followAim(): void {
    this.keep(aim.onChange((at) => at?.by !== this && this.invalidate(true)));
  }

  /** Run `undo` when the panel closes. */
  protected keep(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Subscribe with the bookkeeping of age and refusal that the header needs. */
  protected listen(topic: string, params: Record<string, unknown>, onFrame: (frame: Frame, now: number) => void): () => void {
    this.#refused = undefined;
    return this.workspace.feed.subscribe(topic, params, {
      onFrame: (frame) => {
        const now = performance.now();
        this.#refused = undefined;
        onFrame(frame, now);
        this.touch(now);
      },
      onRefused: (reason) => {
        this.#refused = reason;
        this.judge();
      },
    });
  }

  /** Data arrived: note its age and draw in due time. */
  protected touch(now: number): void {
    const first = this.#dataAt === undefined;
    this.#dataAt = now;
    if (first || this.health.get().state !== 'live') this.judge();
    this.invalidate();
  }

  /** What is shown no longer belongs to what was asked for: say WAITING until it does. */
  protected outdate(): void {
    this.#dataAt = undefined;
    this.judge();
  }

  #onResize(entry: ResizeObserverEntry): void {
    // Whole pixels of the screen: a canvas that ends between two is blurred by the browser.
    const [width, height] = [floorToDot(entry.contentRect.width), floorToDot(entry.contentRect.height)];
    if (width === this.#size.width && height === this.#size.height) return;
    this.#size = { width, height };
    this.#resized = true;
    this.invalidate(true);
  }

  /** Sizes change inside the scheduler's frame, so that dragging a splitter costs one layout a frame. */
  #resize(): void {
    this.#resized = false;
    this.width = this.#size.width;
    this.height = this.#size.height;
    fit(this.canvas, this.surface, this.width, this.height);
    this.reset();
  }
}

/** Give `canvas` a size in CSS pixels; setting a width clears it and forgets its transform. */
export function fit(canvas: HTMLCanvasElement, context: CanvasRenderingContext2D, width: number, height: number): void {
  const scale = dotsPerPx();
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  context.setTransform(scale, 0, 0, scale, 0, 0);
}

export function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}
