import { expect, test } from 'vitest';
import { gridOf, stepText, toCount, toNumber, toText } from '../../src/core/decimal';

const grid = (units: number, decimals: number) => gridOf([units, decimals]);

test.each([
  [614065, 1, 1, '61406.5'],
  [5, 1, 4, '0.0005'],
  [3, 5, 2, '0.15'],
  [7, 10, 0, '70'],
  [-12, 1, 1, '-1.2'],
  [0, 1, 3, '0.000'],
  [9007199254740991, 1, 8, '90071992.54740991'],
])('%i counts of %i/10^%i print as %s', (count, units, decimals, text) => expect(toText(count, grid(units, decimals))).toBe(text));

test('a number is the double nearest to the decimal, whatever the increment', () => {
  for (const decimals of [1, 2, 3, 5, 8]) {
    for (const count of [1, 3, 7, 12345, 614065, 123456789]) {
      expect(toNumber(count, grid(1, decimals))).toBe(Number(toText(count, grid(1, decimals))));
      expect(toNumber(count, grid(5, decimals))).toBe(Number(toText(count, grid(5, decimals))));
    }
  }
});

test.each([
  ['0.5', 5],
  ['.5', 5],
  ['1', 10],
  ['1.50', 15],
  ['0.05', undefined],
  ['0', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['', undefined],
  ['abc', undefined],
])('%s is %s ticks of 0.1', (text, count) => expect(toCount(text, grid(1, 1))).toBe(count));

test('a price between increments of 0.05 is no count', () => {
  expect(toCount('0.15', grid(5, 2))).toBe(3);
  expect(toCount('0.12', grid(5, 2))).toBeUndefined();
});

test.each([
  [5, '0.5'],
  [10, '1'],
  [100, '10'],
  [25, '2.5'],
])('a step of %i ticks of 0.1 is asked for as %s', (ticks, text) => expect(stepText(ticks, grid(1, 1))).toBe(text));
