/** What goes out of the store and what people bring: the HTTP of export and OHLC upload. */

import { authorised } from '../core/access';
import type { Shown } from '../core/panel';

export const KINDS = [
  { id: 'trades', title: 'trades', of: 'prints as the venue sent them, by id' },
  { id: 'candles', title: 'candles', of: 'OHLC, sold, bought, delta, CVD, POC and value area' },
  { id: 'footprints', title: 'footprint', of: 'one row a price bin: sold, bought, trades' },
  { id: 'imbalances', title: 'imbalances', of: 'sold, bought and their balance, a row a candle' },
  { id: 'liquidations', title: 'liquidations', of: 'as the venue reports them: the largest of each second' },
  { id: 'features', title: 'features', of: 'of the book, each second of the last 180, from memory' },
  { id: 'dataset', title: 'features and targets', of: 'the same with what followed, to learn from' },
  { id: 'gaps', title: 'gaps', of: 'what is missing, since when and why' },
  { id: 'alerts', title: 'alerts', of: 'what rules fired, when it ended, what followed' },
  { id: 'ohlc', title: 'own OHLC', of: 'candles that were uploaded or imported' },
] as const;
export type Kind = (typeof KINDS)[number]['id'];

export const FORMATS = ['csv', 'json', 'xlsx', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

/** Kinds that are cut into candles. */
export const TIMED: readonly Kind[] = ['candles', 'footprints', 'imbalances'];

export interface Wish {
  what: Kind;
  format: Format;
  exchange: string;
  /** Empty: all that is stored. */
  symbol: string;
  from: string;
  to: string;
  tf: string;
  step: string;
}

export interface Progress {
  /** Share of the range that has been read, then of the file that has arrived; undefined: not known. */
  share: number | undefined;
  words: string;
}

const POLL_MS = 300;

/** Ask for a file; `told` is given the progress. Fails with the server's own sentence. */
export async function exported(wish: Wish, told: (progress: Progress) => void, signal: AbortSignal): Promise<{ name: string; blob: Blob }> {
  const job = crypto.randomUUID();
  const url = new URL('/api/export', location.href);
  const given = { what: wish.what, format: wish.format, exchange: wish.exchange, symbol: wish.symbol, from: wish.from, to: wish.to, job };
  const more = TIMED.includes(wish.what) ? { tf: wish.tf, step: wish.what === 'footprints' ? wish.step : '' } : {};
  const bundle = wish.format === 'csv' ? { bundle: 'true' } : {}; // a CSV has no place for what it is about
  for (const [name, value] of Object.entries({ ...given, ...more, ...bundle })) if (value) url.searchParams.set(name, value);
  const polling = setInterval(() => void poll(job, told), POLL_MS);
  const request = new XMLHttpRequest(); // it tells how much has arrived, and is done when the last byte has
  const cancel = (): void => {
    request.abort();
    void fetch(new URL(`/api/export?job=${job}`, location.href), { method: 'DELETE', headers: authorised() });
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    told({ share: undefined, words: 'reading' });
    request.responseType = 'blob';
    request.onprogress = ({ loaded, total }) => {
      clearInterval(polling);
      told({ share: total ? loaded / total : undefined, words: 'receiving' });
    };
    const blob = await sent<Blob>(request, 'GET', url);
    if (request.status !== 200) throw new Error(detail(request, await blob.text()));
    const name = /filename="([^"]+)"/.exec(request.getResponseHeader('content-disposition') ?? '')?.[1] ?? `tapewatch.${wish.format}`;
    return { name, blob };
  } finally {
    clearInterval(polling);
    signal.removeEventListener('abort', cancel);
  }
}

async function poll(job: string, told: (progress: Progress) => void): Promise<void> {
  const response = await fetch(new URL(`/api/export/progress?job=${job}`, location.href), { headers: authorised() });
  const { done, total } = (await response.json()) as { done: number | null; total: number | null };
  if (done !== null && total) told({ share: done / total, words: 'reading' });
}

/** Send a request and wait for its answer, whatever that is; fails where there is none. */
function sent<T>(request: XMLHttpRequest, method: string, url: URL, body?: File): Promise<T> {
  return new Promise((resolve, reject) => {
    request.open(method, url);
    for (const [name, value] of Object.entries(authorised())) request.setRequestHeader(name, value);
    request.onload = () => resolve(request.response as T);
    request.onabort = () => reject(new Error('cancelled'));
    request.onerror = () => reject(new Error('The server cannot be reached.'));
    request.send(body);
  });
}

function detail(request: XMLHttpRequest, text: string): string {
  try {
    return (JSON.parse(text) as { detail: string }).detail;
  } catch {
    return `${request.status} ${request.statusText}`;
  }
}

/** A table of the page as a file; the server writes it as it writes exports. */
export async function tableFile(table: Shown & { name: string; about: Record<string, string> }, format: Format): Promise<{ name: string; blob: Blob }> {
  const url = new URL(`/api/export/table?format=${format}`, location.href);
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(table), headers: { 'Content-Type': 'application/json', ...authorised() } });
  if (!response.ok) throw new Error(((await response.json()) as { detail: string }).detail);
  return { name: `${table.name}.${format}${format === 'csv' ? '.zip' : ''}`, blob: await response.blob() };
}

/** Hand a file to the person at the screen. */
export function handOver(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  URL.revokeObjectURL(url);
}

/** What the server has understood of an upload. */
export interface Understood {
  rows: number;
  read: number | null;
  tf_ms: number | null;
  from: number | null;
  to: number | null;
  /** Whether rows were not in order of time, and were put into it. */
  sorted: boolean | null;
  first: { open_ts: number; open: number; high: number; low: number; close: number; volume: number }[] | null;
}

/** Send a file of OHLC; `check` stores nothing. Fails with the server's own sentence, which names the wrong rows. */
export async function upload(file: File, query: Record<string, string>, told: (progress: Progress) => void): Promise<Understood> {
  const url = new URL('/api/ohlc', location.href);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const request = new XMLHttpRequest(); // fetch tells nothing of how much has been sent
  request.upload.onprogress = ({ loaded, total }) => told({ share: total ? loaded / total : undefined, words: 'sending' });
  request.upload.onload = () => told({ share: undefined, words: query['check'] ? 'reading' : 'storing' });
  const text = await sent<string>(request, 'POST', url, file);
  if (request.status !== 200) throw new Error(detail(request, text));
  return JSON.parse(text) as Understood;
}

/** The sentence of a refused upload, cut into what was refused and one reason a row. */
export function reasons(sentence: string): { head: string; rows: string[] } {
  const at = sentence.indexOf('nothing was stored: ');
  if (at < 0) return { head: sentence, rows: [] };
  const from = at + 'nothing was stored: '.length;
  return { head: `${sentence.slice(0, from - 2)}.`, rows: sentence.slice(from).split(/; | (?=… and )/) };
}
