import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { TandemError } from '../errors.js';
import { assembleCorpus } from './documents.js';
import type { Corpus, TextDocument } from './types.js';

/** The longest line that the program may print, so that it wraps no verse. */
const LINE_LENGTH = '100000';
const WHOLE = 'Gen1:1-Rev22:21';
const BOOKS = 66;
/** The text has 4.3 MB. */
const MOST_OUTPUT = 64 * 1024 * 1024;
const REMEDY = 'Install it: apt-get install bible-kjv';

/** The King James Version as Debian's program `bible` prints it. */
export const kingJamesBible: Corpus = {
  name: 'king-james-bible',
  description: 'The King James Version of the Bible by books (Debian bible-kjv).',
  async load() {
    return assembleCorpus(
      {
        name: 'king-james-bible',
        source: 'Debian bible-kjv; King James Version',
        licence: 'public domain',
        remarks: ['verse numbers left out; every chapter is a paragraph under its name'],
      },
      readBooks(await print()),
    );
  },
};

async function print(): Promise<string> {
  try {
    const run = promisify(execFile);
    return (await run('bible', ['-l', LINE_LENGTH, WHOLE], { maxBuffer: MOST_OUTPUT })).stdout;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new TandemError('TANDEM_PACKAGE_MISSING', 'The Debian package "bible-kjv" is not installed.', {
        remedy: REMEDY,
        cause,
      });
    }
    throw unreadable((cause as Error).message, cause);
  }
}

/**
 * Books from what the program prints: a heading "Genesis 1" for every chapter, and a numbered line for every verse.
 * @throws TANDEM_DATA_INVALID for anything else
 */
export function readBooks(printed: string): TextDocument[] {
  const books = new Map<string, { heading: string; verses: string[] }[]>();
  let chapter: { heading: string; verses: string[] } | undefined;
  for (const line of printed.split(/\r?\n/)) {
    if (line.trim() === '') continue;
    const verse = line.match(/^\s+\d+ (.*\S)\s*$/)?.[1];
    const book = line.match(/^(\S.*) \d+$/)?.[1];
    if (verse !== undefined && chapter) chapter.verses.push(verse);
    else if (book !== undefined) {
      chapter = { heading: line, verses: [] };
      books.set(book, [...(books.get(book) ?? []), chapter]);
    } else throw unreadable(`"${line.slice(0, 60)}" is neither a chapter nor a verse`);
  }
  if (books.size !== BOOKS) throw unreadable(`it has ${books.size} books instead of ${BOOKS}`);
  return [...books].map(([title, chapters]) => ({
    title,
    text: chapters.map(({ heading, verses }) => `${heading}\n\n${verses.join(' ')}`).join('\n\n'),
  }));
}

const unreadable = (why: string, cause?: unknown) =>
  new TandemError('TANDEM_DATA_INVALID', `What the program "bible" prints does not read: ${why}.`, {
    place: `bible -l ${LINE_LENGTH} ${WHOLE}`,
    remedy: REMEDY,
    cause,
  });
