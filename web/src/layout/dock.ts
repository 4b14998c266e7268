/** The dockable workspace: makes and closes panels, keeps its own layout, and gives it out as a file. */

import { createDockview, type DockviewApi, type GroupPanelPartInitParameters, type IContentRenderer, type SerializedDockview } from 'dockview';
import { mount, unmount } from 'svelte';
import { held, link } from '../core/link';
import type { CanvasPanel, Workspace } from '../core/panel';
import { readSettings, settings } from '../core/settings';
import { Store } from '../core/store';
import { kindOf, type PanelKind } from '../panels/registry';
import PanelHead from '../ui/PanelHead.svelte';
import { LayoutError, parseLayout, writeLayout } from './document';
import { instanceId, readInstance } from './instance';
import { addBeside, arrange, buildCompare, exchangePanel, type Instrument, PRESETS } from './presets';
import { keep, kept } from './saved';

const KEY = 'tapewatch.layout';
const SAVE_AFTER_MS = 250;

export class Dock {
  /** Open panels by id. */
  readonly panels = new Map<string, CanvasPanel>();
  readonly open = new Store<readonly string[]>([]);
  /** What was open before another layout took its place. */
  readonly before = new Store<SerializedDockview | undefined>(undefined);

  readonly #workspace: Workspace;
  readonly #api: DockviewApi;
  /** A layout opened by address is not remembered: it is a view, not the person's workspace. */
  readonly #remember: boolean;
  #saving: ReturnType<typeof setTimeout> | undefined;

  constructor(host: HTMLElement, workspace: Workspace, asked: readonly string[]) {
    this.#workspace = workspace;
    this.#api = createDockview(host, {
      theme: { name: 'tapewatch', className: 'dockview-theme-tapewatch', colorScheme: 'dark', gap: 3, tabGroupIndicator: 'none' },
      createComponent: ({ id }) => this.#make(id, kindOf(id)!),
      defaultRenderer: 'always',
      createRightHeaderActionComponent: (group) => maximiser(group),
    });
    host.addEventListener('dblclick', (event) => {
      const group = this.#api.activeGroup; // a press on a tab made its group the active one
      if (group && event.target instanceof Element && event.target.closest('.dv-tab')) toggleMaximised(group);
    });
    this.#api.layout(host.clientWidth, host.clientHeight);
    const known = asked.filter((id) => kindOf(id));
    this.#remember = known.length === 0;
    if (this.#remember) this.#restore();
    else arrange(this.#api, known);
    this.#api.onDidLayoutChange(() => this.#onChange());
    this.#onChange();
  }

  preset(id: string): void {
    const preset = PRESETS.find((candidate) => candidate.id === id) ?? PRESETS[0]!;
    this.#replace(() => preset.build(this.#api));
  }

  /** Footprints of these instruments side by side, with their flow beside them. */
  compare(instruments: readonly Instrument[]): void {
    this.#replace(() => buildCompare(this.#api, instruments));
  }

  /** Keep what is open under a name; fails with a sentence. */
  keep(name: string): Promise<void> {
    return keep(name, this.#api.toJSON());
  }

  /** Open what was kept under a name; throws `LayoutError` with a sentence and changes nothing when it cannot be shown. */
  openKept(name: string): void {
    this.#load(kept(name));
  }

  /** Open what was there before the last ready-made, kept or imported layout. */
  back(): void {
    const before = this.before.get();
    if (before) this.#load(before);
  }

  #replace(build: () => void): void {
    if (this.#api.panels.length > 0) this.before.set(this.#api.toJSON());
    this.#api.clear();
    build();
  }

  #load(layout: SerializedDockview): void {
    const before = this.#api.toJSON();
    try {
      this.#api.fromJSON(layout);
      this.before.set(before);
    } catch (error) {
      this.#api.fromJSON(before);
      throw new LayoutError(`This layout cannot be shown: ${error instanceof Error ? error.message : String(error)}.`);
    }
  }

  /** Open a closed panel, close an open one. */
  toggle(id: string): void {
    const panel = this.#api.getPanel(id);
    if (panel) this.#api.removePanel(panel);
    else if (this.#api.panels.length === 0) arrange(this.#api, [id]);
    else addBeside(this.#api, id);
  }

  /** Open a panel, or bring the open one to the front. */
  reveal(id: string): void {
    const panel = this.#api.getPanel(id);
    if (panel) panel.api.setActive();
    else this.toggle(id);
  }

  /** The panel with this id, or else the first of that kind. */
  panel(id: string): CanvasPanel | undefined {
    return this.panels.get(id) ?? [...this.panels.values()].find((panel) => panel.id === id);
  }

  /** Open one more panel of a kind, that stays with what the workspace looks at now. */
  openHeld(kind: string): void {
    const { exchange, symbol } = link.get();
    const id = instanceId(kind, exchange, symbol);
    if (!this.#api.getPanel(id)) this.toggle(id);
  }

  /** Hold a panel on what it shows, or let a held one follow the workspace again. */
  hold(panel: CanvasPanel): void {
    const { exchange, symbol } = panel.look.get();
    this.#exchange(panel, panel.look === link ? instanceId(panel.id, exchange, symbol) : panel.id);
  }

  /** Let a panel show another instrument, on which it then stays. */
  look(panel: CanvasPanel, exchange: string, symbol: string): void {
    this.#exchange(panel, instanceId(panel.id, exchange, symbol));
  }

  /** Give a panel's group the whole workspace, or put it back. */
  maximise(panel: CanvasPanel): void {
    const group = this.#api.getPanel(panel.instance)?.group;
    if (group) toggleMaximised(group);
  }

  #exchange(panel: CanvasPanel, next: string): void {
    const open = this.#api.getPanel(next);
    if (open) open.api.setActive();
    else exchangePanel(this.#api, panel.instance, next);
  }

  export(): string {
    return writeLayout(this.#api.toJSON(), settings.get());
  }

  /** Take over a layout file; throws `LayoutError` with a sentence and changes nothing when it is none. */
  import(text: string): void {
    const document = parseLayout(text);
    this.#load(document.dock);
    if (document.settings) settings.set(readSettings(JSON.stringify(document.settings)));
  }

  #restore(): void {
    const text = localStorage.getItem(KEY);
    if (text === null) return this.preset('workspace');
    try {
      this.#api.fromJSON(parseLayout(text).dock);
      if (this.#api.panels.length === 0) this.preset('workspace');
    } catch (error) {
      // Set aside, not lost: somebody may want to look at it.
      console.warn('stored layout cannot be shown, opening the default one', error);
      localStorage.setItem(`${KEY}.bak`, text);
      this.preset('workspace');
    }
  }

  #onChange(): void {
    this.open.set(this.#api.panels.map((panel) => panel.id));
    if (!this.#remember) return;
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.#save(), SAVE_AFTER_MS);
  }

  #save(): void {
    // A maximised group is a passing look, not a layout.
    if (!this.#api.hasMaximizedGroup()) localStorage.setItem(KEY, writeLayout(this.#api.toJSON()));
  }

  #make(id: string, kind: PanelKind): IContentRenderer {
    const { exchange, symbol } = readInstance(id)!;
    const { look, release } = symbol ? held(exchange ?? link.get().exchange, symbol) : { look: link, release: () => false };
    const panel = kind.make({ ...this.#workspace, instance: id, look });
    const head = mount(PanelHead, { target: panel.head, props: { panel, kind, dock: this } });
    return {
      element: panel.root,
      init: ({ api }: GroupPanelPartInitParameters) => {
        this.panels.set(id, panel);
        panel.open();
        api.onDidVisibilityChange(({ isVisible }) => panel.setVisible(isVisible));
      },
      dispose: () => {
        panel.close();
        release();
        void unmount(head);
        if (this.panels.get(id) === panel) this.panels.delete(id);
      },
    };
  }
}

interface Group {
  api: { isMaximized(): boolean; maximize(): void; exitMaximized(): void };
}

const toggleMaximised = ({ api }: Group): void => (api.isMaximized() ? api.exitMaximized() : api.maximize());

/** The button at the right of a group's tabs. */
function maximiser(group: Group): {
  element: HTMLElement;
  init(): void;
  dispose(): void;
} {
  const button = document.createElement('button');
  button.className = 'maximise';
  button.type = 'button';
  button.title = 'Maximise or restore this group';
  button.setAttribute('aria-label', button.title);
  button.textContent = '⤢';
  const toggle = (): void => toggleMaximised(group);
  button.addEventListener('click', toggle);
  return { element: button, init: () => {}, dispose: () => button.removeEventListener('click', toggle) };
}
