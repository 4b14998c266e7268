/** A panel about the book of one instrument: its subscription, the book's state, and an overlay for the hand. */

import { assets } from './assets';
import { CanvasPanel, element, fit } from './panel';
import { Store } from './store';
import type { Frame } from './wire';

/** The state of a book as the server names it. */
export type BookState = 'live' | 'waiting' | 'stale' | 'off';

export abstract class BookPanel extends CanvasPanel {
  protected readonly continuous = true;
  protected abstract readonly topic: string;

  /** Drawn over the picture and much more often: crosshair, tooltip, handles. */
  protected readonly overlay = element('canvas', 'surface overlay');
  protected readonly over = this.overlay.getContext('2d')!;
  protected readonly symbol = new Store('');

  #leave: (() => void) | undefined;
  #asked = '';
  #book: BookState | undefined;

  protected start(): void {
    this.overlay.setAttribute('aria-hidden', 'true');
    this.body.append(this.overlay);
    this.keep(() => this.#leave?.());
    this.keep(this.look.onChange(() => this.subscribe()));
    this.subscribe();
  }

  /** Parameters of the topic beside the instrument; undefined where they are not known yet. */
  protected params(): Record<string, unknown> | undefined {
    return {};
  }

  /** Another instrument: forget the data and how it was looked at. */
  protected abstract forget(): void;
  protected abstract onFrame(frame: Frame): void;
  /** What stands behind symbol and venue in the panel's head. */
  protected abstract contextText(): string;

  /** Ask for what is looked at now, unless it is what was asked for last. */
  protected subscribe(): void {
    const { exchange, symbol } = this.look.get();
    const more = this.params();
    if (!more) return;
    const params = { exchange, symbol, ...more };
    const asked = JSON.stringify(params);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#leave?.();
    if (this.symbol.get() !== `${exchange}:${symbol}`) {
      this.symbol.set(`${exchange}:${symbol}`);
      this.#book = undefined;
      this.forget();
      this.outdate();
      this.invalidate(true);
    }
    this.#leave = this.listen(this.topic, params, (frame) => {
      this.onFrame(frame);
      this.#tellState(frame.meta['state'] as BookState | undefined);
      this.tellContext();
    });
    this.tellContext();
  }

  protected tellContext(): void {
    const { exchange, symbol } = this.look.get();
    const more = this.contextText();
    this.context.set(`${symbol} · ${exchange}${more ? ` · ${more}` : ''}`);
  }

  protected override bookState(): BookState | undefined {
    return this.#book;
  }

  /** Whether what stands in the book is known at present. */
  protected get live(): boolean {
    return this.#book === 'live';
  }

  #tellState(state: BookState | undefined): void {
    if (state === undefined || state === this.#book) return;
    this.#book = state;
    this.judge();
  }

  protected reset(): void {
    fit(this.overlay, this.over, this.width, this.height);
  }

  /** The asset that quantities are counted in. */
  protected unit(): string {
    return assets(this.look.get().symbol).base;
  }
}
