/** The size of the order: what was entered, as a whole number of lots, and back. */

import { type Grid, toNumber, toText } from '../../core/decimal';
import { parseAmount } from '../../core/format';

export const SLIDER_STEPS = 1000;
/** The slider goes a little further than the known book, so that the refusal can be seen. */
const BEYOND = 1.25;

/** Lots of an amount in base or quote units; undefined where it is none, or less than one lot. */
export function lotsOf(text: string, unit: 'base' | 'quote', lot: Grid, mid: number): number | undefined {
  const amount = parseAmount(text);
  if (amount === undefined || !(amount > 0)) return undefined;
  const base = unit === 'base' ? amount : amount / mid;
  // What does not make a whole lot is left away; the tolerance is for 0.3 / 0.1.
  const lots = Math.floor(base / toNumber(1, lot) + 1e-6);
  return lots > 0 && Number.isSafeInteger(lots) ? lots : undefined;
}

/** Where the slider stands for so many lots, on a logarithmic scale from one lot to beyond the known book. */
export function sliderOf(lots: number, knownLots: number): number {
  const most = Math.log(Math.max(2, knownLots * BEYOND));
  return Math.round((Math.min(Math.log(Math.max(1, lots)), most) / most) * SLIDER_STEPS);
}

/** Lots that the slider asks for: two significant digits. */
export function lotsAt(position: number, knownLots: number): number {
  const lots = Math.exp((position / SLIDER_STEPS) * Math.log(Math.max(2, knownLots * BEYOND)));
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(lots)) - 1);
  return Math.max(1, Math.round(lots / unit) * unit);
}

/** What to enter for so many lots. */
export function textOf(lots: number, unit: 'base' | 'quote', lot: Grid, mid: number): string {
  return unit === 'base' ? trim(toText(lots, lot)) : String(Math.ceil(toNumber(lots, lot) * mid));
}

const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
