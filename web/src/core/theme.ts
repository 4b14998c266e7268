/** Colours and fonts of the canvases; the same tokens reach the DOM as CSS variables. */

import { Store } from './store';

export const THEME_NAMES = ['classic', 'colour-safe', 'light', 'light-safe'] as const;
export type ThemeName = (typeof THEME_NAMES)[number];

export interface Theme {
  name: ThemeName;
  light: boolean;
  /** Sides that everybody tells apart. */
  safe: boolean;
  bg: string;
  /** Header rows and axes, one step off the background. */
  raised: string;
  grid: string;
  border: string;
  text: string;
  /** Louder than text: what stands out among figures. */
  strong: string;
  muted: string;
  faint: string;
  buy: string;
  sell: string;
  neutral: string;
  poc: string;
  /** Not live: demo, replay, estimated. */
  amber: string;
  accent: string;
  /** Between panels; bars of the page; fields; what is under the pointer; what is pressed. */
  gutter: string;
  chrome: string;
  field: string;
  hover: string;
  pressed: string;
  /** Menus and dialogs with their rim, tooltips over pictures, labels on axes. */
  sheet: string;
  rim: string;
  tip: string;
  label: string;
}

const dark = {
  light: false,
  bg: '#1e1e1e',
  raised: '#242424',
  grid: '#282828',
  border: '#333333',
  text: '#e0e0e0',
  strong: '#ffffff',
  muted: '#9a9a9a',
  faint: '#5e5e5e',
  poc: '#ffd54f',
  amber: '#f0b90b',
  accent: '#6cb6ff',
  gutter: '#141414',
  chrome: '#191919',
  field: '#232323',
  hover: '#323232',
  pressed: '#3a3a3a',
  sheet: '#242424',
  rim: '#434343',
  tip: '#161616',
  label: '#4a4a4a',
};

const light = {
  light: true,
  bg: '#fbfbfa',
  raised: '#f1f1ee',
  grid: '#ecece9',
  border: '#d4d4cf',
  text: '#1c1c1c',
  strong: '#000000',
  muted: '#5c5c5c',
  faint: '#a0a09c',
  poc: '#a67c00',
  amber: '#8a6100',
  accent: '#0b5fbf',
  gutter: '#dcdcd8',
  chrome: '#efefec',
  field: '#ffffff',
  hover: '#e3e3df',
  pressed: '#d3d3ce',
  sheet: '#ffffff',
  rim: '#c0c0ba',
  tip: '#ffffff',
  label: '#dadad5',
};

export const THEMES: Record<ThemeName, Theme> = {
  classic: { ...dark, name: 'classic', safe: false, buy: '#00ff88', sell: '#ff4444', neutral: '#ffaa00' },
  // Okabe-Ito: told apart under all three colour-vision deficiencies (ΔE >= 87); on light ground darkened until text is read.
  'colour-safe': { ...dark, name: 'colour-safe', safe: true, buy: '#56b4e9', sell: '#e69f00', neutral: '#cc79a7' },
  light: { ...light, name: 'light', safe: false, buy: '#007a45', sell: '#c81e1e', neutral: '#a35a00' },
  'light-safe': { ...light, name: 'light-safe', safe: true, buy: '#0067a3', sell: '#a85200', neutral: '#9c3f78' },
};

export const theme = new Store<Theme>(THEMES.classic);

export function applyTheme(name: ThemeName): void {
  const next = THEMES[name] ?? THEMES.classic;
  mixes.clear();
  for (const [token, value] of Object.entries(next)) {
    if (typeof value === 'string' && token !== 'name') document.documentElement.style.setProperty(`--${token}`, value);
  }
  document.documentElement.dataset['theme'] = next.name;
  document.documentElement.style.colorScheme = next.light ? 'light' : 'dark';
  theme.set(next);
}

const MONO = "'JetBrains Mono', ui-monospace, 'DejaVu Sans Mono', monospace";

export const font = (px: number, weight = 400): string => `${weight} ${px}px ${MONO}`;

/** JetBrains Mono advances 0.6 em for every character we print. */
export const charWidth = (px: number): number => px * 0.6;

const mixes = new Map<string, string>();

/** `share` of `colour` over `under`, premixed: canvases are opaque and never blend. Interned, so cells compare by ===. */
export function mix(colour: string, share: number, under: string = theme.get().bg): string {
  const step = Math.round(Math.min(1, Math.max(0, share)) * 50);
  const key = `${colour}${step}${under}`;
  const known = mixes.get(key);
  if (known) return known;
  const made = blend(colour, under, step / 50);
  mixes.set(key, made);
  return made;
}

function blend(over: string, under: string, share: number): string {
  const channel = (hex: string, at: number): number => Number.parseInt(hex.slice(at, at + 2), 16);
  const one = (at: number): string =>
    Math.round(channel(over, at) * share + channel(under, at) * (1 - share))
      .toString(16)
      .padStart(2, '0');
  return `#${one(1)}${one(3)}${one(5)}`;
}

/** WCAG relative luminance contrast of two colours. */
export function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex: string): number {
  const linear = (at: number): number => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5);
}

/** WCAG AA for text. */
const READABLE = 4.5;
const readables = new Map<string, string>();

/** `colour`, brought as far towards white or black as it takes to be read on `under`. */
export function readable(colour: string, under: string): string {
  const key = colour + under;
  let found = readables.get(key);
  if (found) return found;
  found = colour;
  const toward = contrast('#ffffff', under) > contrast('#000000', under) ? '#ffffff' : '#000000';
  for (let share = 0; share <= 1 && contrast(found, under) < READABLE; share += 0.1) found = mix(toward, share, colour);
  readables.set(key, found);
  return found;
}

/** Wait for the figures' font: a tile drawn before would keep fallback glyphs. */
export async function loadFonts(): Promise<void> {
  await Promise.all([400, 600].map((weight) => document.fonts.load(font(11, weight))));
}
