/** Alert rules with where they stand, or what they fired and what followed. */

import { MISSING } from '../../core/format';
import { GridPanel } from '../../core/gridpanel';
import { overlay } from '../../core/keys';
import { show } from '../../core/link';
import { settings } from '../../core/settings';
import { type GridColumn, TextGrid, type WriteRow } from '../../core/textgrid';
import { mix, theme } from '../../core/theme';
import { acknowledge, after, alerts, at, type EpisodeRow, figure, ruleOf, type RuleRow } from '../../data/alerts';
import { orTell } from '../../ui/notice';

const RULES: GridColumn[] = [
  { id: 'state', title: 'state', width: 78, align: 'left' },
  { id: 'name', title: 'rule', width: 150, grow: 2, align: 'left' },
  { id: 'about', title: 'symbols', width: 92, grow: 1, align: 'left', drop: 3 },
  { id: 'condition', title: 'condition', width: 260, grow: 4, align: 'left', drop: 1 },
  { id: 'value', title: 'now', width: 84, grow: 1, align: 'right', drop: 2 },
  { id: 'last', title: 'last, UTC', width: 74, align: 'right' },
  { id: 'fired', title: 'fired', width: 44, align: 'right' },
  { id: 'kept', title: 'held back', width: 66, align: 'right', drop: 5 },
  { id: 'sinks', title: 'sinks', width: 100, grow: 1, align: 'right', drop: 4 },
];

const LOG: GridColumn[] = [
  { id: 'seen', title: '', width: 20, align: 'center' },
  { id: 'fired', title: 'fired, UTC', width: 80, align: 'left' },
  { id: 'symbol', title: 'symbol', width: 88, grow: 1, align: 'left' },
  { id: 'rule', title: 'rule', width: 100, grow: 2, align: 'left', drop: 1 },
  { id: 'value', title: 'value', width: 92, grow: 1, align: 'right' },
  { id: 'price', title: 'price', width: 78, grow: 1, align: 'right', drop: 4 },
  { id: 'ended', title: 'ended', width: 78, grow: 1, align: 'right', drop: 3 },
  { id: 'm1', title: '+1 m %', width: 52, align: 'right', drop: 2 },
  { id: 'm5', title: '+5 m %', width: 52, align: 'right' },
  { id: 'm15', title: '+15 m %', width: 56, align: 'right' },
  { id: 'told', title: 'told', width: 58, align: 'right', drop: 5 },
];

/** Before the time of an end that is no clearing. */
const ENDED = { cleared: '', edited: 'edited ', deleted: 'deleted ', not_trading: 'not trading ', restarted: 'restart ' } as const;

export class AlertsPanel extends GridPanel {
  readonly id = 'alerts';
  readonly perfName = 'alerts';
  readonly maxHz = 4;
  /** Nothing fires for hours, and that is well. */
  protected readonly continuous = false;

  readonly #grids = { rules: new TextGrid(RULES), log: new TextGrid(LOG) };

  protected get grid(): TextGrid {
    return this.#grids[this.shown];
  }

  get shown(): 'rules' | 'log' {
    return settings.get().alerts.shown;
  }

  protected override start(): void {
    super.start();
    // The page's own subscription keeps the rows; this one gives the panel its age and its state word.
    this.keep(this.listen('alerts', {}, () => {}));
    this.keep(alerts.subscribe(() => this.#tell()));
    this.keep(settings.onChange(() => (this.reset(), this.#tell())));
  }

  #tell(): void {
    const { storage } = alerts.get();
    const where = storage.detail || 'rules and alerts are kept';
    this.context.set(this.shown === 'rules' ? `${where} · click a rule to change it` : 'newest first · price after 1, 5, 15 min · click: seen, and show the symbol');
    this.invalidate();
  }

  protected count(): number {
    return this.shown === 'rules' ? alerts.get().rules.length : alerts.get().episodes.length;
  }

  protected emptySentence(): string {
    const { refused } = alerts.get();
    return refused || (this.shown === 'rules' ? 'no rule yet: “+ rule” makes one' : 'nothing has fired yet');
  }

  protected rawRow(row: number): unknown {
    return this.shown === 'rules' ? alerts.get().rules[row] : alerts.get().episodes[row];
  }

  protected onRow(row: number): void {
    if (this.shown === 'rules') return overlay.set({ kind: 'alerts', tab: 'rule', rule: alerts.get().rules[row]!.id });
    const episode = alerts.get().episodes[row]!;
    if (episode.acked_ts === null) orTell(acknowledge(episode.key));
    if (episode.symbol && episode.exchange === this.look.get().exchange) show(episode.symbol);
  }

  override snapshot(): ReturnType<GridPanel['snapshot']> {
    return { ...super.snapshot(), shown: this.shown, unacknowledged: alerts.get().unacknowledged };
  }

  protected writeRow: WriteRow = (row, put) =>
    this.shown === 'rules' ? this.#writeRule(row, alerts.get().rules[row]!, put) : this.#writeEpisode(row, alerts.get().episodes[row]!, put);

  #writeRule(row: number, rule: RuleRow, put: Parameters<WriteRow>[1]): ReturnType<WriteRow> {
    const { text, muted, amber, faint, bg } = theme.get();
    const shade = shadeOf(rule.severity);
    const word = rule.state === 'firing' ? `● ${rule.firing > 1 ? rule.firing : 'firing'}` : rule.waiting && rule.enabled ? 'waiting' : rule.pending ? `pending ${rule.pending}` : rule.state;
    put('state', word, rule.state === 'firing' ? shade : rule.waiting && rule.enabled ? amber : rule.state === 'off' ? faint : muted);
    put('name', rule.name, rule.enabled ? text : muted);
    put('about', rule.symbols.length ? rule.symbols.join(' ') : `${rule.exchange}: all`, muted);
    put('condition', rule.waiting && rule.enabled ? rule.waiting : rule.condition, rule.waiting && rule.enabled ? amber : muted);
    put('value', figure(rule.value, rule), text);
    put('last', at(rule.last_fired_ts), muted);
    put('fired', String(rule.counts.fired), rule.counts.fired ? text : muted);
    const kept = rule.counts.cooling + rule.counts.summarised + rule.counts.quiet;
    put('kept', kept ? String(kept) : MISSING, muted);
    put('sinks', rule.sinks.join(' '), muted);
    return this.rowStyle(row, rule.state === 'firing' ? mix(shade, 0.1, bg) : bg, -Infinity, 0, rule.state === 'firing' ? shade : '');
  }

  #writeEpisode(row: number, episode: EpisodeRow, put: Parameters<WriteRow>[1]): ReturnType<WriteRow> {
    const { text, muted, buy, sell, accent, bg } = theme.get();
    const shade = shadeOf(episode.severity);
    const fresh = episode.acked_ts === null;
    const signed = (value: number | null): string => (value === null || value === 0 ? muted : value > 0 ? buy : sell);
    put('seen', fresh ? '●' : '', shade);
    put('fired', at(episode.fired_ts), fresh ? text : muted);
    put('symbol', episode.symbol ?? episode.exchange, episode.symbol === this.look.get().symbol ? accent : text);
    put('rule', episode.rule, fresh ? text : muted);
    put('value', figure(episode.value, ruleOf(episode)), text);
    put('price', episode.price === null ? MISSING : String(episode.price), muted);
    put('ended', episode.ended_ts === null ? 'open' : `${ENDED[episode.ended_by ?? 'cleared']}${at(episode.ended_ts)}`, episode.ended_ts === null ? shade : muted);
    put('m1', after(episode.after_1m_pct), signed(episode.after_1m_pct));
    put('m5', after(episode.after_5m_pct), signed(episode.after_5m_pct));
    put('m15', after(episode.after_15m_pct), signed(episode.after_15m_pct));
    put('told', episode.told, muted);
    return this.rowStyle(row, bg, -Infinity, 0, fresh ? shade : '');
  }
}

export function shadeOf(severity: RuleRow['severity']): string {
  const { sell, amber, accent } = theme.get();
  return severity === 'critical' ? sell : severity === 'warning' ? amber : accent;
}
