/**
 * Settings follow their owner to the next screen: each section goes to the server with the moment it was changed, and
 * of a section the newest is right, wherever it was changed. Where the server stores nothing, each browser has its own.
 */

import { getJson, sendJson } from './access';
import { readSettings, settings, type Settings } from './settings';

const KEY = 'tapewatch.settings.changed';
/** A page waits so long for what other screens have chosen; then it shows what this browser remembers. */
const PATIENCE_MS = 1_000;
/** What a screen looks at is its own affair. */
const OWN = new Set(['version', 'linked']);

interface Told {
  kept: boolean;
  settings: Record<string, { at: number; value: unknown }>;
}

/** Take what was changed elsewhere since this browser's own changes; from now on tell the server of each change. */
export async function followSettings(): Promise<void> {
  const changed = moments();
  let told: Told;
  try {
    told = await getJson<Told>('/api/settings', {}, AbortSignal.timeout(PATIENCE_MS));
  } catch {
    return; // a server that does not answer now is asked again at the next start
  }
  const newer = Object.entries(told.settings).filter(([name, { at }]) => !OWN.has(name) && at > (changed[name] ?? 0));
  if (newer.length > 0) {
    const values = Object.fromEntries(newer.map(([name, { value }]) => [name, value]));
    settings.set(readSettings(JSON.stringify({ ...settings.get(), ...values })));
    for (const [name, { at }] of newer) changed[name] = at;
    localStorage.setItem(KEY, JSON.stringify(changed));
  }
  const waiting = new Set(Object.keys(changed).filter((name) => changed[name]! > (told.settings[name]?.at ?? 0)));
  let last = settings.get();
  settings.onChange((now) => {
    for (const name of differing(last, now)) {
      changed[name] = Date.now();
      waiting.add(name);
    }
    last = now;
    localStorage.setItem(KEY, JSON.stringify(changed));
    void tell();
  });

  let telling = false;
  /** One request at a time; what changes meanwhile goes with the next one, and so does what did not arrive. */
  async function tell(): Promise<void> {
    if (!told.kept || telling || waiting.size === 0) return;
    telling = true;
    const names = [...waiting];
    waiting.clear();
    const sections = Object.fromEntries(names.map((name) => [name, { at: changed[name]!, value: settings.get()[name as keyof Settings] }]));
    const arrived = await sendJson('PUT', '/api/settings', sections).then(() => true, () => false);
    telling = false;
    if (arrived) return tell();
    for (const name of names) waiting.add(name);
  }
  void tell();
}

const differing = (before: Settings, now: Settings): string[] =>
  (Object.keys(now) as (keyof Settings)[]).filter((name) => !OWN.has(name) && now[name] !== before[name]);

/** When each section was last changed here; nothing is known of what a browser holds damaged. */
function moments(): Record<string, number> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, number>;
  } catch {
    return {};
  }
}
