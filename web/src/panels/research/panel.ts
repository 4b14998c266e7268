/** What the research panels share: the pair they are about, when it was computed, why it cannot be, and its place at the foot. */

import { clockSeconds } from '../../core/format';
import { CanvasPanel } from '../../core/panel';
import { charWidth, theme } from '../../core/theme';
import { cursor, follow, namesOf, type PairAnswer, sampleText, type Study, study, type Wish } from '../../data/study';
import { type Box, paintText } from '../features/paint';
import { paintWaiting, waitingLines } from './waiting';
import { paintWhy, wrapped } from './panes';

export const FOOT_PX = 18;
const FOOT_LINE_PX = 13;

export abstract class ResearchPanel extends CanvasPanel {
  readonly maxHz: number = 10;
  protected readonly continuous = false;

  protected start(): void {
    this.keep(follow());
    this.keep(study.subscribe((told) => this.#onStudy(told)));
    this.keep(cursor.onChange(() => this.invalidate(true)));
  }

  protected reset(): void {}

  #onStudy(told: Study): void {
    const { wish, pair, why } = told;
    this.context.set(contextOf(wish));
    if (pair || why) {
      if (pair) this.arrived(pair, wish);
      this.touch(performance.now());
    } else {
      this.outdate();
    }
    this.judge();
    this.invalidate(true);
  }

  override get subject(): string {
    const { x, y } = namesOf(study.get().wish);
    return `${y} on ${x}`;
  }

  /** Something new is known of the pair. */
  protected arrived(_pair: PairAnswer, _wish: Wish): void {}

  /** Its figures are of a moment and stay right: what they have is not an age but a time. */
  override judge(): void {
    super.judge();
    const { pair, why, short, at, asking } = study.get();
    if (this.health.get().state === 'disconnected') return;
    const text = short && !pair ? `WAITING ${short.have} of ${short.need} bars` : why ? 'NO ANSWER' : pair ? `AS OF ${clockSeconds(at)}` : asking ? 'COMPUTING' : 'WAITING';
    const state = why && (pair || !short) ? 'stale' : pair ? 'live' : 'waiting';
    if (this.health.get().text !== text) this.health.set({ state, text });
    this.root.dataset['state'] = state;
  }

  protected paint(context: CanvasRenderingContext2D): void {
    const colours = theme.get();
    context.fillStyle = colours.bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    const { pair, why, short, wish } = study.get();
    const box = this.box();
    if (!pair && short) return paintWaiting(context, box, short, wish, colours);
    if (!pair) return paintWhy(context, box, '', why || 'computing…', colours);
    const foot = wrapped(why ? `the newest could not be had: ${why}` : this.foot(pair, wish), Math.floor((this.width - 12) / charWidth(10)));
    const below = FOOT_PX + (foot.length - 1) * FOOT_LINE_PX;
    this.paintPair(context, { ...box, height: box.height - below }, pair, wish);
    context.fillStyle = colours.raised;
    context.fillRect(0, this.height - below, this.width, below);
    foot.forEach((line, k) => paintText(context, line, 6, this.height - below + 13 + k * FOOT_LINE_PX, this.width - 12, 10, why ? colours.neutral : colours.muted));
  }

  /** Where the figures go. */
  protected box(): Box {
    return { x: 0, y: 0, width: this.width, height: this.height };
  }

  protected abstract paintPair(context: CanvasRenderingContext2D, box: Box, pair: PairAnswer, wish: Wish): void;

  protected foot(pair: PairAnswer, wish: Wish): string {
    return sampleText(pair.sample, wish.tf, pair.left_out);
  }

  protected override parameters(): Record<string, string> {
    const { wish, pair } = study.get();
    const given = Object.fromEntries(Object.entries(wish).map(([name, value]) => [name, String(value)]));
    return { ...given, ...(pair ? { sample: sampleText(pair.sample, wish.tf, pair.left_out) } : {}), state: this.health.get().text };
  }

  snapshot(): object {
    const { pair, why, short, wish, tookMs } = study.get();
    return { ...this.shown(pair, wish), why, waiting: pair ? [] : waitingLines(short, wish), wish, took_ms: tookMs, foot: pair ? this.foot(pair, wish) : '', context: this.context.get(), state: this.health.get().state };
  }

  /** What is drawn, as plain data. */
  protected abstract shown(pair: PairAnswer | undefined, wish: Wish): object;
}

function contextOf(wish: Wish): string {
  const { x, y } = namesOf(wish);
  return `${y} on ${x} · ${wish.tf} × ${wish.bars.toLocaleString('en')} · ${wish.log ? 'log ' : ''}${wish.prices} · ${wish.method} · z ${wish.window} ${wish.center}`;
}
