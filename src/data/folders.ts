/** Data sets that users download themselves, in the layout in which they are published. */
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { assemble, type RawParts } from './splits.js';
import { readTable, toExamples } from './table.js';
import type { Dataset } from './types.js';

interface FolderFacts {
  readonly name: string;
  readonly description: string;
  readonly metric: string;
  readonly classes: readonly string[];
  /** What the files write for each class. */
  readonly labels: readonly string[];
  readonly files: { readonly train: string; readonly validation?: string; readonly test: string };
  readonly source: string;
  readonly licence: string;
  readonly remarks?: readonly string[];
  /** Where only some of the texts held out of the training part are like those of the test: which. */
  readonly likeTest?: (text: string) => boolean;
}

/** The folder that holds one folder per data set: as given, or $TANDEM_DATA. */
function dataFolder(name: string, given: string | undefined): string {
  const folder = given ?? process.env.TANDEM_DATA;
  if (folder) return join(folder, name);
  throw new TandemError('TANDEM_FILE_NOT_FOUND', `Tandem does not know where the data set "${name}" lies.`, {
    remedy: `Set TANDEM_DATA, or the data set's folder, to the folder that holds ${name}/.`,
  });
}

function folderDataset(facts: FolderFacts): Dataset {
  const { name, description, metric, classes, labels, files, source, licence, remarks, likeTest } = facts;
  return {
    name,
    description,
    metric,
    async load(options) {
      const folder = dataFolder(name, options.folder);
      const read = async (file: string) => toExamples(join(folder, file), await readTable(join(folder, file)), labels);
      const parts = {
        train: await read(files.train),
        validation: files.validation ? await read(files.validation) : undefined,
        test: await read(files.test),
      };
      const raw = likeTest ? heldOutLikeTest(parts, likeTest, options.sizes.validation) : parts;
      return assemble({ name, classes, source, licence, remarks }, raw, options);
    },
  };
}

/** Keeps such texts only for validation; where more are asked for, takes them from training. */
function heldOutLikeTest(
  { train, validation = [], test }: RawParts,
  likeTest: (text: string) => boolean,
  asked = 0,
): RawParts {
  const kept = validation.filter(({ text }) => likeTest(text));
  // A few more, since repeated ones are dropped later.
  const missing = Math.ceil(TAKEN_MORE * (asked - kept.length));
  const moved = new Set(missing > 0 ? train.filter(({ text }) => likeTest(text)).slice(0, missing) : []);
  return { train: train.filter((example) => !moved.has(example)), validation: [...kept, ...moved], test };
}

const TAKEN_MORE = 1.05;

/** Ends like a sentence: a full stop, an exclamation or a question mark, and perhaps brackets or quotation marks. */
const isSentence = (text: string): boolean => /[.!?]\W*$/.test(text);

export const sst2 = folderDataset({
  name: 'sst2',
  description: 'SST-2 of GLUE: sentences and phrases of film reviews, negative or positive (folder sst2/).',
  metric: 'accuracy',
  classes: ['negative', 'positive'],
  labels: ['0', '1'],
  files: { train: 'train.tsv', validation: 'dev.tsv', test: 'test.tsv' },
  source: 'Socher et al., EMNLP 2013; GLUE, Wang et al., 2018',
  licence: 'research use',
  remarks: [
    "test is GLUE's development set, as published results use it; validation is held out of GLUE's training set",
    'test is of whole sentences, training mostly of phrases: validation has only texts that end like a sentence',
  ],
  likeTest: isSentence,
});

export const agnews = folderDataset({
  name: 'agnews',
  description: 'AG News: the beginnings of news articles, four topics (folder agnews/).',
  metric: 'accuracy',
  classes: ['World', 'Sports', 'Business', 'Sci/Tech'],
  labels: ['World', 'Sports', 'Business', 'Sci/Tech'],
  files: { train: 'dev.tsv', test: 'test.tsv' },
  source: 'Zhang et al., NeurIPS 2015',
  licence: 'non-commercial research',
  remarks: ['training and validation examples come from dev.tsv (10,000 of the 120,000 published training examples)'],
});
