/** Times, sizes and lengths as forms and dialogs print them. */

/** `2026-11-21 08:22` UTC; seconds only where there are any. */
export function utcText(ms: number): string {
  const text = new Date(ms).toISOString().replace('T', ' ');
  return ms % 60_000 ? text.slice(0, 19) : text.slice(0, 16);
}

/** The moment that such a text says; undefined where it says none. */
export function utcMs(text: string): number | undefined {
  const told = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?))?$/.exec(text.trim());
  const ms = told ? Date.parse(`${told[1]}T${told[2] ?? '00:00'}Z`) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  return size < 1_000_000 ? `${(size / 1_000).toFixed(1)} kB` : `${(size / 1_000_000).toFixed(1)} MB`;
}

const UNITS = [
  [604_800_000, 'w'],
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const;

/** `5m`, `1h`: the largest unit that it is a whole number of. */
export function lengthText(ms: number): string {
  const [unit, name] = UNITS.find(([length]) => ms % length === 0) ?? [1, 'ms'];
  return `${ms / unit}${name}`;
}
