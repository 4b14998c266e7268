/** The surface in pixels: cells from the farthest to the nearest, so that what is in front hides what is behind. */

import { LEVELS } from '../heatmap/scale';
import type { Camera } from './camera';
import { type Mesh, MOMENTS, PRICES } from './mesh';
import { inside, type Raster } from './raster';

/** Sizes above the axis stand out so much at most. */
const MOST_HEIGHT = 1.2;

/** Screen places of the mesh's corners, x and y by turns. */
export class Places {
  readonly at = new Float32Array(MOMENTS * PRICES * 2);

  project(camera: Camera, mesh: Mesh, top: number): void {
    const origin = camera.project(0, 0, 0);
    const [time, price, size] = [camera.project(1, 0, 0), camera.project(0, 1, 0), camera.project(0, 0, 1)];
    for (let m = 0, k = 0; m < MOMENTS; m++) {
      const t = (m / (MOMENTS - 1)) * 2 - 1;
      for (let p = 0; p < PRICES; p++, k++) {
        const q = (p / (PRICES - 1)) * 2 - 1;
        const lots = mesh.lots[k]!;
        const h = lots > 0 ? Math.min(MOST_HEIGHT, lots / top) : 0;
        this.at[2 * k] = origin.x + t * (time.x - origin.x) + q * (price.x - origin.x);
        this.at[2 * k + 1] = origin.y + t * (time.y - origin.y) + q * (price.y - origin.y) + h * (size.y - origin.y);
      }
    }
  }
}

/** Numbers of the cells whose four corners are known, the farthest first. */
export function* cells(camera: Camera, mesh: Mesh): Generator<number> {
  const { time, price } = camera.farther;
  for (let i = 0; i < MOMENTS - 1; i++) {
    const m = time > 0 ? MOMENTS - 2 - i : i;
    for (let j = 0; j < PRICES - 1; j++) {
      const a = m * PRICES + (price > 0 ? PRICES - 2 - j : j);
      if (!Number.isNaN(mesh.lots[a]! + mesh.lots[a + 1]! + mesh.lots[a + PRICES]! + mesh.lots[a + PRICES + 1]!)) yield a;
    }
  }
}

/** Draw the hatched floor, which shows where nothing is known, and the surface on it. */
export function drawSurface(raster: Raster, camera: Camera, mesh: Mesh, places: Places, top: number, words: Uint32Array, floor: number, hatch: number): void {
  const corners = ([[-1, -1], [-1, 1], [1, -1], [1, 1]] as const).map(([time, price]) => camera.project(time, price, 0));
  const [p, q, r, s] = corners as [{ x: number; y: number }, { x: number; y: number }, { x: number; y: number }, { x: number; y: number }];
  raster.triangle(p.x, p.y, q.x, q.y, r.x, r.y, floor, hatch);
  raster.triangle(q.x, q.y, s.x, s.y, r.x, r.y, floor, hatch);
  const { at } = places;
  for (const a of cells(camera, mesh)) {
    const [b, c, d] = [a + 1, a + PRICES, a + PRICES + 1];
    const [la, lb, lc, ld] = [mesh.lots[a]!, mesh.lots[b]!, mesh.lots[c]!, mesh.lots[d]!];
    const share = Math.min(1, Math.max(la, lb, lc, ld) / top);
    // Light falls along the price axis, so that a ridge has a bright and a dark side.
    const light = 0.86 + Math.max(-0.34, Math.min(0.34, ((lb + ld - la - lc) / top) * 0.5));
    const colour = shade(words[Math.round(share * (LEVELS - 1))]!, light);
    raster.triangle(at[2 * a]!, at[2 * a + 1]!, at[2 * b]!, at[2 * b + 1]!, at[2 * c]!, at[2 * c + 1]!, colour);
    raster.triangle(at[2 * b]!, at[2 * b + 1]!, at[2 * d]!, at[2 * d + 1]!, at[2 * c]!, at[2 * c + 1]!, colour);
  }
}

/** The cell seen at a place of the screen; -1 where there is none. */
export function cellAt(camera: Camera, mesh: Mesh, { at }: Places, x: number, y: number): number {
  let found = -1;
  for (const a of cells(camera, mesh)) {
    const [b, c, d] = [a + 1, a + PRICES, a + PRICES + 1];
    const hit =
      inside(x, y, at[2 * a]!, at[2 * a + 1]!, at[2 * b]!, at[2 * b + 1]!, at[2 * c]!, at[2 * c + 1]!) ||
      inside(x, y, at[2 * b]!, at[2 * b + 1]!, at[2 * d]!, at[2 * d + 1]!, at[2 * c]!, at[2 * c + 1]!);
    if (hit) found = a;
  }
  return found;
}

/** `#rrggbb` as the pixel of a bitmap. */
export function word(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** A pixel made darker or lighter. */
function shade(pixel: number, by: number): number {
  const r = Math.min(255, (pixel & 255) * by) | 0;
  const g = Math.min(255, ((pixel >> 8) & 255) * by) | 0;
  const b = Math.min(255, ((pixel >> 16) & 255) * by) | 0;
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}
