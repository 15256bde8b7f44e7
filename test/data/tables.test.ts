import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { datasets } from '../../src/data/registry.js';
import { readTable } from '../../src/data/table.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-data-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const write = (name: string, ...lines: string[]) => {
  const file = join(folder, name);
  writeFileSync(file, lines.join('\n'));
  return file;
};
const fails = (code: string, place: string, ...said: string[]) =>
  expect.objectContaining({
    code,
    place: expect.stringContaining(place),
    ...(said[0] && { message: expect.stringContaining(said[0]) }),
    remedy: expect.any(String),
  });

describe('reading a table', () => {
  it('takes text and label by position where there is no header', async () => {
    const rows = await readTable(write('plain.tsv', 'a "quoted text\tx', '', 'second\ty', ''));
    expect(rows).toEqual([
      { text: 'a "quoted text', label: 'x', line: 1 },
      expect.objectContaining({ text: 'second', label: 'y' }),
    ]);
  });

  it('takes them by name from a header', async () => {
    const rows = await readTable(write('named.csv', 'id,Label,Text', '1,x,"one, two"', '2,y,"a ""b"""'));
    expect(rows.map(({ text, label }) => [text, label])).toEqual([
      ['one, two', 'x'],
      ['a "b"', 'y'],
    ]);
  });

  it('says where a row is wrong', async () => {
    await expect(readTable(write('wide.tsv', 'a\tx', 'b\tc\ty'))).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'wide.tsv:2', '3 columns instead of 2'),
    );
    await expect(readTable(write('unnamed.csv', 'a,b,c', 'd,e,f'))).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'unnamed.csv:1'),
    );
    await expect(readTable(write('open.csv', 'text,label', '"never closed,x'))).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'open.csv:'),
    );
  });

  it('refuses empty and missing files', async () => {
    await expect(readTable(write('empty.tsv'))).rejects.toThrowError(fails('TANDEM_DATA_INVALID', 'empty.tsv:1'));
    await expect(readTable(write('header.tsv', 'text\tlabel'))).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'header.tsv:1'),
    );
    await expect(readTable(join(folder, 'absent.tsv'))).rejects.toThrowError(
      fails('TANDEM_FILE_NOT_FOUND', 'absent.tsv'),
    );
  });
});

describe('the data set "tsv"', () => {
  const tsv = datasets.get('tsv');
  const many = (label: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${label} text ${i}\t${label}`);

  it('splits a single file and names the classes after its labels', async () => {
    const file = write('single.tsv', ...many('pro', 50), ...many('contra', 50));
    const set = await tsv.load({ seed: 1, sizes: {}, folder: file });
    expect(set.classes).toEqual(['contra', 'pro']);
    expect([set.train.length, set.validation.length, set.test.length]).toEqual([72, 8, 20]);
    for (const { text, label } of set.train) expect(text.startsWith(set.classes[label]!)).toBe(true);
  });

  it('reads a folder of splits, in numeric order of the labels', async () => {
    const own = join(folder, 'own');
    mkdirSync(own);
    write(
      'own/train.csv',
      'text,label',
      ...['10', '9', '2'].flatMap((label) => [`a${label},${label}`, `b${label},${label}`]),
    );
    write('own/dev.csv', 'text,label', 'c,9');
    write('own/test.tsv', 'd\t10');
    const set = await tsv.load({ seed: 1, sizes: {}, folder: own });
    expect(set.classes).toEqual(['2', '9', '10']);
    expect(set.validation).toEqual([{ text: 'c', label: 1 }]);
    expect(set.test).toEqual([{ text: 'd', label: 2 }]);
  });

  it('points at a label that training does not know', async () => {
    const own = join(folder, 'typo');
    mkdirSync(own);
    write('typo/train.tsv', ...many('good', 4), ...many('bad', 4));
    write('typo/test.tsv', 'fine\tgood', 'mistyped\tgod');
    await expect(tsv.load({ seed: 1, sizes: {}, folder: own })).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'test.tsv:2', 'Did you mean "good"?'),
    );
  });

  it('explains what is wrong with what it is given', async () => {
    const load = (name?: string) => tsv.load({ seed: 1, sizes: {}, folder: name && join(folder, name) });
    await expect(load()).rejects.toThrowError(expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID' }));
    await expect(load('nowhere')).rejects.toThrowError(fails('TANDEM_FILE_NOT_FOUND', 'nowhere'));
    write('swapped.tsv', ...Array.from({ length: 20 }, (_, i) => `x\tsome text ${i}`));
    await expect(load('swapped.tsv')).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'swapped.tsv:1', '20 different labels'),
    );
    write('blank.tsv', 'a\tx', 'b\t');
    await expect(load('blank.tsv')).rejects.toThrowError(fails('TANDEM_DATA_INVALID', 'blank.tsv:2', 'no label'));
    write('one.tsv', ...many('x', 4));
    await expect(load('one.tsv')).rejects.toThrowError(fails('TANDEM_DATA_INVALID', 'one.tsv', 'label "x"'));
  });
});

const lines = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i));

describe('data sets in folders', () => {
  const sst2 = datasets.get('sst2');

  it('needs to know the folder, and checks labels', async () => {
    vi.stubEnv('TANDEM_DATA', '');
    await expect(sst2.load({ seed: 1, sizes: {} })).rejects.toThrowError(
      expect.objectContaining({ code: 'TANDEM_FILE_NOT_FOUND', remedy: expect.stringContaining('TANDEM_DATA') }),
    );
    mkdirSync(join(folder, 'sst2'));
    write('sst2/train.tsv', 'sentence\tlabel', 'fine\t1', 'poor\t2');
    vi.stubEnv('TANDEM_DATA', folder);
    await expect(sst2.load({ seed: 1, sizes: {} })).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'train.tsv:3', '"2" is no label'),
    );
  });

  it('hold out whole sentences of SST-2, from training too where more are asked for', async () => {
    const sentences = (part: string, count: number) => lines(count, (i) => `${part} sentence ${i} is good .\t${i % 2}`);
    const phrases = (part: string, count: number) => lines(count, (i) => `${part} phrase ${i}\t${i % 2}`);
    write('sst2/train.tsv', 'sentence\tlabel', ...sentences('train', 40), ...phrases('train', 60));
    write('sst2/dev.tsv', 'sentence\tlabel', ...sentences('dev', 10), ...phrases('dev', 20), "is it ? ''\t1");
    write('sst2/test.tsv', 'sentence\tlabel', ...sentences('test', 4));
    vi.stubEnv('TANDEM_DATA', folder);
    const held = async (validation?: number) => {
      const sizes = validation === undefined ? {} : { validation };
      return await sst2.load({ seed: 1, sizes });
    };
    const [own, more] = [await held(), await held(30)];
    expect(own.validation).toHaveLength(11);
    expect(own.train).toHaveLength(100);
    expect(more.validation).toHaveLength(30);
    expect(more.train.length).toBeLessThanOrEqual(81);
    const training = new Set(more.train.map(({ text }) => text));
    for (const { text } of more.validation) {
      expect(text).toMatch(/[.?]/);
      expect(training.has(text)).toBe(false);
    }
  });
});
