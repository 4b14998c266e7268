/** Pixels of the screen, which on a zoomed page are not those of the page. */

export const dotsPerPx = (): number => globalThis.devicePixelRatio || 1;

export const floorToDot = (px: number): number => Math.floor(px * dotsPerPx() + 1e-6) / dotsPerPx();

/** The nearest place where a pixel of the screen begins: what is painted there has a sharp edge, and leaves no trace when it is painted over. */
export function snap(px: number): number {
  const dots = dotsPerPx();
  return Math.round(px * dots) / dots;
}
