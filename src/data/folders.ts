/** Data sets that users download themselves, in the layout in which they are published. */
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { assemble } from './splits.js';
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
  const { name, description, metric, classes, labels, files, source, licence, remarks } = facts;
  return {
    name,
    description,
    metric,
    async load(options) {
      const folder = dataFolder(name, options.folder);
      const read = async (file: string) => toExamples(join(folder, file), await readTable(join(folder, file)), labels);
      return assemble(
        { name, classes, source, licence, remarks },
        {
          train: await read(files.train),
          validation: files.validation ? await read(files.validation) : undefined,
          test: await read(files.test),
        },
        options,
      );
    },
  };
}

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
  ],
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
