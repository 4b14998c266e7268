/** What a pair's figures are, in rows: moments, lines, tests, ticks. Every row that cannot be had says why. */

import { clockSeconds, MISSING } from '../../core/format';
import {
  type Fit,
  known,
  type Moments,
  namesOf,
  type PairAnswer,
  type Statistics,
  type TickCorrelation,
  type UnitRoot,
  type Unknown,
  type Wish,
} from '../../data/study';
import { digits } from './spread';

export type Tone = 'plain' | 'good' | 'warn' | 'muted';

export interface Row {
  kind: 'head' | 'row' | 'note';
  label: string;
  cells: readonly string[];
  tone: Tone;
}

const head = (label: string, ...cells: string[]): Row => ({ kind: 'head', label, cells, tone: 'muted' });
const row = (label: string, cells: readonly string[], tone: Tone = 'plain'): Row => ({ kind: 'row', label, cells, tone });
const note = (label: string, tone: Tone = 'muted'): Row => ({ kind: 'note', label, cells: [], tone });

/** A p-value: nobody needs the eleventh decimal, and nothing is ever impossible. */
export const probability = (p: number): string => (p < 0.0001 ? '<0.0001' : p.toFixed(4));

export function reportOf(pair: PairAnswer, ticks: TickCorrelation | Unknown | undefined, wish: Wish): Row[] {
  return [...signal(pair, wish), ...statistics(pair), ...lines(pair, wish), ...tests(pair), ...togetherness(pair, ticks)];
}

function signal({ spread, doubts, sample }: PairAnswer, wish: Wish): Row[] {
  if (!known(spread)) return [head('signal'), note(spread.unknown, 'warn')];
  const { z, half_life: life } = spread;
  const bars = life.bars === null ? MISSING : `${life.bars.toFixed(1)} bars`;
  const bounds = life.bars === null ? life.reason : `95 %: ${life.low?.toFixed(1) ?? MISSING} to ${life.high?.toFixed(1) ?? 'no end'}`;
  const drift = spread.beta_drift_pct;
  return [
    head('signal'),
    row('z now', [z.newest === null ? z.reason : z.newest.toFixed(2), `${z.window} ${wish.tf} bars`]),
    row('half-life', [bars, bounds], life.bars === null ? 'warn' : 'plain'),
    row('β drift', [drift === null ? MISSING : `${drift.toFixed(1)} %`, `judged on the newer ${sample.n - spread.calibrated}`]),
    ...(doubts.length ? doubts.map((doubt) => note(`✕ ${doubt}`, 'warn')) : [note('✓ p, half-life, drift and the newer bars are within bounds; not corrected for having been picked from many', 'good')]),
  ];
}

function statistics(pair: PairAnswer): Row[] {
  const { x, y } = namesOf(pair);
  const [of_x, of_y] = [pair.x_statistics, pair.y_statistics];
  const columns: (Moments | undefined)[] = [of_y, of_x].flatMap((of) => (known(of) ? [of.close, of.log_return] : [undefined, undefined]));
  const figures: [string, keyof Moments][] = [['mean', 'mean'], ['median', 'median'], ['std', 'std'], ['min', 'min'], ['max', 'max'], ['skew', 'skew'], ['ex. kurtosis', 'kurtosis']];
  const shown = (value: number | null | undefined): string => (value === null || value === undefined ? MISSING : significant(value));
  const both = (print: (of: Statistics) => string): string[] => [of_y, of_x].flatMap((of) => [known(of) ? print(of) : MISSING, '']);
  return [
    head('closes and log returns', y, 'return', x, 'return'),
    row('n', columns.map((of) => of?.n.toLocaleString('en') ?? MISSING)),
    ...figures.map(([label, name]) => row(label, columns.map((of) => shown(of?.[name])))),
    row('volatility p.a.', [of_y, of_x].flatMap((of) => ['', known(of) && of.volatility_annual !== null ? `${(100 * of.volatility_annual).toFixed(1)} %` : MISSING])),
    row('trades', both((of) => of.trades?.toLocaleString('en') ?? MISSING)),
    row('volume, base', both((of) => (of.volume === null ? MISSING : significant(of.volume)))),
    ...[of_y, of_x].flatMap((of) => (known(of) ? [] : [note(of.unknown, 'warn')])),
  ];
}

const METHODS = { ols: 'OLS', huber: 'Huber', tls: 'TLS' };

function lines(pair: PairAnswer, wish: Wish): Row[] {
  const { x, y } = namesOf(pair);
  const title = head(`hedge ratio${wish.log ? ' of logs' : ''}, all bars`, 'β', 's.e.', 'α', 'R²', 'σ resid.');
  if (!known(pair.lines)) return [title, note(pair.lines.unknown, 'warn')];
  const cells = (fit: Fit): string[] => [
    digits(fit.beta),
    fit.beta_se === null ? MISSING : digits(fit.beta_se),
    digits(fit.alpha),
    fit.r2 === null ? MISSING : fit.r2.toFixed(4),
    digits(fit.residual_std),
  ];
  const { kalman } = pair;
  const newest = known(kalman) ? kalman.beta.at(-1) : undefined;
  return [
    title,
    ...pair.lines.map((fit) => row(`${METHODS[fit.method]}, ${fit.y === pair.y ? `${y} on ${x}` : `${x} on ${y}`}`, cells(fit))),
    row('Kalman, newest', newest === null || newest === undefined ? [MISSING] : [digits(newest)]),
    note('s.e. take residuals for independent, which those of prices are not'),
  ];
}

function tests(pair: PairAnswer): Row[] {
  const { x, y } = namesOf(pair);
  const title = head('roots and cointegration', 'statistic', 'p', '1 %', '5 %', '10 %', 'lags');
  const of = (label: string, test: UnitRoot): Row =>
    row(
      label,
      [test.statistic.toFixed(2), probability(test.p), ...(['1%', '5%', '10%'] as const).map((level) => test.critical[level].toFixed(2)), String(test.lags)],
      test.rejects_at_5pct ? 'good' : 'plain',
    );
  const rows: Row[] = [title];
  for (const [name, adf] of [[y, pair.y_adf], [x, pair.x_adf]] as const) {
    if (known(adf)) rows.push(of(`ADF ${name}`, adf.level), of(`ADF Δ${name}`, adf.change));
    else rows.push(note(`ADF ${name}: ${adf.unknown}`, 'warn'));
  }
  const { cointegration } = pair;
  if (!known(cointegration)) return [...rows, note(cointegration.unknown, 'warn')];
  const { y_on_x, x_on_y, johansen } = cointegration;
  rows.push(of(`EG ${y} on ${x}`, y_on_x), of(`EG ${x} on ${y}`, x_on_y), note(`n ${y_on_x.n.toLocaleString('en')}; lags: ${y_on_x.lag_rule}; EG by its own critical values (MacKinnon 2010); tinted: rejects at 5 %`));
  rows.push(head('Johansen, trace', 'statistic', '', '1 %', '5 %', '10 %', 'lags'));
  johansen.trace.forEach((statistic, k) => {
    const [ten, five, one] = johansen.trace_critical[k]!.map((value) => value.toFixed(2));
    rows.push(row(`r ≤ ${k}`, [statistic.toFixed(2), '', one!, five!, ten!, String(johansen.lag_differences)], statistic > Number(five) ? 'good' : 'plain'));
  });
  rows.push(note(`${johansen.rank_at_5pct} of 2 relations at 5 %${johansen.rank_at_5pct === 2 ? ': both series would be stationary' : ''}`));
  return rows;
}

function togetherness(pair: PairAnswer, ticks: TickCorrelation | Unknown | undefined): Row[] {
  const rows: Row[] = [head('correlation of returns', 'r', 'low', 'high', 'n')];
  const { correlation } = pair;
  const r = (value: number | null): string => (value === null ? MISSING : value.toFixed(3));
  if (known(correlation)) rows.push(row('bars, Pearson', [r(correlation.r), r(correlation.low_all), r(correlation.high_all), correlation.n.toLocaleString('en')]));
  else rows.push(note(correlation.unknown, 'warn'));
  if (!ticks) return [...rows, note('ticks: computing…')];
  if (!known(ticks)) return [...rows, note(`ticks: ${ticks.unknown}`, 'warn')];
  const { without_grid: whole } = ticks;
  rows.push(row('ticks, Hayashi–Yoshida', [r(whole.r), '', '', Math.min(whole.n_x, whole.n_y).toLocaleString('en')]));
  for (const grid of ticks.on_grids) {
    const every = grid.grid_ms < 60_000 ? `${grid.grid_ms / 1000} s` : `${grid.grid_ms / 60_000} m`;
    rows.push(row(`ticks each ${every}`, grid.r === null ? [MISSING, '', '', grid.n.toLocaleString('en')] : [r(grid.r), r(grid.low), r(grid.high), grid.n.toLocaleString('en')]));
  }
  const of = ticks.x_of === ticks.y_of ? ticks.x_of : `${ticks.y_of} and ${ticks.x_of}`;
  rows.push(note(`${of}, ${clockSeconds(ticks.first_ms)} to ${clockSeconds(ticks.last_ms)}; fine grids pull r to zero (Epps)`));
  return rows;
}

/** Six significant digits, of parts of one four; very small and very large ones by their power of ten. */
function significant(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return '0';
  return size < 1e-2 || size >= 1e7 ? value.toExponential(3) : size >= 1e5 ? Math.round(value).toLocaleString('en') : value.toPrecision(size < 1 ? 4 : 6);
}
