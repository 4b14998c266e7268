import { expect, test } from 'vitest';
import { reasons } from '../../src/data/transfer';
import { bytes, lengthText, utcText } from '../../src/ui/texts';

test('a refused upload is one sentence and a reason a row', () => {
  const told = reasons('the upload is refused, nothing was stored: line 18: not_a_candle: open 1, high 0.5 contradict; line 61: time: no time … and 13 more');
  expect(told.head).toBe('the upload is refused, nothing was stored.');
  expect(told.rows).toEqual(['line 18: not_a_candle: open 1, high 0.5 contradict', 'line 61: time: no time', '… and 13 more']);
});

test('any other sentence stays whole', () => {
  expect(reasons('2 exports are under way; try again')).toEqual({ head: '2 exports are under way; try again', rows: [] });
});

test('times, sizes and lengths are printed in their usual units', () => {
  expect([utcText(1_790_000_040_000), utcText(1_790_000_041_500)]).toEqual(['2026-09-21 14:14', '2026-09-21 14:14:01']);
  expect([bytes(999), bytes(1_500), bytes(12_340_000)]).toEqual(['999 B', '1.5 kB', '12.3 MB']);
  expect([lengthText(300_000), lengthText(3_600_000), lengthText(604_800_000), lengthText(90_000)]).toEqual(['5m', '1h', '1w', '90s']);
});
