import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { column, decodeFrame, WireError } from '../../src/core/wire';
import { frameBytes } from './frames';

const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), '../../../tests/fixtures/wire');

interface Expected {
  header: Record<string, unknown>;
  columns: Record<string, (number | string | null)[]>;
}

const bufferOf = (path: string): ArrayBuffer => {
  const bytes = readFileSync(path);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
};

describe('frames written by the Python encoder', () => {
  const names = readdirSync(FIXTURES).filter((name) => name.endsWith('.bin'));

  test('there are some', () => expect(names.length).toBeGreaterThan(0));

  test.each(names)('%s reads back as it was written', (name) => {
    const expected = JSON.parse(readFileSync(join(FIXTURES, name.replace('.bin', '.json')), 'utf8')) as Expected;
    const frame = decodeFrame(bufferOf(join(FIXTURES, name)));
    expect(frame.topic).toBe(expected.header['topic']);
    expect(frame.key).toBe(expected.header['key']);
    expect(frame.type).toBe(expected.header['type']);
    expect(frame.seq).toBe(expected.header['seq']);
    expect(frame.serverMs).toBe(expected.header['server_ms']);
    const columns = Object.fromEntries(Object.entries(frame.columns).map(([key, values]) => [key, Array.from(values, (value) => (Number.isNaN(value) ? null : value))]));
    expect(columns).toEqual(expected.columns);
  });
});

test('columns are views of the frame, not copies', () => {
  const buffer = frameBytes({}, { price: [1.5, 2.5], flag: new Uint8Array([1, 0, 1]) });
  const frame = decodeFrame(buffer);
  expect(column(frame, 'price').buffer).toBe(buffer);
  expect([...column(frame, 'price')]).toEqual([1.5, 2.5]);
  expect([...column(frame, 'flag')]).toEqual([1, 0, 1]);
});

test('what is no frame is refused, never half read', () => {
  const whole = frameBytes({}, { price: [1, 2, 3] });
  expect(() => decodeFrame(new ArrayBuffer(2))).toThrow(WireError);
  expect(() => decodeFrame(whole.slice(0, 40))).toThrow(WireError);
  expect(() => decodeFrame(whole.slice(0, whole.byteLength - 8))).toThrow(/lies outside/);
  expect(() => decodeFrame(frameBytes({ type: 'rumour' }, {}))).toThrow(/lacks/);
  const garbled = new Uint8Array(whole.slice(0));
  garbled[5] = 0xff;
  expect(() => decodeFrame(garbled.buffer)).toThrow(/not JSON/);
});

test('a column that the topic promises and the frame lacks is an error', () => {
  expect(() => column(decodeFrame(frameBytes({}, {})), 'ti_1m')).toThrow(/no column ti_1m/);
});
