/** The pair over time: both prices, the spread hedged and not, and how far out the hedged one is. */

import { theme } from '../../core/theme';
import { known, namesOf, type PairAnswer, type Wish } from '../../data/study';
import type { Panes } from './panes';
import { StackPanel } from './stack';

/** Scores that are called far out. */
const FAR = 2;

export class SpreadPanel extends StackPanel {
  readonly id = 'spread';
  readonly perfName = 'spread';

  protected panes(pair: PairAnswer, wish: Wish): Panes {
    const { accent, amber, text, neutral, muted } = theme.get();
    const { x, y } = namesOf(pair);
    const { spread } = pair;
    const found = known(spread) ? spread : undefined;
    const why = known(spread) ? {} : { empty: spread.unknown };
    const unit = wish.log ? 'log' : 'quote';
    return {
      times: pair.open_ms.map((ms) => ms + pair.sample.tf_ms),
      barMs: pair.sample.tf_ms,
      ...(found ? { fitted: found.calibrated } : {}),
      panes: [
        {
          title: 'since the first bar, %',
          weight: 3,
          traces: [
            { name: y, colour: amber, values: sinceFirst(pair.y_close) },
            { name: x, colour: accent, values: sinceFirst(pair.x_close) },
          ],
          print: (value) => value.toFixed(2),
        },
        {
          title: found ? `hedged, ${unit}: ${y} ${less(found.fit.beta)} ${x} ${less(found.fit.alpha)}` : 'hedged spread',
          weight: 3,
          traces: [{ name: '', colour: text, values: found?.values ?? [] }],
          levels: [{ value: 0, name: '' }],
          print: digits,
          ...why,
        },
        {
          title: `unhedged, ${unit}: ${y} − ${x}`,
          weight: 2,
          traces: [{ name: '', colour: muted, values: found?.unhedged ?? [] }],
          print: digits,
          ...why,
        },
        {
          title: `z of the hedged spread, ${wish.window} bars, ${wish.center === 'mean' ? 'mean and s.d.' : 'median and MAD'}`,
          weight: 3,
          traces: [{ name: '', colour: neutral, values: found?.z.values ?? [] }],
          levels: [
            { value: FAR, name: '' },
            { value: 0, name: '' },
            { value: -FAR, name: '' },
          ],
          print: (value) => value.toFixed(2),
          ...why,
        },
      ],
    };
  }

  protected override foot(pair: PairAnswer, wish: Wish): string {
    const { spread } = pair;
    const fitted = known(spread) ? ` · line fitted on the first ${spread.calibrated.toLocaleString('en')} (tinted)` : '';
    return super.foot(pair, wish) + fitted;
  }
}

/** A term that is subtracted, with its own sign. */
const less = (value: number): string => `${value < 0 ? '+' : '−'} ${Math.abs(value).toPrecision(4)}`;

const sinceFirst = (values: readonly number[]): number[] => values.map((value) => (value / values[0]! - 1) * 100);

/** Four significant digits, whatever the scale of a spread. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 0.001 && size < 1e6 ? value.toPrecision(4) : value.toExponential(2);
}
