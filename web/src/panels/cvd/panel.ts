/** Price and CVD of one coin on every venue, a toggle for each, their sum, and where flow and price disagree. */

import { MISSING, percent, signed, signedMoney } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { settings } from '../../core/settings';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { Cvd, type DivergenceCell } from '../../data/cvd';
import { allVenues } from '../../data/derivs';
import { type Box, type Line, lineColours, paintLines } from '../lines';

const WINDOWS = ['60s', '5m', '15m', '1h'] as const;
const COLUMNS: GridColumn[] = [
  { id: 'on', title: '', width: 18, align: 'center' },
  { id: 'market', title: 'market', width: 155, grow: 2, align: 'left' },
  { id: 'net', title: 'net', width: 56, grow: 1, align: 'right', hint: 'Bought minus sold from the left edge on' },
  ...WINDOWS.map((window, k): GridColumn => ({ id: window, title: window, width: 110, grow: 1, align: 'left', ...(k === 2 ? { drop: 1 } : k === 3 ? { drop: 2 } : {}) })),
];
const ROWS_SHOWN = 7;
/** Room that the charts keep, where there is any. */
const CHARTS_PX = 150;

interface Row {
  /** Position of the market, or undefined for a sum or a pair. */
  market: number | undefined;
  name: string;
  net: number | null;
  windows: DivergenceCell[];
  why: string;
}

export class CvdPanel extends GridPanel {
  readonly id = 'cvd';
  readonly perfName = 'cvd';
  readonly maxHz = 2;
  protected readonly continuous = true;
  protected readonly grid = new TextGrid(COLUMNS);

  readonly #data = new Cvd();
  #rows: Row[] = [];
  #asked = '';
  #leave: () => void = () => {};

  protected override start(): void {
    super.start();
    this.#ask();
    this.keep(this.look.onChange(() => this.#ask()));
    this.keep(settings.onChange(() => this.#ask()));
    this.keep(() => this.#leave());
  }

  #ask(): void {
    const { exchange, symbol } = this.look.get();
    const { span, unit } = settings.get().cvd;
    const asked = `${exchange}:${symbol}:${span}:${unit}`;
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#leave();
      this.#data.meta = undefined;
      this.#rows = [];
      this.outdate();
      this.context.set(`${symbol} · ${span}`);
      this.#leave = this.listen('cvd', { exchange, symbol, span, unit }, (frame) => {
        this.#data.onFrame(frame);
        this.#select();
      });
    }
    this.#select();
    this.invalidate(true);
  }

  /** Which markets are switched on. */
  #on(): number[] {
    const { hidden } = settings.get().cvd;
    return (this.#data.meta?.markets ?? []).flatMap((one, k) => (hidden.includes(`${one.exchange}:${one.symbol}`) ? [] : [k]));
  }

  #select(): void {
    const { meta } = this.#data;
    if (!meta) return;
    const { divergences } = meta;
    const last = (values: (number | null)[]): number | null => values.at(-1) ?? null;
    const rows: Row[] = meta.markets.map((one, k) => {
      const told = divergences.markets.find((other) => other.exchange === one.exchange && other.symbol === one.symbol);
      return { market: k, name: `${one.exchange} ${one.symbol}`, net: last(this.#data.cvd(k)), windows: told?.windows ?? [], why: '' };
    });
    const on = this.#on();
    if (meta.markets.length > 1) {
      const all = divergences.together.find((group) => group.group === 'all');
      const every = on.length === meta.markets.length;
      const name = `merged ${on.length} of ${meta.markets.length}`;
      rows.push({ market: undefined, name, net: last(this.#data.merged(on)), windows: every ? (all?.windows ?? []) : [], why: every ? '' : 'of all markets only' });
    }
    for (const pair of divergences.across) {
      if (pair.a === 'perp' || meta.markets.length <= 3) rows.push({ market: undefined, name: pair.a === 'perp' ? 'perp | spot' : `vs ${pair.b.replace(':', ' ')}`, net: null, windows: pair.windows, why: '' });
    }
    for (const gone of meta.missing) rows.push({ market: undefined, name: `${gone.exchange} ${gone.symbol}`, net: null, windows: [], why: gone.why });
    const fewer = rows.length !== this.#rows.length;
    this.#rows = rows;
    this.context.set(`${meta.symbol} · ${meta.markets.length} of its markets · CVD in ${meta.unit} from the left edge · divergence of price and flow, z in brackets`);
    if (fewer) this.reset();
  }

  protected override venues(): readonly string[] {
    return allVenues();
  }

  protected count(): number {
    return this.#rows.length;
  }

  protected emptySentence(): string {
    return 'no market of this coin has traded yet';
  }

  protected onRow(row: number): void {
    const { market } = this.#rows[row]!;
    const head = market === undefined ? undefined : this.#data.meta?.markets[market];
    if (!head) return;
    const name = `${head.exchange}:${head.symbol}`;
    const { cvd } = settings.get();
    const hidden = cvd.hidden.includes(name) ? cvd.hidden.filter((other) => other !== name) : [...cvd.hidden, name];
    settings.update({ cvd: { ...cvd, hidden } });
  }

  protected override gridSize(): { width: number; height: number } {
    const room = Math.floor((this.height - CHARTS_PX - this.grid.headerHeight) / this.grid.rowHeight);
    const rows = Math.max(2, Math.min(ROWS_SHOWN, this.#rows.length, room));
    return { width: this.width, height: Math.min(this.height, this.grid.headerHeight + rows * this.grid.rowHeight + 2) };
  }

  protected override paint(context: CanvasRenderingContext2D, now: number): void {
    super.paint(context, now);
    const { height } = this.gridSize();
    const rest = this.height - height;
    context.fillStyle = theme.get().bg;
    context.fillRect(0, height, this.width, rest);
    if (rest < 60) return;
    const upper = Math.round(rest * 0.45);
    const prices: Box = { x: 0, y: height, width: this.width, height: upper };
    const flows: Box = { x: 0, y: height + upper, width: this.width, height: rest - upper };
    const { meta } = this.#data;
    const colours = lineColours(theme.get());
    const colour = (k: number): string => colours[k % colours.length]!;
    const on = this.#on();
    const line = (k: number, values: readonly (number | null)[]): Line => ({
      name: this.#rows[k]?.name ?? '',
      colour: colour(k),
      points: this.#data.steps.map((ts, step) => ({ ts, value: values[step] ?? null })),
    });
    // A quarterly stands percents above: in one scale with it the others would be one flat line.
    const priced = on.filter((k) => meta?.markets[k]?.kind !== 'future' || on.length === 1);
    const decimals = Math.max(0, ...(meta?.markets ?? []).map((one) => one.decimals));
    const empty = meta ? 'a line needs two steps' : 'waiting for the first snapshot';
    const known = (values: readonly number[]): (number | null)[] => values.map((value) => (Number.isNaN(value) ? null : value));
    paintLines(
      context,
      prices,
      { title: 'last price', print: (value) => value.toFixed(decimals), lines: priced.map((k) => line(k, known(this.#data.price[k] ?? []))), empty },
      theme.get(),
    );
    const lines = on.map((k) => line(k, this.#data.cvd(k)));
    if (on.length > 1) {
      const sums = this.#data.merged(on);
      lines.push({ name: `merged ${on.length}`, colour: theme.get().text, width: 2, points: this.#data.steps.map((ts, step) => ({ ts, value: sums[step]! })) });
    }
    const print = settings.get().cvd.unit === 'usd' ? signedMoney : (value: number): string => signed(value, 3);
    paintLines(context, flows, { title: `CVD ${meta?.unit ?? ''}`, print, lines, levels: [{ value: 0, name: '' }], empty }, theme.get());
  }

  protected writeRow: WriteRow = (index, put) => {
    const row = this.#rows[index]!;
    const { text, muted, buy, sell, bg } = theme.get();
    const colours = lineColours(theme.get());
    const on = row.market !== undefined && this.#on().includes(row.market);
    put('on', row.market === undefined ? '' : on ? '●' : '○', row.market === undefined ? muted : colours[row.market % colours.length]!);
    put('market', row.name, row.market === undefined || on ? text : muted);
    const print = settings.get().cvd.unit === 'usd' ? signedMoney : (value: number): string => signed(value, 3);
    put('net', row.net === null ? '' : print(row.net), row.net === null ? muted : row.net > 0 ? buy : row.net < 0 ? sell : muted);
    WINDOWS.forEach((window, k) => {
      const cell = row.windows.find((one) => one.window === window);
      const { words, colour } = this.#cell(cell);
      put(window, cell ? words : k === 0 ? row.why : '', cell ? colour : muted);
    });
    return this.rowStyle(index, row.name.startsWith('merged') ? mix(text, 0.05, bg) : bg, -Infinity, 0, '');
  };

  #cell(cell: DivergenceCell | undefined): { words: string; colour: string } {
    const { buy, sell, accent, amber, muted } = theme.get();
    if (!cell) return { words: '', colour: muted };
    if (cell.state === null) return { words: `${MISSING} ${short(cell)}`, colour: muted };
    const colour = { BULLISH: buy, BEARISH: sell, ALIGNED: accent, SPLIT: amber, TOGETHER: accent }[cell.state] ?? muted;
    return { words: `${cell.state} (${cell.z === null ? MISSING : percent(cell.z, 1)})`, colour };
  }

  protected rawRow(row: number): unknown {
    return this.#rows[row];
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    const { meta, steps, price, net } = this.#data;
    const series = (meta?.markets ?? []).map((one, k) => ({ ...one, price: price[k], net: net[k], cvd: this.#data.cvd(k) }));
    return { ...super.snapshot(), meta: meta ?? null, steps, series, merged: this.#data.merged(this.#on()) };
  }
}

/** Why a state is missing, in the room of a cell; the API has the whole sentence. */
function short(cell: DivergenceCell): string {
  return cell.why?.startsWith('significance') ? `${cell.windows}/8 windows` : 'too short';
}
