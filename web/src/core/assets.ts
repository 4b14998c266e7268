/** What a symbol is about, as venues write it: BTCUSDT, BTCUSDT_260327, BTC-USDT-SWAP, BTCPERP. */

export interface Assets {
  base: string;
  quote: string;
}

export function assets(symbol: string): Assets {
  const [first, second] = symbol.split('-');
  if (first && second) return { base: first, quote: second };
  const match = /^(.+?)(FDUSD|BUSD|USDT|USDC|USD|PERP)(?:_\d+)?$/.exec(symbol);
  if (!match) return { base: symbol || 'base', quote: 'quote' };
  // Bybit's PERP settles in USDC.
  return { base: match[1]!, quote: match[2] === 'PERP' ? 'USDC' : match[2]! };
}
