/** What other panels draw on the heatmap: marks of their own, in the frame's coordinates. */

import type { View } from './view';

export interface HeatFrame {
  context: CanvasRenderingContext2D;
  exchange: string;
  symbol: string;
  view: View;
  columnMs: number;
}

/** Called after the picture and before the axes; each looks at venue and symbol itself. */
export const marks = new Set<(frame: HeatFrame) => void>();
