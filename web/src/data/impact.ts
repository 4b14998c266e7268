/** A market order walked through the live book, as the server tells it. */

/** `GET /api/impact`: quantities in base units, prices and money in quote currency. */
export interface Impact {
  exchange: string;
  symbol: string;
  ts: number;
  side: 'buy' | 'sell';
  size: number;
  mid_price: number;
  avg_price: number | null;
  marginal_price: number | null;
  slippage: number | null;
  slippage_bps: number | null;
  fee_bps: number;
  fee: number;
  cost_bps: number | null;
  levels_consumed: number;
  filled: number;
  unfilled: number;
  notional: number;
  known_depth: number;
  complete: boolean;
  /** Why a part stays unfilled. */
  reason: string | null;
  /** Levels hit, best first. */
  path: [price: number, quantity: number][];
  model: { low_bps: number | null; high_bps: number | null; sigma_day: number | null; reason: string | null };
}
