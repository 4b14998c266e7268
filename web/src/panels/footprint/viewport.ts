/** Where candles and prices lie on the pane: a linear time axis in candles and a linear price axis in ticks. */

export interface Extent {
  low: number;
  high: number;
}

const MIN_WIDTH = 3;
const MAX_WIDTH = 240;
/** Empty room right of the newest candle, in candles. */
const MARGIN = 0.25;
/** Room above and below the prices shown, for the candle's own header. */
const HEADROOM_PX = 22;
/** An automatic range is kept while the prices fit it and fill this share of it: no jumping with every trade. */
const FILL_AT_LEAST = 0.55;
/** From this height rows are whole pixels: figures then stand on even lines. */
const WHOLE_ROWS_FROM = 7;

export class Viewport {
  /** Pixels from one candle to the next. */
  candleWidth = 96;
  /** Index (newest candle 0, older negative) at the right edge of the pane. */
  right = 1 + MARGIN;
  /** Price at the upper edge of the pane, and pixels a tick. */
  top = 0;
  perTick = 0;
  auto = true;

  width = 0;
  height = 0;
  #step = 1;

  get following(): boolean {
    return this.right >= 1;
  }

  get stepPx(): number {
    return this.candleWidth;
  }

  get rowHeight(): number {
    return this.perTick * this.#step;
  }

  /** Left edge of the candle with this index. */
  x(index: number): number {
    return Math.round(this.width - (this.right - index) * this.candleWidth);
  }

  indexAt(x: number): number {
    return Math.floor(this.right - (this.width - x) / this.candleWidth);
  }

  y(price: number): number {
    return (this.top - price) * this.perTick;
  }

  priceAt(y: number): number {
    return this.top - y / this.perTick;
  }

  /** Indices of the candles that touch the pane. */
  visible(): { first: number; last: number } {
    return { first: Math.floor(this.right - this.width / this.candleWidth), last: Math.min(0, Math.ceil(this.right) - 1) };
  }

  /** A new candle opened: stay at the newest, or stay at the same old ones. */
  advance(candles: number): void {
    if (!this.following) this.right -= candles;
  }

  zoomTime(factor: number, x: number): void {
    const anchor = this.following ? this.width : x;
    const index = this.right - (this.width - anchor) / this.candleWidth;
    this.candleWidth = clamp(this.candleWidth * factor, MIN_WIDTH, MAX_WIDTH);
    this.right = index + (this.width - anchor) / this.candleWidth;
  }

  zoomPrice(factor: number, y: number): void {
    const price = this.priceAt(y);
    this.auto = false;
    this.perTick = clamp(this.perTick * factor, 0.5 / this.#step / 4, 60 / this.#step);
    this.top = price + y / this.perTick;
  }

  /** Move the picture with the hand; `oldest` keeps at least one candle in sight. */
  pan(dx: number, dy: number, oldest: number): void {
    this.right = clamp(this.right - dx / this.candleWidth, oldest + 1, this.width / this.candleWidth + MARGIN);
    if (dy === 0) return;
    this.auto = false;
    this.top += dy / this.perTick;
  }

  /** Newest candle at the right, prices to fit. */
  follow(): void {
    this.right = 1 + MARGIN;
    this.auto = true;
    this.perTick = 0;
  }

  /** Fit the price axis to what is visible, unless a hand has set it or it still fits. */
  fit(extent: Extent | undefined, step: number): void {
    const rebinned = step !== this.#step;
    this.#step = step;
    if (!extent || !this.auto || this.height <= 0) return;
    const low = Math.floor(extent.low / step) * step;
    const high = (Math.floor(extent.high / step) + 1) * step;
    if (!rebinned && this.#holds(low, high)) return;
    const room = Math.max(40, this.height - 2 * HEADROOM_PX);
    const rows = Math.max((high - low) / step, 4);
    const row = Math.min(room / rows, 26);
    this.perTick = (row >= WHOLE_ROWS_FROM ? Math.floor(row) : row) / step;
    this.top = Math.ceil(((low + high) / 2 + this.height / 2 / this.perTick) / step) * step;
  }

  #holds(low: number, high: number): boolean {
    if (this.perTick <= 0) return false;
    const upper = this.y(high);
    const lower = this.y(low);
    const tallest = 26 * 1.01;
    const fills = lower - upper >= FILL_AT_LEAST * this.height || this.rowHeight >= tallest - 1.5;
    return upper >= HEADROOM_PX * 0.6 && lower <= this.height - HEADROOM_PX * 0.3 && fills;
  }
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
