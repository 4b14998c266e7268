/** Trades as bubbles: prints of one side that fell into one stretch of time are one, its area their notional. */

import type { Theme } from '../../core/theme';
import type { HeatmapData } from '../../data/heatmap';
import type { View } from './view';

export interface Bubble {
  x: number;
  /** Volume-weighted price, ticks. */
  price: number;
  lots: number;
  /** Ticks x lots. */
  notional: number;
  side: 1 | -1;
  prints: number;
}

const LEAST_STRETCH_PX = 7;
const MAX_RADIUS_PX = 14;
/** The notional of this rank among those visible has this radius. */
const RANK = 0.95;
const RANK_RADIUS_PX = 7;
const MIN_RADIUS_PX = 1.2;

/** Bubbles of the visible prints. `columnMs` is the shortest stretch of time that is told apart. */
export function bubblesOf(data: HeatmapData, view: View, columnMs: number): Bubble[] {
  const stretch = Math.max(columnMs, Math.ceil((LEAST_STRETCH_PX * view.msPerPx) / columnMs) * columnMs);
  const bubbles: Bubble[] = [];
  const open: (Bubble | undefined)[] = [undefined, undefined];
  let running = NaN;
  for (let n = firstAt(data, view.left - stretch); n < data.prints; n++) {
    const slot = data.printSlot(n);
    const at = Math.floor(data.printMs[slot]! / stretch);
    if (at !== running) open.fill(undefined);
    running = at;
    const side = data.printSide[slot]! > 0 ? 1 : -1;
    const which = side > 0 ? 1 : 0;
    const [price, lots] = [data.printPrice[slot]!, data.printLots[slot]!];
    let bubble = open[which];
    if (!bubble) bubbles.push((bubble = open[which] = { x: view.x((at + 0.5) * stretch), price: 0, lots: 0, notional: 0, side, prints: 0 }));
    bubble.lots += lots;
    bubble.notional += price * lots;
    bubble.price = bubble.notional / bubble.lots;
    bubble.prints += 1;
  }
  return bubbles;
}

/** Number of the first print at or after `ms`; prints are in the order of time, or nearly. */
function firstAt(data: HeatmapData, ms: number): number {
  let [low, high] = [data.firstPrint, data.prints];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (data.printMs[data.printSlot(middle)]! < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The notional that has RANK_RADIUS_PX. */
export function reference(bubbles: readonly Bubble[]): number {
  const sorted = bubbles.map(({ notional }) => notional).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * RANK))] ?? 1;
}

export const radius = (notional: number, whole: number): number =>
  Math.min(MAX_RADIUS_PX, Math.max(MIN_RADIUS_PX, RANK_RADIUS_PX * Math.sqrt(notional / whole)));

/** Draw bubbles, buys and then sells, each side as one path. */
export function paintBubbles(context: CanvasRenderingContext2D, bubbles: readonly Bubble[], whole: number, view: View, { buy, sell, bg: rim }: Theme): void {
  for (const [side, colour] of [[1, buy], [-1, sell]] as const) {
    context.fillStyle = `${colour}b8`;
    context.strokeStyle = rim;
    context.lineWidth = 1;
    context.beginPath();
    for (const bubble of bubbles) {
      if (bubble.side !== side || bubble.x < -MAX_RADIUS_PX || bubble.x > view.width + MAX_RADIUS_PX) continue;
      const r = radius(bubble.notional, whole);
      const y = view.y(bubble.price + 0.5);
      context.moveTo(bubble.x + r, y);
      context.arc(bubble.x, y, r, 0, 2 * Math.PI);
    }
    context.fill();
    context.stroke();
  }
}
