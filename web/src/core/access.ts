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
export async function getJson<T>(path: string, params: Record<string, string>): Promise<T> {
  const url = new URL(path, location.href);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  const known = token();
  const response = await fetch(url, {
    headers: known ? { Authorization: `Bearer ${known}` } : {},
  });
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { detail?: string };
    throw new Error(problem.detail ?? `${response.status} ${response.statusText}`);
  }
  return (await response.json()) as T;
}
