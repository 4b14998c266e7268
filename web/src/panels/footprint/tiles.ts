/**
 * Closed candles are drawn once, each into its own small canvas, and copied from there: a frame then costs the same
 * for ten cells and for ten thousand. After a zoom tiles are renewed within a budget; until its turn an old tile is
 * shown stretched.
 */

import { dotsPerPx, snap } from '../../core/dots';
import type { Candle } from '../../data/footprint';
import { extentOf, HEADER_PX, type Look, paintCandle } from './candle';

const BUDGET_MS = 4;
/** Beyond this a tile would cost more memory than it saves time; such a candle is drawn directly. */
const MAX_TILE_PX = 4_000;

interface Tile {
  canvas: HTMLCanvasElement;
  key: string;
  /** Prices at the first cell's top and the last one's bottom. */
  high: number;
  low: number;
  usedAt: number;
}

export class Tiles {
  readonly #tiles = new Map<number, Tile>();
  #frame = 0;
  #deadline = 0;

  /** Start a frame; tiles unused for long are dropped at its end. */
  begin(): void {
    this.#frame += 1;
    this.#deadline = performance.now() + BUDGET_MS;
  }

  clear(): void {
    this.#tiles.clear();
  }

  /** Draw `candle` at `x`; false when only an outdated picture could be shown within the budget. */
  draw(context: CanvasRenderingContext2D, candle: Candle, x: number, y: (price: number) => number, look: Look, key: string): boolean {
    const step = look.head.stepTicks;
    const { high, low } = extentOf(candle, step);
    const height = (high - low) * look.perTick;
    if (height > MAX_TILE_PX || candle.price.length === 0) {
      paintCandle(context, candle, x, y, look);
      return true;
    }
    const wanted = `${candle.version}|${key}`;
    let tile = this.#tiles.get(candle.openMs);
    let fresh = tile?.key === wanted;
    if (!fresh && (!tile || performance.now() < this.#deadline)) {
      tile = this.#render(candle, look, wanted, high, low);
      fresh = true;
    }
    tile!.usedAt = this.#frame;
    this.#copy(context, tile!, x, y, look);
    return fresh;
  }

  /** Forget what has scrolled away. */
  end(): void {
    for (const [openMs, tile] of this.#tiles) if (this.#frame - tile.usedAt > 120) this.#tiles.delete(openMs);
  }

  #render(candle: Candle, look: Look, key: string, high: number, low: number): Tile {
    const known = this.#tiles.get(candle.openMs);
    const canvas = known?.canvas ?? document.createElement('canvas');
    const scale = dotsPerPx();
    canvas.width = Math.max(1, Math.ceil(look.width * scale));
    canvas.height = Math.max(1, Math.ceil((Math.round((high - low) * look.perTick) + HEADER_PX + 3) * scale));
    const context = canvas.getContext('2d', { alpha: false })!;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = look.theme.bg;
    context.fillRect(0, 0, canvas.width, canvas.height);
    paintCandle(context, candle, 0, (price) => HEADER_PX + (high - price) * look.perTick, look);
    const tile = { canvas, key, high, low, usedAt: this.#frame };
    this.#tiles.set(candle.openMs, tile);
    return tile;
  }

  #copy(context: CanvasRenderingContext2D, tile: Tile, x: number, y: (price: number) => number, look: Look): void {
    const top = snap(Math.round(y(tile.high)) - HEADER_PX);
    const height = Math.round((tile.high - tile.low) * look.perTick) + HEADER_PX + 3;
    context.drawImage(tile.canvas, snap(x), top, Math.ceil(look.width), height);
  }
}
