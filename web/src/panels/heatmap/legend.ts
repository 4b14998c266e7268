/** The legend of sizes: a strip in the ramp's colours whose two ends can be taken in hand, which locks the scale. */

import type { Pointer } from '../../core/crosshair';
import { charWidth, font, type Theme } from '../../core/theme';
import { LEVELS, RANKS, rampWords, type Ramp, type Scale } from './scale';

const WIDTH = 150;
const HEIGHT = 8;
const BOX = { x: 10, y: 8, width: WIDTH + 20, height: 36 };
const GRIP_PX = 6;

export class Legend {
  /** Size at the right end of the strip. */
  #most = 1;
  #scale: Scale = { low: 0, high: 1 };
  #strip: { ramp: Ramp; canvas: HTMLCanvasElement } | undefined;

  /** Which end is under the pointer. */
  hit({ x, y }: Pointer): 'low' | 'high' | undefined {
    if (!this.covers({ x, y })) return undefined;
    const [low, high] = [this.#x(this.#scale.low), this.#x(this.#scale.high)];
    const nearer = Math.abs(x - low) < Math.abs(x - high) ? 'low' : 'high';
    return Math.abs(x - (nearer === 'low' ? low : high)) <= GRIP_PX + 4 ? nearer : undefined;
  }

  covers({ x, y }: Pointer): boolean {
    return x >= BOX.x && x < BOX.x + BOX.width && y >= BOX.y && y < BOX.y + BOX.height;
  }

  /** The scale with one end pulled to where the pointer is; ends do not pass each other. */
  pull(end: 'low' | 'high', x: number): Scale {
    const share = Math.min(1, Math.max(0, (x - BOX.x - 10) / WIDTH));
    const size = share * share * this.#most;
    const { low, high } = this.#scale;
    return end === 'low' ? { low: Math.min(size, high * 0.9), high } : { low, high: Math.max(size, low * 1.1, this.#most * 1e-4) };
  }

  paint(context: CanvasRenderingContext2D, theme: Theme, scale: Scale, ramp: Ramp, locked: boolean, size: (lots: number) => string, unit: string): void {
    this.#scale = scale;
    // The strip's own length changes only when the scale leaves it: handles do not slide about.
    if (scale.high > this.#most || scale.high < this.#most / 8) this.#most = scale.high * 2;
    context.fillStyle = `${theme.tip}e6`;
    context.fillRect(BOX.x, BOX.y, BOX.width, BOX.height);
    const [x, y] = [BOX.x + 10, BOX.y + 14];
    const [low, high] = [this.#x(scale.low), this.#x(scale.high)];
    context.fillStyle = theme.border;
    context.fillRect(x, y, WIDTH, HEIGHT);
    context.drawImage(this.#ramp(ramp), 0, 0, LEVELS, 1, low, y, Math.max(1, high - low), HEIGHT);
    context.fillStyle = this.#ramp(ramp).dataset['last']!;
    context.fillRect(high, y, x + WIDTH - high, HEIGHT);
    context.font = font(10);
    context.fillStyle = theme.muted;
    context.fillText(`resting ${unit}`, x, y - 4);
    const state = locked ? 'locked' : RANKS;
    context.fillStyle = locked ? theme.accent : theme.muted;
    context.fillText(state, x + WIDTH - state.length * charWidth(10), y - 4);
    for (const [at, text, left] of [[low, size(scale.low), true], [high, size(scale.high), false]] as const) {
      context.fillStyle = theme.text;
      context.fillRect(Math.round(at) - 1, y - 2, 2, HEIGHT + 4);
      const wide = text.length * charWidth(10);
      const from = left ? Math.min(at - 2, high - wide - 8 - size(scale.high).length * charWidth(10) / 2) : at - wide / 2;
      context.fillText(text, Math.round(Math.min(Math.max(from, x), x + WIDTH - wide)), y + HEIGHT + 11);
    }
  }

  #x(lots: number): number {
    return BOX.x + 10 + WIDTH * Math.sqrt(Math.min(1, lots / this.#most));
  }

  #ramp(ramp: Ramp): HTMLCanvasElement {
    if (this.#strip?.ramp === ramp) return this.#strip.canvas;
    const canvas = document.createElement('canvas');
    canvas.width = LEVELS;
    canvas.height = 1;
    const context = canvas.getContext('2d')!;
    const image = context.createImageData(LEVELS, 1);
    new Uint32Array(image.data.buffer).set(rampWords(ramp));
    context.putImageData(image, 0, 0);
    const [r, g, b] = image.data.slice(-4);
    canvas.dataset['last'] = `rgb(${r},${g},${b})`;
    this.#strip = { ramp, canvas };
    return canvas;
  }
}
