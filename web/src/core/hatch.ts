/** The pattern of what is not known. It is never the colour of an empty book. */

import type { Theme } from './theme';

const SIZE = 8;
const made = new Map<string, CanvasPattern>();

export function hatch(context: CanvasRenderingContext2D, { grid, faint }: Theme): CanvasPattern {
  const key = grid + faint;
  const known = made.get(key);
  if (known) return known;
  const tile = document.createElement('canvas');
  tile.width = tile.height = SIZE;
  const draw = tile.getContext('2d')!;
  draw.fillStyle = grid;
  draw.fillRect(0, 0, SIZE, SIZE);
  draw.strokeStyle = `${faint}90`;
  draw.lineWidth = 1;
  draw.beginPath();
  for (const shift of [-SIZE, 0, SIZE]) {
    draw.moveTo(shift, SIZE);
    draw.lineTo(shift + SIZE, 0);
  }
  draw.stroke();
  const pattern = context.createPattern(tile, 'repeat')!;
  made.set(key, pattern);
  return pattern;
}
