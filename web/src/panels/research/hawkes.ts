/** Buys and sells that set each other off: the fitted intensity beside what arrived, and how well it fits. */

import { getJson, Refusal } from '../../core/access';
import { clockSeconds, day } from '../../core/format';
import { Hand } from '../../core/hand';
import { CanvasPanel, type Shown } from '../../core/panel';
import { mix, theme } from '../../core/theme';
import { sentence } from '../../data/study';
import { type Box, paintText } from '../features/paint';
import { type Panes, paintPanes, paintWhy, plotWidth } from './panes';
import { probability } from './report';
import { TimeView } from './timeview';

interface Answer {
  n_buys: number;
  n_sells: number;
  span_s: number;
  mu: [number, number];
  branching: [[number, number], [number, number]];
  half_life_s: number;
  spectral_radius: number;
  stable: boolean;
  endogenous_share: number;
  log_likelihood: number;
  log_likelihood_poisson: number;
  goodness: { statistic: number; p: number; n: number }[];
  converged: boolean;
  tied: number;
  cell_ms: number[];
  intensity: [number[], number[]];
  rate: [number[], number[]];
  waits: [number[], number[]];
}

/** Minutes of stored trades that are asked for; the newest 20,000 of them are fitted. */
const MINUTES = 60;
const ASK_EVERY_MS = 60_000;
/** While too few trades are stored. */
const LOOK_EVERY_MS = 10_000;
const TEXT_PX = 270;
const LINE_PX = 15;

export class HawkesPanel extends CanvasPanel {
  readonly id = 'hawkes';
  readonly perfName = 'hawkes';
  readonly maxHz = 10;
  protected readonly continuous = false;

  readonly #view = new TimeView();
  #hand: Hand | undefined;
  #answer: Answer | undefined;
  #at = 0;
  #why = '';
  /** Events of the rarer side there are, of how many it takes, where that is what is missing. */
  #short = '';
  #asked = '';
  #asking = false;

  protected start(): void {
    this.#hand = new Hand(this.canvas, this.#view, { oldest: () => 0, moved: () => this.invalidate(true), pointed: () => this.invalidate(true) });
    const timer = setInterval(() => this.#isDue() && void this.#ask(), LOOK_EVERY_MS);
    this.keep(() => clearInterval(timer));
    this.keep(this.look.onChange(() => this.#onLook()));
    this.#onLook();
  }

  protected reset(): void {}

  override onKey(event: KeyboardEvent): boolean {
    return this.#hand!.key(event.key, event.shiftKey);
  }

  #onLook(): void {
    const { exchange, symbol } = this.look.get();
    if (`${exchange}:${symbol}` === this.#asked) return;
    this.#asked = `${exchange}:${symbol}`;
    this.#answer = undefined;
    this.#why = this.#short = '';
    this.outdate();
    this.context.set(`${symbol} · ${exchange} · stored trades of the newest ${MINUTES} minutes · descriptive`);
    this.invalidate(true);
  }

  #isDue(): boolean {
    return this.visible() && (!this.#answer || Date.now() - this.#at >= ASK_EVERY_MS - LOOK_EVERY_MS / 2);
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const { exchange, symbol } = this.look.get();
    const asked = this.#asked;
    try {
      const { result, server_ts } = await getJson<{ result: Answer; server_ts: number }>('/api/analytics/hawkes', { exchange, symbol, bars: String(MINUTES) });
      if (asked === this.#asked) this.#take(result, server_ts);
    } catch (error) {
      if (asked === this.#asked) {
        [this.#answer, this.#why] = [undefined, sentence(error)];
        this.#short = error instanceof Refusal && error.need !== undefined ? `WAITING ${error.have} of ${error.need} a side` : '';
      }
    }
    this.#asking = false;
    if (asked !== this.#asked) return this.invalidate(true);
    this.touch(performance.now());
    this.judge();
  }

  #take(answer: Answer, at: number): void {
    [this.#answer, this.#why, this.#short, this.#at] = [answer, '', '', at];
    const step = answer.cell_ms[1]! - answer.cell_ms[0]!;
    this.#view.bind(answer.cell_ms[0]! - step, answer.cell_ms.at(-1)!, step);
  }

  override judge(): void {
    super.judge();
    if (this.health.get().state === 'disconnected' || (!this.#answer && !this.#why)) return;
    const state = this.#short ? 'waiting' : this.#why ? 'stale' : 'live';
    const text = this.#short ? this.#short : this.#why ? 'NO ANSWER' : `AS OF ${clockSeconds(this.#at)}`;
    if (this.health.get().text !== text) this.health.set({ state, text });
    this.root.dataset['state'] = state;
  }

  protected paint(context: CanvasRenderingContext2D): void {
    const colours = theme.get();
    context.fillStyle = colours.bg;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = 'alphabetic';
    const answer = this.#answer;
    if (!answer && !this.#why) void this.#ask(); // behind another tab nobody wants to know
    if (!answer) return paintWhy(context, { x: 0, y: 0, width: this.width, height: this.height }, '', this.#why || 'fitting…', colours);
    const beside = this.width > 2.2 * TEXT_PX;
    const charts = { x: 0, y: 0, width: beside ? this.width - TEXT_PX : this.width, height: this.height };
    this.#view.width = plotWidth(charts.width);
    this.#view.height = charts.height;
    const pointer = this.#hand!.pointer;
    paintPanes(context, charts, this.#panes(answer), this.#view, colours, pointer && pointer.x < this.#view.width ? this.#view.at(pointer.x) : undefined);
    if (beside) this.#paintText(context, { x: charts.width, y: 0, width: TEXT_PX, height: this.height }, answer);
  }

  #panes(answer: Answer): Panes {
    const { buy, sell, bg } = theme.get();
    const step = answer.cell_ms[1]! - answer.cell_ms[0]!;
    const pane = (name: string, i: 0 | 1, colour: string): Panes['panes'][number] => ({
      title: `${name} a second`,
      weight: 1,
      traces: [
        { name: `arrived, by ${(step / 1000).toFixed(1)} s`, colour: mix(colour, 0.35, bg), values: answer.rate[i], bars: true },
        { name: 'λ', colour, values: answer.intensity[i] },
      ],
      print: (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3)),
    });
    return { times: answer.cell_ms, barMs: step * 1.5, panes: [pane('buys', 0, buy), pane('sells', 1, sell)] };
  }

  #lines(answer: Answer): [string, string, boolean?][] {
    const [[bb, bs], [sb, ss]] = answer.branching;
    const [buys, sells] = answer.goodness;
    const share = (value: number): string => value.toFixed(2);
    return [
      ['events', `${answer.n_buys.toLocaleString('en')} buys, ${answer.n_sells.toLocaleString('en')} sells`],
      ['span', `${(answer.span_s / 60).toFixed(1)} min`],
      ['one at a time', `${answer.tied.toLocaleString('en')} tied left out`],
      ['μ a second', `${answer.mu[0].toPrecision(3)}, ${answer.mu[1].toPrecision(3)}`],
      ['buy sets off', `${share(bb)} buys, ${share(sb)} sells`],
      ['sell sets off', `${share(bs)} buys, ${share(ss)} sells`],
      ['half-life', `${answer.half_life_s.toPrecision(3)} s`],
      ['set off', `${(100 * answer.endogenous_share).toFixed(0)} % of all`],
      ['branching', `${share(answer.spectral_radius)}${answer.stable ? '' : ', not stable'}`, !answer.stable],
      ['log-lik. gain', (answer.log_likelihood - answer.log_likelihood_poisson).toFixed(0)],
      ['KS p buys', `${probability(buys!.p)}, n ${buys!.n.toLocaleString('en')}`, buys!.p < 0.05],
      ['KS p sells', `${probability(sells!.p)}, n ${sells!.n.toLocaleString('en')}`, sells!.p < 0.05],
      ['search', answer.converged ? 'converged' : 'did not converge', !answer.converged],
    ];
  }

  #paintText(context: CanvasRenderingContext2D, box: Box, answer: Answer): void {
    const { text, muted, neutral, border } = theme.get();
    context.fillStyle = border;
    context.fillRect(box.x, 0, 1, box.height);
    const lines = this.#lines(answer);
    lines.forEach(([label, value, warn], k) => {
      const y = box.y + 15 + k * LINE_PX;
      if (y > box.height) return;
      paintText(context, label, box.x + 8, y, 94, 11, muted);
      paintText(context, value, box.x + 102, y, box.width - 108, 11, warn ? neutral : text);
    });
    const top = box.y + 15 + lines.length * LINE_PX + 4;
    const side = Math.min(box.width - 24, box.height - top - 18);
    if (side > 70) this.#paintFit(context, { x: box.x + 12, y: top, width: side, height: side }, answer);
  }

  /** Quantiles of the rescaled waits against those of the exponential: a good fit lies on the diagonal. */
  #paintFit(context: CanvasRenderingContext2D, box: Box, answer: Answer): void {
    const { buy, sell, border, faint, muted, bg } = theme.get();
    const wanted = answer.waits[0].map((_, k) => -Math.log(1 - (k + 1) / 100));
    const most = wanted.at(-1)!;
    const at = (value: number): number => Math.min(1, value / most);
    context.fillStyle = bg;
    context.fillRect(box.x, box.y, box.width, box.height);
    context.strokeStyle = border;
    context.strokeRect(box.x + 0.5, box.y + 0.5, box.width, box.height);
    context.strokeStyle = faint;
    context.beginPath();
    context.moveTo(box.x, box.y + box.height);
    context.lineTo(box.x + box.width, box.y);
    context.stroke();
    answer.waits.forEach((waits, side) => {
      context.fillStyle = side ? sell : buy;
      waits.forEach((wait, k) => context.fillRect(box.x + at(wanted[k]!) * box.width - 1, box.y + (1 - at(wait)) * box.height - 1, 2, 2));
    });
    paintText(context, 'Q-Q of waits', box.x, box.y + box.height + 12, box.width + 12, 10, muted);
  }

  protected override parameters(): Record<string, string> {
    return { ...super.parameters(), ...Object.fromEntries((this.#answer ? this.#lines(this.#answer) : []).map(([label, value]) => [label, value])) };
  }

  snapshot(): object {
    return { rows: this.#answer ? this.#lines(this.#answer).map(([label, value]) => [label, value]) : [], raw: this.#answer ?? null, why: this.#why, context: this.context.get(), state: this.health.get().state };
  }

  override table(): Shown | undefined {
    const answer = this.#answer;
    if (!answer) return undefined;
    const columns = ['end_ms', 'end', 'buys a second', 'intensity of buys', 'sells a second', 'intensity of sells'];
    const rows = answer.cell_ms.map((ms, k) => [ms, `${day(ms)} ${clockSeconds(ms)}`, answer.rate[0][k]!, answer.intensity[0][k]!, answer.rate[1][k]!, answer.intensity[1][k]!]);
    return { columns, rows };
  }
}
