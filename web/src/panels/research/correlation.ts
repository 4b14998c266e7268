/** How the two move together and how that changes: rolling correlation with its band, and the hedge ratio as it drifts. */

import { theme } from '../../core/theme';
import { type Figures, known, namesOf, type PairAnswer, type Wish } from '../../data/study';
import type { Pane, Panes } from './panes';
import { digits } from './spread';
import { StackPanel } from './stack';

export class CorrelationPanel extends StackPanel {
  readonly id = 'correlation';
  readonly perfName = 'correlation';

  protected panes(pair: PairAnswer, wish: Wish): Panes {
    return {
      times: pair.open_ms.map((ms) => ms + pair.sample.tf_ms),
      barMs: pair.sample.tf_ms,
      panes: [rolling(pair, wish), drifting(pair)],
    };
  }

  protected override foot(pair: PairAnswer, wish: Wish): string {
    const { correlation } = pair;
    if (!known(correlation) || correlation.r === null) return super.foot(pair, wish);
    const [r, low, high] = [correlation.r, correlation.low_all!, correlation.high_all!].map((value) => value.toFixed(3));
    return `${super.foot(pair, wish)} · all ${correlation.n.toLocaleString('en')} returns: r ${r} [${low}, ${high}]`;
  }
}

function rolling({ correlation }: PairAnswer, wish: Wish): Pane {
  const { accent } = theme.get();
  const found = known(correlation) ? correlation : undefined;
  // A return ends with its second bar: the first bar has none.
  const shifted = (values: Figures): Figures => [null, ...values];
  return {
    title: `correlation of log returns, ${wish.returns} at a time, 95 % band`,
    weight: 3,
    traces: [{ name: 'r', colour: accent, values: found ? shifted(found.rolling) : [] }],
    ...(found ? { band: { low: shifted(found.low), high: shifted(found.high), colour: accent } } : { empty: (correlation as { unknown: string }).unknown }),
    levels: [{ value: 0, name: '' }],
    print: (value) => value.toFixed(2),
  };
}

function drifting(pair: PairAnswer): Pane {
  const { amber } = theme.get();
  const { x, y } = namesOf(pair);
  const { kalman, lines } = pair;
  const ols = known(lines) ? lines.find((line) => line.method === 'ols') : undefined;
  return {
    title: `hedge ratio ${y} / ${x}${known(kalman) ? `, δ ${kalman.delta}` : ''}`,
    weight: 2,
    traces: [{ name: 'Kalman', colour: amber, values: known(kalman) ? kalman.beta : [] }],
    ...(ols ? { levels: [{ value: ols.beta, name: `OLS ${digits(ols.beta)}` }] } : {}),
    ...(known(kalman) ? {} : { empty: kalman.unknown }),
    print: digits,
  };
}
