/** A scanline rasteriser for flat triangles: pixels in a buffer, and beside each the number of what is seen there. */

export class Raster {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
  /** Number of the facet seen at each pixel, 0 where there is none. */
  readonly facets: Uint16Array;

  constructor(width: number, height: number, buffer: ArrayBufferLike) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(buffer, 0, width * height);
    this.facets = new Uint16Array(width * height);
  }

  clear(colour: number): void {
    this.pixels.fill(colour);
    this.facets.fill(0);
  }

  /** Fill a triangle; what is drawn later hides what was drawn before. A pixel belongs to it if its centre does. */
  triangle(x0: number, y0: number, x1: number, y1: number, x2: number, y2: number, colour: number, facet: number): void {
    if (y1 < y0) [x0, y0, x1, y1] = [x1, y1, x0, y0];
    if (y2 < y0) [x0, y0, x2, y2] = [x2, y2, x0, y0];
    if (y2 < y1) [x1, y1, x2, y2] = [x2, y2, x1, y1];
    const first = Math.max(0, Math.ceil(y0 - 0.5));
    const last = Math.min(this.height - 1, Math.ceil(y2 - 0.5) - 1);
    for (let row = first; row <= last; row++) {
      const y = row + 0.5;
      const long = x0 + ((y - y0) / (y2 - y0)) * (x2 - x0);
      const short = y < y1 ? x0 + ((y - y0) / (y1 - y0)) * (x1 - x0) : x1 + ((y - y1) / (y2 - y1)) * (x2 - x1);
      const from = Math.max(0, Math.ceil(Math.min(long, short) - 0.5));
      const to = Math.min(this.width, Math.ceil(Math.max(long, short) - 0.5));
      if (from >= to) continue;
      const at = row * this.width;
      this.pixels.fill(colour, at + from, at + to);
      this.facets.fill(facet, at + from, at + to);
    }
  }

  facetAt(x: number, y: number): number {
    return x >= 0 && y >= 0 && x < this.width && y < this.height ? this.facets[Math.floor(y) * this.width + Math.floor(x)]! : 0;
  }
}
