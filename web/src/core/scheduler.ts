/**
 * One requestAnimationFrame for the whole page. Handlers of data never draw: they mark a task dirty, and each frame
 * draws the most overdue tasks until the budget is spent; the rest stay dirty. Nothing dirty, no frame.
 */

import { record } from './perf';

/** Script time a frame may take; the raster of the canvases comes on top, later, where script cannot see it. */
const BUDGET_MS = 7;
/** Cost of putting one megapixel of canvas on screen, measured without a GPU. */
const RASTER_MS_PER_MEGAPIXEL = 1;

export interface Task {
  readonly perfName: string;
  readonly maxHz: number;
  draw(now: number): void;
  megapixels(): number;
  visible(): boolean;
}

interface Entry {
  task: Task;
  dirty: boolean;
  urgent: boolean;
  drawnAt: number;
  costMs: number;
}

class Scheduler {
  readonly #entries = new Map<Task, Entry>();
  #requested = false;

  add(task: Task): void {
    this.#entries.set(task, { task, dirty: false, urgent: false, drawnAt: 0, costMs: 0.5 });
  }

  remove(task: Task): void {
    this.#entries.delete(task);
  }

  /** Draw `task` when its rate allows; `urgent` (a hand is moving it) in the next frame. */
  invalidate(task: Task, urgent = false): void {
    const entry = this.#entries.get(task);
    if (!entry) return;
    entry.dirty = true;
    entry.urgent ||= urgent;
    this.#request();
  }

  invalidateAll(): void {
    for (const entry of this.#entries.values()) this.invalidate(entry.task, true);
  }

  #request(): void {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now: number): void {
    this.#requested = false;
    const started = performance.now();
    let spent = 0;
    for (const entry of this.#due(now)) {
      if (spent > 0 && spent + entry.costMs > BUDGET_MS) continue;
      spent += this.#draw(entry, now);
    }
    if (spent > 0) record('frame', performance.now() - started);
    for (const entry of this.#entries.values()) {
      if (entry.dirty && entry.task.visible()) return this.#request();
    }
  }

  /** Tasks whose turn has come, most overdue first; urgent ones before all. */
  #due(now: number): Entry[] {
    const overdue = (entry: Entry): number => (now - entry.drawnAt) * entry.task.maxHz;
    return [...this.#entries.values()]
      .filter((entry) => entry.dirty && entry.task.visible() && (entry.urgent || overdue(entry) >= 990))
      .sort((a, b) => Number(b.urgent) - Number(a.urgent) || overdue(b) - overdue(a));
  }

  #draw(entry: Entry, now: number): number {
    entry.dirty = false;
    entry.urgent = false;
    entry.drawnAt = now;
    const started = performance.now();
    entry.task.draw(now);
    const script = performance.now() - started;
    record(entry.task.perfName, script);
    const cost = script * 2 + entry.task.megapixels() * RASTER_MS_PER_MEGAPIXEL;
    entry.costMs += (cost - entry.costMs) * 0.2;
    return cost;
  }
}

export const scheduler = new Scheduler();
