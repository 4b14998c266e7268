/** What part of a range of time a chart shows: all of it until a hand zooms, and then the newest as long as that was in sight. */

import type { Movable } from '../../core/hand';

const FEWEST_BARS = 10;

export class TimeView implements Movable {
  /** Size of the plot in pixels. */
  width = 0;
  height = 0;
  /** Values always fill their panes. */
  readonly auto = true;

  #first = 0;
  #last = 1;
  #barMs = 1;
  /** ms shown and the newest of them; undefined: all. */
  #zoom: { span: number; to: number } | undefined;

  /** The data's range and what a bar of them is. */
  bind(first: number, last: number, barMs: number): void {
    const following = this.#zoom?.to === this.#last;
    this.#first = first;
    this.#last = Math.max(last, first + barMs);
    this.#barMs = barMs;
    if (!this.#zoom) return;
    const to = following ? this.#last : this.#zoom.to;
    if (to - this.#zoom.span > this.#last || to < first) this.#zoom = undefined;
    else this.#zoom.to = Math.min(to, this.#last);
  }

  get from(): number {
    return this.#zoom ? this.#zoom.to - this.#zoom.span : this.#first;
  }

  get to(): number {
    return this.#zoom?.to ?? this.#last;
  }

  get zoomed(): boolean {
    return this.#zoom !== undefined;
  }

  get stepPx(): number {
    return Math.max(1, (this.#barMs / (this.to - this.from)) * this.width);
  }

  x(ms: number): number {
    return ((ms - this.from) / (this.to - this.from)) * this.width;
  }

  at(x: number): number {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  zoomTime(factor: number, x: number): void {
    const whole = this.#last - this.#first;
    const span = Math.max(Math.min((this.to - this.from) / factor, whole), Math.min(FEWEST_BARS * this.#barMs, whole));
    const held = this.at(x);
    this.#show(span, held + (1 - x / this.width) * span);
  }

  pan(dx: number): void {
    const span = this.to - this.from;
    this.#show(span, this.to - (dx / this.width) * span);
  }

  zoomPrice(): void {}

  follow(): void {
    this.#zoom = undefined;
  }

  #show(span: number, to: number): void {
    const whole = this.#last - this.#first;
    this.#zoom = span >= whole ? undefined : { span, to: Math.min(this.#last, Math.max(this.#first + span, to)) };
  }
}
