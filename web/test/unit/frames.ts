/** Builds stream frames for tests, as docs/stream.md describes them. */

import { decodeFrame, type Frame } from '../../src/core/wire';

type Values = number[] | Float64Array | Int32Array | Uint8Array | Uint16Array;

export interface HeadGiven {
  topic?: string;
  key?: string;
  type?: string;
  seq?: number;
  prev?: number;
  server_ms?: number;
  meta?: Record<string, unknown>;
}

const aligned = (size: number): number => Math.ceil(size / 8) * 8;

const dtypeOf = (values: Values): string =>
  values instanceof Int32Array ? 'i4' : values instanceof Uint8Array ? 'u1' : values instanceof Uint16Array ? 'u2' : 'f8';

export function frameBytes(given: HeadGiven, columns: Record<string, Values>): ArrayBuffer {
  const arrays = Object.entries(columns).map(([name, values]) => ({ name, dtype: dtypeOf(values), data: Array.isArray(values) ? new Float64Array(values) : values }));
  const head = { topic: 't', key: 'k', type: 'snapshot', seq: 1, prev: 0, server_ms: 1_700_000_000_000, meta: {}, ...given };
  const text = (base: number): string => {
    let at = base;
    const cols = arrays.map(({ name, dtype, data }) => {
      const placed = { name, dtype, at, n: data.length };
      at += aligned(data.byteLength);
      return placed;
    });
    return JSON.stringify({ ...head, cols });
  };
  // Placing the columns lengthens the header that says where they are; 64 bytes of slack settle it.
  const base = aligned(4 + new TextEncoder().encode(text(0)).length + 64);
  const header = new TextEncoder().encode(text(base).padEnd(base - 4));
  const buffer = new ArrayBuffer(base + arrays.reduce((sum, { data }) => sum + aligned(data.byteLength), 0));
  new DataView(buffer).setUint32(0, base - 4, true);
  new Uint8Array(buffer).set(header.subarray(0, base - 4), 4);
  let at = base;
  for (const { data } of arrays) {
    new Uint8Array(buffer).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += aligned(data.byteLength);
  }
  return buffer;
}

export const frame = (given: HeadGiven, columns: Record<string, Values>): Frame => decodeFrame(frameBytes(given, columns));
