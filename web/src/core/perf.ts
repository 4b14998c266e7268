/** Timings in rings of fixed size, read by tests and by the smoothness measurement (`window.__perf`). */

const RING = 1024;

/** How often, and how long, ms. */
export interface Timings {
  n: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

class Ring {
  readonly #values = new Float64Array(RING);
  #count = 0;

  add(ms: number): void {
    this.#values[this.#count++ % RING] = ms;
  }

  take(): Timings {
    const n = this.#count;
    const sorted = this.#values.slice(0, Math.min(n, RING)).sort();
    const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
    this.#count = 0;
    return { n, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
  }
}

const rings = new Map<string, Ring>();

export function record(name: string, ms: number): void {
  let ring = rings.get(name);
  if (!ring) rings.set(name, (ring = new Ring()));
  ring.add(ms);
}

/** Timings by name since the last call. */
export function snapshot(): Record<string, Timings> {
  return Object.fromEntries([...rings].map(([name, ring]) => [name, ring.take()]));
}
