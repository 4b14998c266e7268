/**
 * One binary frame of /ws/stream (docs/stream.md):
 *
 *     u32 LE header length H | header JSON, space padded to a multiple of 8 | columns, each at a multiple of 8
 *
 * Columns become typed-array views of the frame: no copy, no object per value.
 */

export type Column = Float64Array | Int32Array | Uint16Array | Uint8Array;

export interface Frame {
  topic: string;
  key: string;
  type: 'snapshot' | 'delta';
  seq: number;
  /** Sequence number this delta applies to; -1 for a snapshot. */
  prev: number;
  serverMs: number;
  meta: Record<string, unknown>;
  columns: Record<string, Column>;
}

/** The server sent something that is not a frame; the stream cannot be trusted after it. */
export class WireError extends Error {}

interface ColumnHead {
  name: string;
  dtype: string;
  at: number;
  n: number;
}

interface Head {
  topic: string;
  key: string;
  type: 'snapshot' | 'delta';
  seq: number;
  prev?: number | null;
  server_ms: number;
  meta?: Record<string, unknown>;
  cols?: ColumnHead[];
}

const WIDTH: Record<string, number> = { f8: 8, i4: 4, u2: 2, u1: 1 };
const utf8 = new TextDecoder();

export function decodeFrame(buffer: ArrayBuffer): Frame {
  const head = readHead(buffer);
  const columns: Record<string, Column> = {};
  for (const column of head.cols ?? []) columns[column.name] = view(buffer, column);
  return {
    topic: head.topic,
    key: head.key,
    type: head.type,
    seq: head.seq,
    prev: head.prev ?? -1,
    serverMs: head.server_ms,
    meta: head.meta ?? {},
    columns,
  };
}

function readHead(buffer: ArrayBuffer): Head {
  if (buffer.byteLength < 4) throw new WireError('frame is shorter than its length field');
  const length = new DataView(buffer).getUint32(0, true);
  if (4 + length > buffer.byteLength) throw new WireError(`header of ${length} bytes does not fit the frame`);
  let head: Head;
  try {
    head = JSON.parse(utf8.decode(new Uint8Array(buffer, 4, length))) as Head;
  } catch {
    throw new WireError('header is not JSON');
  }
  if (typeof head.key !== 'string' || typeof head.seq !== 'number' || (head.type !== 'snapshot' && head.type !== 'delta')) {
    throw new WireError('header lacks key, type or seq');
  }
  return head;
}

function view(buffer: ArrayBuffer, { name, dtype, at, n }: ColumnHead): Column {
  const width = WIDTH[dtype];
  if (width === undefined) throw new WireError(`column ${name} has unknown type ${dtype}`);
  if (at % width !== 0 || at < 0 || n < 0 || at + n * width > buffer.byteLength) {
    throw new WireError(`column ${name} lies outside the frame`);
  }
  switch (dtype) {
    case 'f8':
      return new Float64Array(buffer, at, n);
    case 'i4':
      return new Int32Array(buffer, at, n);
    case 'u2':
      return new Uint16Array(buffer, at, n);
    default:
      return new Uint8Array(buffer, at, n);
  }
}

/** A column the topic promises; its absence means that page and server disagree about the protocol. */
export function column(frame: Frame, name: string): Column {
  const found = frame.columns[name];
  if (!found) throw new WireError(`frame of ${frame.topic} has no column ${name}`);
  return found;
}
