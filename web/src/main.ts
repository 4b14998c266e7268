/** Starts the page: token, settings, stream, workspace, chrome; and what tests and measurements read. */

import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-600.css';
import '@fontsource/jetbrains-mono/latin-400.css';
import '@fontsource/jetbrains-mono/latin-600.css';
import 'dockview/dist/styles/dockview.css';
import './app.css';
import { flushSync, mount } from 'svelte';
import { streamUrl, takeToken } from './core/access';
import { Feed } from './core/feed';
import { followSettings } from './core/follow';
import { installKeys } from './core/keys';
import { link, linkedFromUrl, linkedToUrl } from './core/link';
import type { Workspace } from './core/panel';
import * as perf from './core/perf';
import { scheduler } from './core/scheduler';
import { loadSettings, settings } from './core/settings';
import { applyTheme, loadFonts } from './core/theme';
import { alerts, onAlertsFrame } from './data/alerts';
import { Market } from './data/market';
import { replay } from './data/replay';
import { onStatusFrame } from './data/status';
import { Dock } from './layout/dock';
import { FlowPanel } from './panels/flow/panel';
import { ImbalancePanel } from './panels/imbalance/panel';
import App from './ui/App.svelte';
import { tellQuote } from './ui/quote';
import { replayKey } from './ui/replaykeys';

/** Panels say their age this often. */
const AGE_EVERY_MS = 500;

async function start(): Promise<void> {
  takeToken();
  loadSettings();
  settings.subscribe(({ theme }) => applyTheme(theme));
  link.set(linkedFromUrl(location.search, settings.get().linked));
  link.onChange((linked) => {
    settings.update({ linked });
    history.replaceState(null, '', linkedToUrl(location.href, linked));
  });
  await Promise.all([loadFonts(), followSettings()]);

  const workspace: Workspace = { feed: new Feed(streamUrl()), market: new Market() };
  const app = mount(App, { target: document.getElementById('app')!, props: { workspace } });
  flushSync(); // the workspace's element exists now
  const asked = (new URLSearchParams(location.search).get('panels') ?? '').split(',');
  const dock = new Dock(app.host(), workspace, asked);
  app.connect(dock);

  expose(dock);
  installKeys(dock.panels, replayKey);
  listen(workspace, dock);
  workspace.feed.start();
}

/** Topics that belong to the page and not to one panel. */
function listen({ feed, market }: Workspace, dock: Dock): void {
  const judge = (): void => dock.panels.forEach((panel) => panel.judge());
  feed.link.onChange(judge);
  replay.onChange(judge);
  setInterval(judge, AGE_EVERY_MS);
  feed.subscribe('alerts', {}, { onFrame: onAlertsFrame, onRefused: (refused) => alerts.update({ refused }) });
  feed.subscribe('status', {}, { onFrame: (frame) => onStatusFrame(frame, performance.now()) });
  let universe = 0;
  feed.subscribe('imbalance', { exchange: link.get().exchange }, {
    onFrame: (frame) => {
      market.onFrame(frame);
      tellQuote(market);
      for (const panel of dock.panels.values()) {
        if (panel instanceof ImbalancePanel) panel.onMarket(performance.now());
        if (panel instanceof FlowPanel && market.universe !== universe) panel.onUniverse();
      }
      // Names and decimals came: rows that had neither can be printed now.
      if (market.universe !== universe) scheduler.invalidateAll();
      universe = market.universe;
    },
  });
  link.onChange(() => tellQuote(market));
}

function expose(dock: Dock): void {
  Object.assign(window, {
    __app: {
      /** Every panel that can be seen shows data. */
      get ready() {
        const seen = [...dock.panels.values()].filter((panel) => panel.visible());
        return seen.length > 0 && seen.every((panel) => panel.ready);
      },
      panel: (id: string) => dock.panel(id),
      panels: () => [...dock.panels.keys()],
    },
    __perf: { snapshot: perf.snapshot },
  });
}

void start();
