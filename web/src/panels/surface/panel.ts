/** Resting size over price and time as a surface: a second view of the heatmap's numbers, to be turned by hand. */

import { niceStep } from '../../core/axis';
import { BookPanel } from '../../core/bookpanel';
import type { Shown } from '../../core/panel';
import { type CrosshairFrame, type Line, paintTooltip, type Pointer } from '../../core/crosshair';
import { toNumber, toText } from '../../core/decimal';
import { clockSeconds, money, quantity } from '../../core/format';
import { settings } from '../../core/settings';
import { Store } from '../../core/store';
import { charWidth, font, theme } from '../../core/theme';
import type { Frame } from '../../core/wire';
import { HeatmapData } from '../../data/heatmap';
import { rampOf, rampWords, type Ramp } from '../heatmap/scale';
import { Camera, type Point } from './camera';
import { cellAt, drawSurface, Places, word } from './draw';
import { Mesh, MOMENTS, PRICES, topSize } from './mesh';
import { Raster } from './raster';

export const SPANS_S = [60, 180, 600] as const;
const TOP_RANK = 0.995;
/** Beyond this many pixels the surface is drawn smaller and enlarged. */
const MOST_PIXELS = 520_000;
/** The size axis follows slowly: heights do not breathe. */
const SAME = 0.15;

export class SurfacePanel extends BookPanel {
  readonly id = 'surface';
  readonly perfName = 'surface';
  readonly maxHz = 1.5;
  protected readonly topic = 'heatmap';

  readonly paused = new Store(false);
  readonly #data = new HeatmapData();
  readonly #camera = new Camera();
  readonly #mesh = new Mesh();
  readonly #places = new Places();
  readonly #picture = document.createElement('canvas');
  readonly #brush = this.#picture.getContext('2d', { alpha: false })!;
  #image: ImageData | undefined;
  #raster: Raster | undefined;
  /** Picture pixels for one pixel of the panel. */
  #ratio = 1;
  #top = 0;
  #words: { ramp: Ramp; words: Uint32Array } = { ramp: 'thermal', words: rampWords('thermal') };
  #stale = true;
  #turned = true;
  #drag: Pointer | undefined;
  #pointer: Pointer | undefined;

  protected override start(): void {
    super.start();
    this.keep(settings.onChange(() => this.#rebuild()));
    const canvas = this.canvas;
    canvas.addEventListener('pointerdown', (event) => this.#press(event));
    canvas.addEventListener('pointermove', (event) => this.#move({ x: event.offsetX, y: event.offsetY }));
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => this.#release());
    canvas.addEventListener('pointerleave', () => this.#point(undefined));
    canvas.addEventListener('dblclick', () => this.home());
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
  }

  protected forget(): void {
    this.#data.clear();
    this.#top = 0;
    this.paused.set(false);
    this.#rebuild();
  }

  protected override reset(): void {
    super.reset();
    const pixels = this.width * this.height;
    this.#ratio = pixels > MOST_PIXELS ? Math.sqrt(MOST_PIXELS / pixels) : 1;
    const [width, height] = [Math.max(1, Math.floor(this.width * this.#ratio)), Math.max(1, Math.floor(this.height * this.#ratio))];
    this.#picture.width = width;
    this.#picture.height = height;
    this.#image = this.#brush.createImageData(width, height);
    this.#raster = new Raster(width, height, this.#image.data.buffer);
    this.#camera.width = width;
    this.#camera.height = height;
    this.#rebuild();
  }

  protected onFrame(frame: Frame): void {
    this.#data.onFrame(frame);
    this.#stale = true;
  }

  protected contextText(): string {
    return `size over price and ${settings.get().surface.span} s · ${this.unit()}`;
  }

  /** As it was before anybody turned it. */
  home(): void {
    this.#camera.home();
    this.#turn();
  }

  togglePause(): void {
    this.paused.set(!this.paused.get());
    this.#rebuild();
  }

  #rebuild(): void {
    this.#stale = true;
    this.invalidate(true);
  }

  #turn(): void {
    this.#turned = true;
    this.invalidate(true);
  }

  // ---- painting

  protected paint(context: CanvasRenderingContext2D): void {
    const { bg, muted } = theme.get();
    const head = this.#data.head;
    if (!head || head.step === 0 || !this.#raster || !this.#image) {
      context.fillStyle = bg;
      context.fillRect(0, 0, this.width, this.height);
      context.font = font(12);
      context.fillStyle = muted;
      context.fillText(head ? `the book of ${head.symbol} is not known yet` : 'waiting for columns', 16, 28);
      this.over.clearRect(0, 0, this.width, this.height);
      return;
    }
    if (this.#stale && !this.paused.get()) {
      this.#mesh.build(this.#data, settings.get().surface.span * 1000);
      const top = topSize(this.#mesh.lots, TOP_RANK);
      if (Math.abs(top - this.#top) > SAME * this.#top) this.#top = top;
      this.#turned = true;
    }
    this.#stale = false;
    if (this.#turned) {
      this.#turned = false;
      this.#rasterise(this.#raster);
      this.#brush.putImageData(this.#image, 0, 0);
      context.imageSmoothingEnabled = true;
      context.drawImage(this.#picture, 0, 0, this.width, this.height);
    }
    this.#paintOverlay();
  }

  #rasterise(raster: Raster): void {
    const { bg, grid, faint } = theme.get();
    raster.clear(word(bg));
    this.#places.project(this.#camera, this.#mesh, this.#top);
    drawSurface(raster, this.#camera, this.#mesh, this.#places, this.#top, this.#ramp(), word(grid), word(faint));
  }

  #ramp(): Uint32Array {
    const ramp = rampOf(settings.get().heatmap.ramp, theme.get());
    if (ramp !== this.#words.ramp) this.#words = { ramp, words: rampWords(ramp) };
    return this.#words.words;
  }

  #paintOverlay(): void {
    const context = this.over;
    context.clearRect(0, 0, this.width, this.height);
    this.#paintAxes(context);
    if (this.paused.get()) {
      context.font = font(11, 600);
      context.fillStyle = theme.get().neutral;
      context.fillText('PAUSED · P goes on', 12, 20);
    }
    const at = this.#pointer;
    if (!at || this.#drag || !this.#raster) return;
    const cell = cellAt(this.#camera, this.#mesh, this.#places, at.x * this.#ratio, at.y * this.#ratio);
    if (cell < 0) return;
    const frame: CrosshairFrame = { context, theme: theme.get(), plot: this.width, width: this.width, height: this.height, chart: this.height, panes: this.height };
    paintTooltip(frame, at, this.#lines(cell));
  }

  #lines(cell: number): Line[] {
    const head = this.#data.head!;
    const [moment, price] = [Math.floor(cell / PRICES), cell % PRICES];
    const ms = (this.#mesh.firstColumn + moment * this.#mesh.columns) * head.columnMs;
    const edge = (this.#mesh.firstBin + price * this.#mesh.bins) * head.step;
    const lots = this.#mesh.lots[cell]!;
    return [
      ['time', `${clockSeconds(ms)} + ${((this.#mesh.columns * head.columnMs) / 1000).toFixed(2)} s`],
      ['price', `${toText(edge, head.tick)} – ${toText(edge + this.#mesh.bins * head.step - 1, head.tick)}`],
      ['largest', `${quantity(toNumber(lots, head.lot), head.lot.decimals)} ${this.unit()}`],
      ['notional', money(toNumber(toNumber(lots * edge, head.tick), head.lot))],
    ];
  }

  /** Labels along the two front edges and, at a corner, the sizes. */
  #paintAxes(context: CanvasRenderingContext2D): void {
    const { muted, faint, text } = theme.get();
    const head = this.#data.head!;
    const near = { time: -this.#camera.farther.time, price: -this.#camera.farther.price };
    const at = (time: number, price: number, size: number): Point => {
      const { x, y } = this.#camera.project(time, price, size);
      return { x: x / this.#ratio, y: y / this.#ratio };
    };
    context.font = font(10);
    context.strokeStyle = faint;
    context.beginPath();
    for (const [from, to] of [[at(-1, near.price, 0), at(1, near.price, 0)], [at(near.time, -1, 0), at(near.time, 1, 0)], [at(-near.time, near.price, 0), at(-near.time, near.price, 1)]] as const) {
      context.moveTo(from.x, from.y);
      context.lineTo(to.x, to.y);
    }
    context.stroke();
    const middle = at(0, 0, 0);
    const placed: { x: number; y: number; wide: number }[] = [];
    /** Beside its place, on the side of the floor that the axis lies on; left out where another one stands. */
    const label = (label: string, place: Point, axis: Point): void => {
      const wide = label.length * charWidth(10);
      const [x, y] = [Math.round(axis.x > middle.x ? place.x + 6 : place.x - 6 - wide), Math.round(place.y + 12)];
      if (placed.some((one) => Math.abs(one.y - y) < 11 && x < one.x + one.wide + 4 && one.x < x + wide + 4)) return;
      placed.push({ x, y, wide });
      context.fillStyle = muted;
      context.fillText(label, x, y);
    };
    const span = settings.get().surface.span;
    // Fewer labels where there is no room for them beside each other.
    const labels = this.width < 460 ? 2 : 4;
    for (let k = labels; k >= 0; k--) {
      const seconds = Math.round(span * (1 - k / labels));
      label(seconds === 0 ? 'now' : `−${seconds} s`, at((2 * k) / labels - 1, near.price, 0), at(0, near.price, 0));
    }
    const ticks = PRICES * this.#mesh.bins * head.step;
    const first = this.#mesh.firstBin * head.step;
    const step = Math.max(1, niceStep(ticks / (labels + 0.5)));
    for (let price = Math.ceil(first / step) * step; price < first + ticks; price += step) {
      label(toText(price, head.tick), at(near.time, ((price - first) / ticks) * 2 - 1, 0), at(near.time, 0, 0));
    }
    if (this.#top <= 0) return;
    const most = toNumber(this.#top, head.lot);
    const size = niceStep(most / 3);
    const marks = Math.floor((most * 1.001) / size);
    const crowded = at(-near.time, near.price, 0).y - at(-near.time, near.price, size / most).y < 11;
    for (let k = crowded ? marks : 1; k <= marks; k++) {
      const place = at(-near.time, near.price, (k * size) / most);
      const figure = quantity(k * size, head.lot.decimals) + (k === marks ? ` ${this.unit()}` : '');
      context.fillStyle = text;
      context.fillRect(place.x - 2, place.y, 4, 1);
      const left = place.x < middle.x;
      context.fillText(figure, Math.round(left ? place.x - 6 - figure.length * charWidth(10) : place.x + 6), Math.round(place.y + 3));
    }
  }

  // ---- hand and keys

  #press(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#drag = { x: event.offsetX, y: event.offsetY };
    this.canvas.style.cursor = 'grabbing';
  }

  #move(at: Pointer): void {
    if (!this.#drag) return this.#point(at);
    this.#camera.turn(at.x - this.#drag.x, at.y - this.#drag.y);
    this.#drag = at;
    this.#turn();
  }

  #release(): void {
    this.#drag = undefined;
    this.canvas.style.cursor = '';
    this.invalidate(true);
  }

  #point(at: Pointer | undefined): void {
    this.#pointer = at;
    this.invalidate(true);
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.#camera.zoomBy(Math.exp(-event.deltaY * 0.001));
    this.#turn();
  }

  override onKey(event: KeyboardEvent): boolean {
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.#camera.turn(-24, 0),
      ArrowRight: () => this.#camera.turn(24, 0),
      ArrowUp: () => this.#camera.turn(0, 24),
      ArrowDown: () => this.#camera.turn(0, -24),
      '+': () => this.#camera.zoomBy(1.15),
      '=': () => this.#camera.zoomBy(1.15),
      '-': () => this.#camera.zoomBy(1 / 1.15),
      z: () => this.#camera.home(),
      p: () => this.togglePause(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return false;
    action();
    this.#turn();
    return true;
  }

  override table(): Shown | undefined {
    const [head, mesh] = [this.#data.head, this.#mesh];
    if (!head || head.step === 0) return undefined;
    const rows: Shown['rows'] = [];
    for (let m = 0; m < MOMENTS; m++) {
      for (let p = 0; p < PRICES; p++) {
        const lots = mesh.at(m, p);
        if (!Number.isNaN(lots)) rows.push([(mesh.firstColumn + m * mesh.columns) * head.columnMs, toNumber((mesh.firstBin + p * mesh.bins) * head.step, head.tick), toNumber(lots, head.lot)]);
      }
    }
    return { columns: ['ts_ms', 'price', 'size'], rows };
  }

  snapshot(): object {
    const head = this.#data.head;
    if (!head || head.step === 0) return { symbol: this.look.get().symbol, rows: [], raw: null };
    const mesh = this.#mesh;
    const cells = Array.from({ length: MOMENTS }, (_, m) => Array.from({ length: PRICES }, (_, p) => mesh.at(m, p)));
    return {
      symbol: head.symbol,
      state: this.health.get().state,
      context: this.context.get(),
      span_s: settings.get().surface.span,
      from: mesh.firstColumn * head.columnMs,
      moment_ms: mesh.columns * head.columnMs,
      low: toNumber(mesh.firstBin * head.step, head.tick),
      step: toNumber(mesh.bins * head.step, head.tick),
      top: toNumber(this.#top, head.lot),
      camera: { yaw: this.#camera.yaw, pitch: this.#camera.pitch, zoom: this.#camera.zoom },
      raw: cells.map((row) => row.map((lots) => (Number.isNaN(lots) ? null : toNumber(lots, head.lot)))),
      rows: cells.map((row) => row.map((lots) => (Number.isNaN(lots) ? '—' : quantity(toNumber(lots, head.lot), head.lot.decimals)))),
    };
  }
}
