/** Symbols by name: what begins with the text first, then what contains it; the most traded first within each. */

const SHOWN = 100;

export function search(symbols: readonly string[], volume: ArrayLike<number>, text: string): number[] {
  const wanted = text.trim().toUpperCase();
  const known = (index: number): number => (Number.isNaN(volume[index]!) ? -1 : volume[index]!);
  const rank = (index: number): number => (symbols[index]!.toUpperCase().startsWith(wanted) ? 0 : 1);
  return symbols
    .map((_, index) => index)
    .filter((index) => symbols[index]!.toUpperCase().includes(wanted))
    .sort((a, b) => rank(a) - rank(b) || known(b) - known(a))
    .slice(0, SHOWN);
}
