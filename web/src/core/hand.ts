/** The hand on a chart of time and price: drag, wheel, double click and the keys that move the picture. */

import type { Pointer } from './crosshair';

/** A drag moves prices too once it has gone this far up or down; before, the price axis stays automatic. */
const VERTICAL_FROM_PX = 24;
const WHEEL = 0.0012;
const WHEEL_MAX = 120;
const KEY_ZOOM = 1.15;

/** What a hand moves. */
export interface Movable {
  /** Size of the plot; right of it is the price axis. */
  readonly width: number;
  readonly height: number;
  /** The price axis follows the data. */
  readonly auto: boolean;
  /** How far an arrow key goes. */
  readonly stepPx: number;
  pan(dx: number, dy: number, oldest: number): void;
  zoomTime(factor: number, x: number): void;
  zoomPrice(factor: number, y: number): void;
  follow(): void;
}

export interface Held {
  /** The oldest moment in the view's own measure: it cannot be dragged out of sight. */
  oldest(): number;
  /** Something on the picture takes the press itself; returns what follows the pointer until it is released. */
  grab?(at: Pointer): ((at: Pointer) => void) | undefined;
  /** The picture moved. */
  moved(): void;
  /** Only the crosshair did. */
  pointed(): void;
}

interface Drag {
  x: number;
  y: number;
  startY: number;
  axis: boolean;
  vertical: boolean;
}

export class Hand {
  /** Where the pointer is, unless it is dragging or elsewhere. */
  get pointer(): Pointer | undefined {
    return this.#drag || this.#grabbed ? undefined : this.#pointer;
  }

  readonly #canvas: HTMLCanvasElement;
  readonly #view: Movable;
  readonly #held: Held;
  #pointer: Pointer | undefined;
  #drag: Drag | undefined;
  #grabbed: ((at: Pointer) => void) | undefined;

  constructor(canvas: HTMLCanvasElement, view: Movable, held: Held) {
    this.#canvas = canvas;
    this.#view = view;
    this.#held = held;
    canvas.addEventListener('pointermove', (event) => this.#onMove(event));
    canvas.addEventListener('pointerdown', (event) => this.#onPress(event));
    canvas.addEventListener('pointerup', () => this.#release());
    canvas.addEventListener('pointercancel', () => this.#release());
    canvas.addEventListener('pointerleave', () => this.#onLeave());
    canvas.addEventListener('dblclick', () => this.follow());
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
  }

  /** Newest candle at the right, prices to fit. */
  follow(): void {
    this.#view.follow();
    this.#held.moved();
  }

  /** Move by a key; false when it is none of ours. */
  key(key: string, shift: boolean): boolean {
    const view = this.#view;
    const step = view.stepPx * (shift ? 10 : 1);
    const middle = view.height / 2;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => view.pan(step, 0, this.#held.oldest()),
      ArrowRight: () => view.pan(-step, 0, this.#held.oldest()),
      ArrowUp: () => view.zoomPrice(KEY_ZOOM, middle),
      ArrowDown: () => view.zoomPrice(1 / KEY_ZOOM, middle),
      '+': () => view.zoomTime(KEY_ZOOM, view.width / 2),
      '=': () => view.zoomTime(KEY_ZOOM, view.width / 2),
      '-': () => view.zoomTime(1 / KEY_ZOOM, view.width / 2),
      z: () => view.follow(),
    };
    const move = moves[key];
    if (!move) return false;
    move();
    this.#held.moved();
    return true;
  }

  #onPress(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#grabbed = this.#held.grab?.({ x: event.offsetX, y: event.offsetY });
    if (this.#grabbed) return;
    const axis = event.offsetX >= this.#view.width;
    this.#drag = { x: event.offsetX, y: event.offsetY, startY: event.offsetY, axis, vertical: !this.#view.auto };
    this.#canvas.style.cursor = axis ? 'ns-resize' : 'grabbing';
  }

  #release(): void {
    this.#drag = this.#grabbed = undefined;
    this.#canvas.style.cursor = '';
    this.#held.pointed();
  }

  #onLeave(): void {
    this.#pointer = undefined;
    this.#held.pointed();
  }

  #onMove(event: PointerEvent): void {
    this.#pointer = { x: event.offsetX, y: event.offsetY };
    if (this.#grabbed) return this.#grabbed(this.#pointer);
    if (this.#drag) return this.#move(this.#drag, event);
    this.#canvas.style.cursor = event.offsetX >= this.#view.width ? 'ns-resize' : 'crosshair';
    this.#held.pointed();
  }

  #move(drag: Drag, event: PointerEvent): void {
    const dx = event.offsetX - drag.x;
    const dy = event.offsetY - drag.y;
    drag.x = event.offsetX;
    drag.y = event.offsetY;
    drag.vertical ||= Math.abs(event.offsetY - drag.startY) > VERTICAL_FROM_PX;
    if (drag.axis) this.#view.zoomPrice(1 - dy * 0.006, this.#view.height / 2);
    else this.#view.pan(dx, drag.vertical ? dy : 0, this.#held.oldest());
    this.#held.moved();
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    const turn = Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), WHEEL_MAX);
    if (event.offsetX >= this.#view.width || event.ctrlKey) this.#view.zoomPrice(Math.exp(-turn * WHEEL), event.offsetY);
    else if (event.shiftKey) this.#view.pan(-turn, 0, this.#held.oldest());
    else this.#view.zoomTime(Math.exp(-turn * WHEEL), event.offsetX);
    this.#held.moved();
  }
}
