/** Every symbol of the venue: the `imbalance` topic, as one array per figure, indexed like the venue's universe. */

import { type Grid, gridOf } from '../core/decimal';
import { column, type Frame } from '../core/wire';

export const WINDOWS = ['10s', '1m', '5m', '15m'] as const;
export type Window = (typeof WINDOWS)[number];

const FIGURES = [
  ...WINDOWS.flatMap((window) => [`buy_${window}`, `sell_${window}`, `net_${window}`, `ti_${window}`]),
  'bi',
  'last',
  'last_ms',
  'chg24',
  'qv24',
];

interface Names {
  symbols?: string[];
  ticks?: [number, number][];
  lots?: [number, number][];
}

export class Market {
  symbols: string[] = [];
  ticks: Grid[] = [];
  lots: Grid[] = [];
  /** Rises with every frame. */
  revision = 0;
  /** Server time of the newest frame. */
  serverMs = 0;
  /** Rises when instruments come or go. */
  universe = 0;

  #figures = new Map<string, Float64Array>();
  #index = new Map<string, number>();

  /** Which instrument is called `symbol`; -1 when there is none (yet). */
  indexOf(symbol: string): number {
    return this.#index.get(symbol) ?? -1;
  }

  /** One figure of every instrument, by column name (`ti_1m`, `last`, …); NaN is unknown. */
  figure(name: string): Float64Array {
    const found = this.#figures.get(name);
    if (found) return found;
    const fresh = new Float64Array(this.symbols.length).fill(NaN);
    this.#figures.set(name, fresh);
    return fresh;
  }

  onFrame(frame: Frame): void {
    const names = frame.meta as Names;
    if (names.symbols) this.#adopt(names.symbols, names.ticks ?? [], names.lots ?? []);
    const rows = column(frame, 'i');
    for (const name of FIGURES) scatter(this.figure(name), rows, column(frame, name));
    this.serverMs = frame.serverMs;
    this.revision += 1;
  }

  #adopt(symbols: string[], ticks: [number, number][], lots: [number, number][]): void {
    this.symbols = symbols;
    this.ticks = ticks.map(gridOf);
    this.lots = lots.map(gridOf);
    this.#index = new Map(symbols.map((symbol, index) => [symbol, index]));
    this.#figures = new Map();
    this.universe += 1;
  }
}

function scatter(into: Float64Array, rows: ArrayLike<number>, values: ArrayLike<number>): void {
  for (let k = 0; k < rows.length; k++) into[rows[k]!] = values[k]!;
}
