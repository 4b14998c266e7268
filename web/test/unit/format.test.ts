import { describe, expect, test } from 'vitest';
import { clock, clockSeconds, parseAmount, percent, quantity, ratio, share, signed, span } from '../../src/core/format';

describe('quantity', () => {
  test.each([
    [1.2344e9, '1.23b'],
    [1.23e6, '1.23m'],
    [12_340, '12.3k'],
    [1_234, '1.23k'],
    [123.4, '123'],
    [12.34, '12.3'],
    [1.234, '1.23'],
    [0.1234, '0.123'],
    [0.012345, '0.0123'],
    [0.00012345, '0.000123'],
    [0, '0'],
    [NaN, '—'],
    [999.6, '1.00k'],
    [9.996, '10.0'],
    [99.96, '100'],
    [999_600, '1.00m'],
    [-1_234, '-1.23k'],
  ])('%d prints as %s', (value, text) => expect(quantity(value)).toBe(text));

  test('never prints more decimals than the lot has', () => {
    expect(quantity(0.012, 3)).toBe('0.012');
    expect(quantity(0.1, 1)).toBe('0.1');
    expect(quantity(7, 0)).toBe('7');
  });

  test('five characters are enough for anything of 1 and more below a quadrillion', () => {
    for (let value = 1; value < 9e14; value *= 1.0371) expect(quantity(value).length).toBeLessThanOrEqual(5);
  });
});

test.each([
  [12.3, '+12.3'],
  [-0.5, '-0.500'],
  [0, '0'],
  [-0, '0'],
  [-0.0001, '0'],
  [NaN, '—'],
])('delta %d is %s', (value, text) => expect(signed(value, 3)).toBe(text));

test('percent is signed with two decimals and zero has no sign', () => {
  expect(percent(1.005)).toBe('+1.00');
  expect(percent(-0.714)).toBe('-0.71');
  expect(percent(-0.001)).toBe('0.00');
  expect(percent(NaN)).toBe('—');
  expect(ratio(-1)).toBe('-1.00');
});

test('a share has no sign', () => {
  expect([share(0.62), share(12.34), share(340.2), share(Infinity)]).toEqual(['0.62', '12.3', '340', '—']);
});

test('times are UTC to the millisecond', () => {
  expect(clock(Date.UTC(2026, 10, 21, 6, 7, 8, 9))).toBe('06:07:08.009');
  expect(clockSeconds(Date.UTC(2026, 10, 21, 23, 59, 59, 999))).toBe('23:59:59');
  expect(clock(NaN)).toBe('—');
});

test.each([
  [400, '0.4 s'],
  [12_300, '12 s'],
  [180_000, '3 m'],
  [7_200_000, '2 h'],
])('%i ms are %s', (ms, text) => expect(span(ms)).toBe(text));

test.each([
  ['3M', 3e6],
  ['9.5k', 9500],
  ['250000', 250_000],
  ['1,500', 1500],
  ['2b', 2e9],
  ['', undefined],
  ['k', undefined],
  ['1x', undefined],
])('%s is understood as %s', (text, amount) => expect(parseAmount(text)).toBe(amount));
