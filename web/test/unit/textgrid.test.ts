import { beforeEach, describe, expect, test } from 'vitest';
import { type GridColumn, TextGrid, type WriteRow } from '../../src/core/textgrid';

/** A context that remembers what was asked of it. */
class Paper {
  texts: string[] = [];
  fills = 0;
  font = '';
  textBaseline = '';
  fillStyle = '';
  fillRect(): void {
    this.fills += 1;
  }
  fillText(text: string): void {
    this.texts.push(text);
  }
  measureText(text: string): { width: number } {
    return { width: text.length * 12 };
  }
  wipe(): void {
    this.texts = [];
    this.fills = 0;
  }
}

const COLUMNS: GridColumn[] = [
  { id: 'symbol', title: 'symbol', width: 100, align: 'left' },
  { id: 'last', title: 'last', width: 80, align: 'right' },
  { id: 'volume', title: 'volume', width: 80, align: 'right', drop: 1 },
];

const HEIGHT = 22 + 5 * 20;
let values: string[][];
let paper: Paper;
let grid: TextGrid;
let background: string;

const write: WriteRow = (row, put) => {
  put('symbol', values[row]![0]!, '#ffffff');
  put('last', values[row]![1]!, '#ffffff');
  put('volume', values[row]![2]!, '#ffffff');
  return { background, mark: '' };
};

const paint = (): void => {
  paper.wipe();
  grid.paint(paper as unknown as CanvasRenderingContext2D, values.length, undefined, write);
};

beforeEach(() => {
  background = '#1e1e1e';
  values = Array.from({ length: 8 }, (_, row) => [`S${row}`, `${row}.5`, `${row}k`]);
  paper = new Paper();
  grid = new TextGrid(COLUMNS);
  grid.layout(400, HEIGHT);
  paint();
});

describe('painting', () => {
  test('the first time everything that fits', () => {
    expect(grid.capacity).toBe(5);
    expect(paper.texts).toContain('symbol');
    expect(grid.rows()).toEqual(values.slice(0, 5));
  });

  test('again without a change, nothing at all', () => {
    paint();
    expect([paper.texts, paper.fills]).toEqual([[], 0]);
  });

  test('one changed cell, that cell only', () => {
    values[2]![1] = '99.5';
    paint();
    expect(paper.texts).toEqual(['99.5']);
    expect(grid.rows()[2]).toEqual(['S2', '99.5', '2k']);
  });

  test('a changed background, the whole row', () => {
    background = '#202020';
    paint();
    expect(paper.texts).toHaveLength(15);
  });

  test('rows that went are wiped and no longer told', () => {
    values = values.slice(0, 2);
    paint();
    expect(grid.rows()).toEqual(values);
    values.push(['S2', '2.5', '2k']);
    paint();
    expect(paper.texts).toEqual(['S2', '2.5', '2k']);
  });

  test('after a reset everything', () => {
    grid.invalidate();
    paint();
    expect(paper.texts).toHaveLength(3 + 15);
  });

  test('what does not fit is cut by an ellipsis, in any script', () => {
    values[0] = ['AVERYLONGSYMBOLNAMEUSDT', '1', '1k'];
    values[1] = ['我踏马来了我踏马来了我踏马来了', '1', '1k'];
    paint();
    expect(paper.texts[0]).toMatch(/^AVERY.*…$/);
    expect(paper.texts.find((text) => text.startsWith('我'))).toMatch(/…$/);
    expect(grid.rows()[0]![0]).toBe('AVERYLONGSYMBOLNAMEUSDT');
  });
});

describe('scrolling', () => {
  test('stays within the table', () => {
    expect(grid.scrollBy(100)).toBe(true);
    expect(grid.top).toBe(3);
    expect(grid.scrollBy(1)).toBe(false);
    paint();
    expect(grid.rows().map((row) => row[0])).toEqual(['S3', 'S4', 'S5', 'S6', 'S7']);
  });

  test('a table that shrank pulls it back', () => {
    grid.scrollBy(3);
    values = values.slice(0, 6);
    paint();
    expect(grid.top).toBe(1);
  });

  test('reveal moves no further than needed', () => {
    grid.reveal(6);
    expect(grid.top).toBe(2);
    grid.reveal(4);
    expect(grid.top).toBe(2);
    grid.reveal(0);
    expect(grid.top).toBe(0);
  });
});

describe('layout', () => {
  test('a narrow panel loses the columns it can spare', () => {
    grid.layout(200, HEIGHT);
    paint();
    expect(grid.columns.map((column) => column.id)).toEqual(['symbol', 'last']);
    expect(grid.rows()[0]).toEqual(['S0', '0.5']);
  });

  test('a point is a row, the header, or neither', () => {
    expect(grid.hit(10, 5)).toMatchObject({ header: true, column: 'symbol' });
    expect(grid.hit(10, 22 + 45)).toMatchObject({ header: false, row: 2, column: 'symbol' });
    expect(grid.hit(10, 22 + 20 * 5 + 3).row).toBe(-1);
  });
});
