/** How this page reaches its server: same origin, with the token it was opened with, if any. */

const KEY = 'tapewatch.token';

/** Keep `?token=` for this tab and take it out of the address bar, where it would be copied and bookmarked. */
export function takeToken(): void {
  const url = new URL(location.href);
  const token = url.searchParams.get('token');
  if (!token) return;
  sessionStorage.setItem(KEY, token);
  url.searchParams.delete('token');
  history.replaceState(null, '', url);
}

const token = (): string | null => sessionStorage.getItem(KEY);

export function streamUrl(): string {
  const url = new URL('/ws/stream', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const known = token();
  if (known) url.searchParams.set('token', known);
  return url.href;
}

/** GET a JSON document; fails with the server's own sentence. */
export function getJson<T>(path: string, params: Record<string, string>, signal?: AbortSignal): Promise<T> {
  const url = new URL(path, location.href);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  return ask<T>(url, signal ? { signal } : {});
}

/** POST a JSON document; fails with the server's own sentence. */
/** The server's own sentence; where there is too little of something, how much of what it takes. */
export class Refusal extends Error {
  constructor(
    sentence: string,
    readonly have?: number,
    readonly need?: number,
  ) {
    super(sentence);
  }
}

export const postJson = <T>(path: string, body: unknown): Promise<T> => sendJson('POST', path, body);

/** Send a JSON document, or nothing; fails with the server's own sentence. */
export function sendJson<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, params: Record<string, string> = {}): Promise<T> {
  const url = new URL(path, location.href);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  if (body === undefined) return ask<T>(url, { method });
  return ask<T>(url, { method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
}

async function ask<T>(url: URL, request: RequestInit): Promise<T> {
  const response = await fetch(url, { ...request, headers: { ...request.headers, ...authorised() } });
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { detail?: string; have?: number; need?: number };
    throw new Refusal(problem.detail ?? `${response.status} ${response.statusText}`, problem.have, problem.need);
  }
  return (await response.json()) as T;
}

/** Headers that let us in. */
export function authorised(): Record<string, string> {
  const known = token();
  return known ? { Authorization: `Bearer ${known}` } : {};
}
