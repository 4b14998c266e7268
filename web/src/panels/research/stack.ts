/** A research panel of charts over time: wheel and drag move it, the pointer marks one moment in all of them. */

import { Hand } from '../../core/hand';
import type { Shown } from '../../core/panel';
import { theme } from '../../core/theme';
import { cursor, type PairAnswer, study, type Wish } from '../../data/study';
import type { Box } from '../features/paint';
import { ResearchPanel } from './panel';
import { nearest, type Panes, paintPanes, plotWidth } from './panes';
import { TimeView } from './timeview';

export abstract class StackPanel extends ResearchPanel {
  protected readonly view = new TimeView();
  #hand: Hand | undefined;
  #data: Panes | undefined;

  /** The charts of a pair. */
  protected abstract panes(pair: PairAnswer, wish: Wish): Panes;

  protected override start(): void {
    this.#hand = new Hand(this.canvas, this.view, {
      oldest: () => 0,
      moved: () => this.invalidate(true),
      pointed: () => this.#point(),
    });
    this.keep(theme.onChange(() => this.#renew()));
    super.start();
  }

  #point(): void {
    const pointer = this.#hand!.pointer;
    const times = this.#data?.times;
    cursor.set(pointer && times?.length && pointer.x <= this.view.width ? times[nearest(times, this.view.at(pointer.x))] : undefined);
    this.invalidate(true);
  }

  override onKey(event: KeyboardEvent): boolean {
    return this.#hand!.key(event.key, event.shiftKey);
  }

  protected override arrived(): void {
    this.#renew();
  }

  /** Colours are part of what is drawn. */
  #renew(): void {
    const { pair, wish } = study.get();
    this.#data = pair && this.panes(pair, wish);
    const times = this.#data?.times;
    if (times?.length) this.view.bind(times[0]!, times.at(-1)!, this.#data!.barMs);
  }

  protected paintPair(context: CanvasRenderingContext2D, box: Box): void {
    this.view.width = plotWidth(box.width);
    this.view.height = box.height;
    if (this.#data) paintPanes(context, box, this.#data, this.view, theme.get(), cursor.get());
  }

  protected shown(): object {
    const data = this.#data;
    return {
      panes: (data?.panes ?? []).map(({ title, traces, levels, empty }) => ({
        title,
        empty: empty ?? '',
        levels: levels?.map(({ value }) => value) ?? [],
        traces: Object.fromEntries(traces.map(({ name, values }) => [name, values])),
      })),
      times: data?.times ?? [],
      view: { from: this.view.from, to: this.view.to, zoomed: this.view.zoomed },
      cursor: cursor.get() ?? null,
    };
  }

  override table(): Shown | undefined {
    const data = this.#data;
    if (!data?.times.length) return undefined;
    const traces = data.panes.flatMap((pane) => pane.traces.map((trace) => ({ name: `${pane.title}: ${trace.name}`, values: trace.values })));
    const bands = data.panes.flatMap(({ title, band }) => (band ? [{ name: `${title}: low`, values: band.low }, { name: `${title}: high`, values: band.high }] : []));
    const all = [...traces, ...bands];
    const rows = data.times.map((ms, k) => [ms, ...all.map(({ values }) => values[k] ?? null)]);
    return { columns: ['end_ms', ...all.map(({ name }) => name)], rows };
  }
}
