/** A scanline rasteriser for flat triangles in a buffer of pixels. */

export class Raster {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;

  constructor(width: number, height: number, buffer: ArrayBufferLike) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(buffer, 0, width * height);
  }

  clear(colour: number): void {
    this.pixels.fill(colour);
  }

  /**
   * Fill a triangle; what is drawn later hides what was drawn before. A pixel belongs to it if its centre does, so that
   * neighbours share no pixel and leave none out. `hatch` is the colour of diagonal lines over it.
   */
  triangle(x0: number, y0: number, x1: number, y1: number, x2: number, y2: number, colour: number, hatch = colour): void {
    let swap: number;
    if (y1 < y0) (swap = x0), (x0 = x1), (x1 = swap), (swap = y0), (y0 = y1), (y1 = swap);
    if (y2 < y0) (swap = x0), (x0 = x2), (x2 = swap), (swap = y0), (y0 = y2), (y2 = swap);
    if (y2 < y1) (swap = x1), (x1 = x2), (x2 = swap), (swap = y1), (y1 = y2), (y2 = swap);
    const { width, pixels } = this;
    const first = Math.max(0, Math.ceil(y0 - 0.5));
    const middle = Math.ceil(y1 - 0.5);
    const end = Math.min(this.height, Math.ceil(y2 - 0.5));
    const long = (x2 - x0) / (y2 - y0);
    const upper = (x1 - x0) / (y1 - y0);
    const lower = (x2 - x1) / (y2 - y1);
    for (let row = first; row < end; row++) {
      const y = row + 0.5;
      const a = x0 + (y - y0) * long;
      const b = row < middle ? x0 + (y - y0) * upper : x1 + (y - y1) * lower;
      const from = Math.max(0, Math.ceil((a < b ? a : b) - 0.5));
      const to = Math.min(width, Math.ceil((a < b ? b : a) - 0.5));
      const at = row * width;
      if (hatch === colour) for (let x = from; x < to; x++) pixels[at + x] = colour;
      else for (let x = from; x < to; x++) pixels[at + x] = (x + row) & 7 ? colour : hatch;
    }
  }
}

/** Whether a point lies in a triangle, whichever way its corners run. */
export function inside(x: number, y: number, x0: number, y0: number, x1: number, y1: number, x2: number, y2: number): boolean {
  const a = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0);
  const b = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
  const c = (x0 - x2) * (y - y2) - (y0 - y2) * (x - x2);
  return (a >= 0 && b >= 0 && c >= 0) || (a <= 0 && b <= 0 && c <= 0);
}
