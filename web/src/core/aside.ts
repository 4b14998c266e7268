/** A topic that a panel listens to beside its own, as long as it is wanted: begun anew whenever something else is asked. */

import type { Feed } from './feed';
import type { Frame } from './wire';

export class Aside<T extends { onFrame(frame: Frame, now: number): void }> {
  data: T;
  readonly #feed: Feed;
  readonly #topic: string;
  readonly #fresh: () => T;
  readonly #changed: () => void;
  #asked = '';
  #leave: (() => void) | undefined;

  /** `fresh` makes what the frames go to, `changed` is told of every frame and of every new beginning. */
  constructor(feed: Feed, topic: string, fresh: () => T, changed: () => void) {
    this.#feed = feed;
    this.#topic = topic;
    this.#fresh = fresh;
    this.#changed = changed;
    this.data = fresh();
  }

  /** Listen with these parameters; without any, to nothing. */
  follow(params: Record<string, unknown> | undefined): void {
    const asked = params ? JSON.stringify(params) : '';
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.close();
    const data = (this.data = this.#fresh());
    this.#changed();
    if (!params) return;
    this.#leave = this.#feed.subscribe(this.#topic, params, {
      onFrame: (frame) => {
        data.onFrame(frame, performance.now());
        this.#changed();
      },
    });
  }

  close(): void {
    this.#leave?.();
    this.#leave = undefined;
  }
}
