import { expect, test, vi } from 'vitest';
import { LAYOUT_VERSION, LayoutError, parseLayout } from '../../src/layout/document';

vi.mock('../../src/panels/registry', () => ({ kindOf: (id: string) => (['footprint', 'big-flow'].includes(id) ? { id } : undefined) }));

const layout = (part: Record<string, unknown> = {}): string =>
  JSON.stringify({
    schema_version: LAYOUT_VERSION,
    dock: { grid: { root: {} }, panels: { footprint: { id: 'footprint', contentComponent: 'footprint' } } },
    ...part,
  });

test('a layout of this version is taken, with keys it does not know', () => {
  expect(parseLayout(layout({ later: 1 }))).toMatchObject({ schema_version: 1, later: 1 });
});

test.each([
  ['not JSON', '{', 'not JSON'],
  ['another version', layout({ schema_version: 7 }), 'version 1'],
  ['null', 'null', 'version 1'],
  ['no panels', layout({ dock: {} }), 'no panels'],
  ['a panel we do not have', layout({ dock: { grid: {}, panels: { surface: { contentComponent: 'surface' } } } }), 'surface'],
])('%s is refused with a sentence', (_, text, part) => {
  expect(() => parseLayout(text)).toThrow(LayoutError);
  expect(() => parseLayout(text)).toThrow(part);
});
