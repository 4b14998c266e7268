/** How numbers are printed, everywhere (the same rules as the terminal dashboard). A missing value is an em dash. */

export const MISSING = '—';

const SCALES = [
  [1e12, 't'],
  [1e9, 'b'],
  [1e6, 'm'],
  [1e3, 'k'],
] as const;
/** From here on, three digits round up to the next unit. */
const ROUNDS_UP = 0.9995;

/** Quantity in a cell: three significant digits and a unit; `decimals` is what the lot has. */
export function quantity(value: number, decimals = 8): string {
  if (!Number.isFinite(value)) return MISSING;
  const size = Math.abs(value);
  const sign = value < 0 ? '-' : '';
  for (const [scale, unit] of SCALES) if (size >= scale * ROUNDS_UP) return sign + threeDigits(size / scale, 2) + unit;
  return sign + (size >= 1 || size === 0 ? threeDigits(size, decimals) : fraction(size, decimals));
}

function threeDigits(size: number, decimals: number): string {
  if (size === 0) return '0';
  return size.toFixed(Math.min(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2, decimals));
}

function fraction(size: number, decimals: number): string {
  const leading = -Math.floor(Math.log10(size)) - 1;
  return size.toFixed(Math.min(leading + 3, decimals, 12));
}

/** Delta: always signed, and zero is `0`, never `-0`. */
export function signed(value: number, decimals = 8): string {
  if (!Number.isFinite(value)) return MISSING;
  const text = quantity(value, decimals);
  if (Number(text) === 0) return '0';
  return value > 0 ? `+${text}` : text;
}

/** Quote-currency money, three significant digits. */
export const money = (value: number): string => quantity(value, 2);
export const signedMoney = (value: number): string => signed(value, 2);

/** Price with all decimals of the tick, so that points stand under each other; of a mid or an average, one more. */
export const price = (value: number | null, decimals: number): string => (value === null ? MISSING : value.toFixed(decimals));

/** Signed percent with two decimals; the caller prints the unit in the header where the column is dense. */
export function percent(value: number, decimals = 2): string {
  if (!Number.isFinite(value)) return MISSING;
  const text = value.toFixed(decimals);
  if (Number(text) === 0) return (0).toFixed(decimals);
  return value > 0 ? `+${text}` : text;
}

/** A share in percent without a sign: `0.62`, `12.4`, `140`. */
export function share(value: number): string {
  if (!Number.isFinite(value)) return MISSING;
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
}

/** A number in [-1, 1], always signed, two decimals. */
export const ratio = (value: number): string => percent(value, 2);

const two = (value: number): string => (value < 10 ? `0${value}` : String(value));

/** `HH:MM:SS.mmm` UTC. */
export function clock(ms: number): string {
  if (!Number.isFinite(ms) || ms <= 0) return MISSING;
  const inDay = ((ms % 86_400_000) + 86_400_000) % 86_400_000;
  const millis = Math.floor(inDay % 1000);
  return `${clockSeconds(ms)}.${String(millis).padStart(3, '0')}`;
}

/** `HH:MM:SS` UTC. */
export function clockSeconds(ms: number): string {
  const seconds = Math.floor((((ms % 86_400_000) + 86_400_000) % 86_400_000) / 1000);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** `HH:MM` UTC. */
export const clockMinutes = (ms: number): string => clockSeconds(ms).slice(0, 5);

/** `2026-11-21` UTC. */
export const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** How long ago or how long: `0.4 s`, `12 s`, `3 m`, `2 h`. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return MISSING;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 5970) return `${Math.round(seconds / 60)} m`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Amount as people type it: `3M`, `9.5k`, `250000`; undefined when it is none. */
export function parseAmount(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*([kmb]?)$/i.exec(text.trim().replaceAll(',', ''));
  if (!match) return undefined;
  const scale = { '': 1, k: 1e3, m: 1e6, b: 1e9 }[match[2]!.toLowerCase() as '' | 'k' | 'm' | 'b'];
  return Number(match[1]) * scale;
}
