import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { corpora } from '../../src/data/corpora.js';
import { tidyText } from '../../src/data/documents.js';
import { readBooks } from '../../src/data/king-james-bible.js';
import { loadText } from '../../src/data/text.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-text-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const files = (texts: Record<string, string | Uint8Array>) => {
  const at = mkdtempSync(join(folder, 'x'));
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(at, name), text);
  return at;
};
const numbered = (count: number) =>
  files(Object.fromEntries(Array.from({ length: count }, (_, i) => [`${10 + i}.txt`, `text ${10 + i}`])));
const titles = (documents: readonly { title: string }[]) => documents.map(({ title }) => title);
const fails = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message), remedy: expect.any(String) });

describe('tidying', () => {
  it('keeps paragraphs and their lines, and nothing else of the layout', () => {
    expect(tidyText('\uFEFFOne line \r\nand another.\r\n\r\n\r\n\r\nA paragraph.\r')).toBe(
      'One line\nand another.\n\nA paragraph.',
    );
  });

  it('joins the lines of hard-wrapped paragraphs', () => {
    const line = 'sixty-four characters of text that would go on if the page did.'; // long enough to be a full line
    expect(tidyText(`${line}\n${line}\nshort\n\nNext.`)).toBe(`${line} ${line} short\n\nNext.`);
  });

  it('leaves verse alone', () => {
    const verse = 'Tyger Tyger, burning bright,\nIn the forests of the night;\nWhat immortal hand or eye,';
    expect(tidyText(verse)).toBe(verse);
  });
});

describe('texts for language modelling', () => {
  it('hold the last documents out, alternately for validation and test', async () => {
    const split = await loadText({ corpora: ['files'], folder: numbered(40), heldOut: 0.1 });
    expect(split.training.length).toBe(36);
    expect(titles(split.validation)).toEqual(['46', '48']);
    expect(titles(split.test)).toEqual(['47', '49']);
    expect(split.validation[0]!.text).toBe('text 46');
    expect(new Set(Object.values(split.sha256)).size).toBe(3);
  });

  it('keep what is held out out of training, copies too', async () => {
    const folder = files({ '1.txt': 'same', '2.txt': 'other', '3.txt': 'third', '4.txt': 'same' });
    const split = await loadText({ corpora: ['files'], folder, heldOut: 0.1 });
    expect(titles(split.training)).toEqual(['2']);
    expect(split.corpora[0]!.remarks).toEqual(['training documents dropped that are held out too: 1']);
  });

  it('say what is wrong with what they are asked for', async () => {
    const load = (request: Partial<Parameters<typeof loadText>[0]>) =>
      loadText({ corpora: ['files'], heldOut: 0.1, ...request });
    await expect(load({})).rejects.toThrowError(fails('TANDEM_CONFIG_INVALID', 'needs a folder'));
    await expect(load({ corpora: [] })).rejects.toThrowError(fails('TANDEM_CONFIG_INVALID', 'No corpus'));
    await expect(load({ corpora: ['files', 'files'] })).rejects.toThrowError(fails('TANDEM_CONFIG_INVALID', 'twice'));
    await expect(load({ corpora: ['moby-dik'] })).rejects.toThrowError(fails('TANDEM_UNKNOWN_NAME', 'moby-dick'));
    await expect(load({ heldOut: 1 })).rejects.toThrowError(fails('TANDEM_CONFIG_INVALID', 'share'));
    const from = (folder: string) => load({ folder });
    await expect(from(join(folder, 'none'))).rejects.toThrowError(fails('TANDEM_FILE_NOT_FOUND', 'no folder'));
    await expect(from(files({ 'a.md': 'x' }))).rejects.toThrowError(fails('TANDEM_FILE_NOT_FOUND', 'no .txt'));
    await expect(from(files({ 'a.txt': ' \n' }))).rejects.toThrowError(fails('TANDEM_DATA_INVALID', 'no text'));
    await expect(from(numbered(2))).rejects.toThrowError(fails('TANDEM_DATA_INVALID', '2 documents'));
    const copies = files({ 'a.txt': 'same', 'b.txt': 'same', 'c.txt': 'same' });
    await expect(from(copies)).rejects.toThrowError(fails('TANDEM_DATA_INVALID', 'Every training document'));
    await expect(from(files({ 'a.txt': Uint8Array.of(0xff, 0xfe) }))).rejects.toThrowError(
      fails('TANDEM_DATA_INVALID', 'not UTF-8'),
    );
  });
});

describe('corpora', () => {
  it('has the addresses on the State of the Union in the order of years', async () => {
    const { documents } = await corpora.get('state-of-the-union').load({});
    expect(documents.length).toBe(233);
    expect(titles(documents).at(-1)).toBe('Joseph R Biden, 2021');
    expect(documents[0]!.text).toMatch(/^Fellow-Citizens of the Senate and House of Representatives/);
  });

  it('has Moby Dick from the etymology to the epilogue', async () => {
    const { documents } = await corpora.get('moby-dick').load({});
    expect(documents.length).toBe(2 + 135 + 1);
    expect(titles(documents)[2]).toBe('CHAPTER 1. Loomings.');
    expect(documents[2]!.text).toMatch(/^CHAPTER 1\. Loomings\.\n\nCall me Ishmael\. /);
    expect(titles(documents)[136]).toBe('CHAPTER 135. The Chase.—Third Day.');
  });

  it('has the Bible by books, or says how to install it', async () => {
    const bible = corpora.get('king-james-bible');
    const loaded = await bible.load({}).catch((error) => error);
    if (loaded instanceof Error) {
      console.log('skipped: the text of the Bible needs Debian’s bible-kjv');
    } else {
      expect(loaded.documents.length).toBe(66);
      expect(loaded.documents[0].text).toMatch(
        /^Genesis 1\n\nIn the beginning God created the heaven and the earth\. And /,
      );
    }
    vi.stubEnv('PATH', folder);
    await expect(bible.load({})).rejects.toThrowError(
      expect.objectContaining({ code: 'TANDEM_PACKAGE_MISSING', remedy: 'Install it: apt-get install bible-kjv' }),
    );
  });

  it('takes no other output for the Bible', () => {
    expect(() => readBooks('Genesis 1\n\n  1 In the beginning.')).toThrowError(fails('TANDEM_DATA_INVALID', '1 books'));
    expect(() => readBooks('usage: bible')).toThrowError(fails('TANDEM_DATA_INVALID', 'usage'));
  });
});
