/** What a symbol is about, as venues write it: BTCUSDT, BTCUSDT_260327, BTC-USDT-SWAP, BTCPERP, BTC-26DEC25, BTCUSDT-26DEC25. */

export interface Assets {
  base: string;
  quote: string;
}

export function assets(symbol: string): Assets {
  const [first = '', second = ''] = symbol.split('-');
  const dated = /^\d/.test(second);
  if (second && !dated) return { base: first, quote: second };
  const match = /^(.+?)(FDUSD|TUSD|BUSD|USDT|USDC|USD1|USD|PERP)(?:_\d+)?$/.exec(first);
  // Bybit's PERP settles in USDC, and so does what has nothing but a date.
  if (match) return { base: match[1]!, quote: match[2] === 'PERP' ? 'USDC' : match[2]! };
  return { base: first || 'base', quote: dated ? 'USDC' : 'quote' };
}
