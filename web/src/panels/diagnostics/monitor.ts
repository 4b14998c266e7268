/** Rates from the server's counters: differences of two answers over the server's own time between them. */

interface SymbolCounts {
  symbol: string;
  book: string;
  diffs: number;
  trades: number;
  quotes: number;
  resyncs: number;
  last_ts: number | null;
  book_bytes: number;
}

/** `GET /api/operations`. */
export interface Operations {
  exchange: string;
  server_ts: number;
  clock_ts: number;
  memory: { resident: number | null; books: number; footprint_cells: number; studies: number };
  studied: string[];
  symbols: SymbolCounts[];
}

/** One symbol: rates a second (NaN before the second answer), age of its newest event in ms, bytes of its book. */
export interface SymbolRate {
  symbol: string;
  book: string;
  diffs: number;
  trades: number;
  quotes: number;
  resyncs: number;
  age: number;
  memory: number;
}

/** Answers kept for the slope of memory: ten minutes at one every two seconds. */
const KEPT = 300;

export class Monitor {
  symbols: SymbolRate[] = [];
  memory: Operations['memory'] | undefined;
  studied: readonly string[] = [];
  serverMs = 0;
  #before = new Map<string, SymbolCounts>();
  #exchange = '';
  #resident: { ms: number; bytes: number }[] = [];

  take(told: Operations): void {
    const seconds = (told.server_ts - this.serverMs) / 1000;
    const known = told.exchange === this.#exchange && seconds > 0;
    this.symbols = told.symbols.map((now) => {
      const then = known ? this.#before.get(now.symbol) : undefined;
      const rate = (name: 'diffs' | 'trades' | 'quotes'): number => (then ? Math.max(0, now[name] - then[name]) / seconds : NaN);
      return {
        symbol: now.symbol, book: now.book, diffs: rate('diffs'), trades: rate('trades'), quotes: rate('quotes'), resyncs: now.resyncs,
        age: now.last_ts === null ? NaN : Math.max(0, told.clock_ts - now.last_ts), memory: now.book_bytes,
      };
    });
    this.#before = new Map(told.symbols.map((one) => [one.symbol, one]));
    this.#exchange = told.exchange;
    this.serverMs = told.server_ts;
    this.memory = told.memory;
    this.studied = told.studied;
    if (told.memory.resident !== null) this.#resident.push({ ms: told.server_ts, bytes: told.memory.resident });
    this.#resident.splice(0, this.#resident.length - KEPT);
  }

  /** Growth of resident memory over what is kept, bytes a minute; undefined under a minute. */
  get growth(): { bytesPerMinute: number; minutes: number } | undefined {
    const first = this.#resident[0];
    const last = this.#resident.at(-1);
    if (!first || !last || last.ms - first.ms < 60_000) return undefined;
    const minutes = (last.ms - first.ms) / 60_000;
    return { bytesPerMinute: (last.bytes - first.bytes) / minutes, minutes };
  }

  /** All symbols together. */
  total(name: 'diffs' | 'trades' | 'quotes'): number {
    return this.symbols.reduce((sum, one) => sum + one[name], 0);
  }
}
