/** A page for a trader's journal: what a panel shows now, what it is about, and what somebody wants to remember of it. */

import type { CanvasPanel } from '../core/panel';
import { withTexts } from '../core/png';
import { charWidth, font, theme } from '../core/theme';
import { wrapped } from '../panels/research/panes';

const PAD = 12;
const LINE_PX = 16;

export interface Entry {
  title: string;
  at: Date;
  parameters: Record<string, string>;
  picture: HTMLCanvasElement;
}

/** What the panel shows at this moment; later changes of the panel are not in it. */
export function entryOf(panel: CanvasPanel, title: string): Entry {
  const { canvas, parameters } = panel.picture();
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [canvas.width, canvas.height];
  copy.getContext('2d')!.drawImage(canvas, 0, 0);
  return { title, at: new Date(), parameters, picture: copy };
}

const told = (entry: Entry): string => Object.entries(entry.parameters).map(([name, value]) => `${name} ${value}`).join(' · ');
const utc = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** Draw an entry: its name and time above, parameters and note below the picture. */
export function drawEntry(entry: Entry, note: string, page: HTMLCanvasElement): void {
  const scale = globalThis.devicePixelRatio || 1;
  const [width, height] = [entry.picture.width / scale, entry.picture.height / scale];
  const fits = Math.max(20, Math.floor((width - 2 * PAD) / charWidth(11)));
  const small = wrapped(told(entry), fits);
  const lines = note.trim() ? note.trim().split('\n').flatMap((line) => wrapped(line, fits)) : [];
  const top = LINE_PX + PAD;
  const below = (small.length + lines.length) * LINE_PX + PAD + (lines.length ? 6 : 0);
  [page.width, page.height] = [Math.round(width * scale), Math.round((top + height + below) * scale)];
  const context = page.getContext('2d', { alpha: false })!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  const { raised, text, muted } = theme.get();
  context.fillStyle = raised;
  context.fillRect(0, 0, width, top + height + below);
  context.font = font(12, 600);
  context.fillStyle = text;
  context.fillText(entry.title, PAD, LINE_PX + 2);
  const when = utc(entry.at);
  context.font = font(11);
  context.fillText(when, width - PAD - when.length * charWidth(11), LINE_PX + 2);
  context.drawImage(entry.picture, 0, top, width, height);
  context.fillStyle = muted;
  small.forEach((line, k) => context.fillText(line, PAD, top + height + (k + 1) * LINE_PX));
  context.fillStyle = text;
  lines.forEach((line, k) => context.fillText(line, PAD, top + height + (small.length + k + 1) * LINE_PX + 6));
}

/** The entry as a PNG file that says in itself what it shows. */
export async function fileOf(entry: Entry, note: string): Promise<{ name: string; blob: Blob }> {
  const page = document.createElement('canvas');
  drawEntry(entry, note, page);
  const blob = await new Promise<Blob>((resolve, reject) => {
    page.toBlob((made) => (made ? resolve(made) : reject(new Error('the picture cannot be made'))), 'image/png');
  });
  const texts = { Title: entry.title, 'Creation Time': entry.at.toISOString(), Description: told(entry), Software: 'tapewatch', ...(note.trim() ? { Comment: note.trim() } : {}) };
  const bytes = withTexts(new Uint8Array(await blob.arrayBuffer()), texts);
  return { name: `${fileName(entry.title, entry.at)}.png`, blob: new Blob([bytes], { type: 'image/png' }) };
}

/** `tapewatch-20261121-143000-footprint-BTCUSDT`. */
export function fileName(title: string, at: Date): string {
  const stamp = at.toISOString().slice(0, 19).replace('T', '-').replaceAll(/[-:]/g, '').replace(/^(\d{8})/, '$1-');
  const words = title.normalize('NFKD').replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');
  return `tapewatch-${stamp}-${words}`.slice(0, 96);
}
