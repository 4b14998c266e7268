/** Timings in rings of fixed size, read by tests and by the smoothness measurement (`window.__perf`). */

const RING = 1024;

class Ring {
  readonly #values = new Float64Array(RING);
  #count = 0;

  add(ms: number): void {
    this.#values[this.#count++ % RING] = ms;
  }

  take(): { n: number; p50: number; p95: number; max: number } {
    const n = this.#count;
    const sorted = this.#values.slice(0, Math.min(n, RING)).sort();
    const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
    this.#count = 0;
    return { n, p50: at(0.5), p95: at(0.95), max: at(1) };
  }
}

const rings = new Map<string, Ring>();

export function record(name: string, ms: number): void {
  let ring = rings.get(name);
  if (!ring) rings.set(name, (ring = new Ring()));
  ring.add(ms);
}

/** Timings by name since the last call. */
export function snapshot(): Record<string, { n: number; p50: number; p95: number; max: number }> {
  return Object.fromEntries([...rings].map(([name, ring]) => [name, ring.take()]));
}
