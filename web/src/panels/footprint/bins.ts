/** Which bin a footprint is drawn with: a multiple of the tick from the menu, by hand or by rule. */

import { type Grid, stepText, toCount } from '../../core/decimal';
import type { Linked } from '../../core/link';
import { Store } from '../../core/store';

export const MULTIPLES = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500] as const;

/** The automatic choice goes on where the menu ends: some ticks are a millionth of the price. */
const LADDER = [...MULTIPLES, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000];

/** More rows than this in an ordinary candle are noise, not levels. */
const ROWS_PER_CANDLE = 24;
const MEDIAN_OF = 50;

interface Span {
  high: number;
  low: number;
  trades: number;
}

/** Automatic bins that charts have chosen: frozen, so that no picture changes its meaning, and the same in all panels. */
export const autoBins = new Store<ReadonlyMap<string, string>>(new Map());

const keyOf = ({ exchange, symbol, timeframe }: Linked): string => `${exchange}:${symbol}:${timeframe}`;

/** The bin to ask the server for; it chooses one by the price while no candle has told how far prices range. */
export const binFor = (look: Linked): string => (look.step === 'auto' ? (autoBins.get().get(keyOf(look)) ?? 'auto') : look.step);

export const isBinChosen = (look: Linked): boolean => look.step !== 'auto' || autoBins.get().has(keyOf(look));

export function chooseAutoBin(look: Linked, step: string): void {
  autoBins.set(new Map(autoBins.get()).set(keyOf(look), step));
}

/**
 * Smallest multiple with which a median candle has at most 24 rows and the newest `columns` candles fit `rows` rows
 * of readable text.
 */
export function autoMultiple(candles: readonly Span[], columns: number, rows: number): number | undefined {
  const traded = candles.filter((candle) => candle.trades > 0).slice(-MEDIAN_OF);
  if (traded.length === 0) return undefined;
  const ranges = traded.map((candle) => candle.high - candle.low + 1).sort((a, b) => a - b);
  const median = ranges[Math.floor(ranges.length / 2)]!;
  const shown = traded.slice(-columns);
  const extent = Math.max(...shown.map((candle) => candle.high)) - Math.min(...shown.map((candle) => candle.low)) + 1;
  const fits = (multiple: number): boolean => median / multiple <= ROWS_PER_CANDLE && extent / multiple <= rows;
  return LADDER.find(fits) ?? LADDER.at(-1)!;
}

/** Next multiple of the menu above (`1`) or below (`-1`) the present one. */
export function neighbour(multiple: number, direction: 1 | -1): number {
  const next = direction > 0 ? LADDER.find((candidate) => candidate > multiple) : LADDER.findLast((candidate) => candidate < multiple);
  return next ?? multiple;
}

/** Ticks in a step typed or linked (`0.5`, or a multiple `x5`); undefined when it is no multiple of the tick. */
export function ticksOf(step: string, tick: Grid): number | undefined {
  const multiple = /^[x×]\s*(\d+)$/i.exec(step.trim());
  if (multiple) return Number(multiple[1]) || undefined;
  return toCount(step, tick);
}

/** `×25 = 2.5`, as menus and headers print a bin. */
export const binLabel = (ticks: number, tick: Grid): string => `×${ticks} = ${stepText(ticks, tick)}`;
