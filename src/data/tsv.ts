import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { assemble } from './splits.js';
import { invalid, type Row, readTable, toExamples } from './table.js';
import type { Dataset } from './types.js';

/** File names of each split, without .tsv or .csv. */
const NAMES = { train: ['train'], validation: ['validation', 'valid', 'dev'], test: ['test'] } as const;
const EXTENSIONS = ['.tsv', '.csv'];

/** Any labelled texts: a folder with train, validation and test files, or one file that is split with the seed. */
export const tsv: Dataset = {
  name: 'tsv',
  description:
    'Your own labelled texts: a folder with train, validation and test .tsv or .csv files, or one such file.',
  metric: 'accuracy',
  async load(options) {
    const files = await find(options.folder);
    const rows = await readTable(files.train);
    const labels = labelsOf(files.train, rows);
    const read = async (file: string | undefined) =>
      file === undefined ? undefined : toExamples(file, await readTable(file), labels);
    return assemble(
      { name: 'tsv', classes: labels, source: options.folder!, licence: 'not stated' },
      {
        train: toExamples(files.train, rows, labels),
        validation: await read(files.validation),
        test: await read(files.test),
      },
      options,
    );
  },
};

interface Files {
  readonly train: string;
  readonly validation?: string;
  readonly test?: string;
}

async function find(folder: string | undefined): Promise<Files> {
  const remedy = "Set the data set's folder to a .tsv or .csv file, or to a folder with train.tsv or train.csv.";
  if (!folder) throw new TandemError('TANDEM_CONFIG_INVALID', 'The data set "tsv" needs a folder.', { remedy });
  const found = await stat(folder).catch(() => undefined);
  if (found?.isFile()) return { train: folder };
  const present = found ? await readdir(folder) : [];
  const pick = (names: readonly string[]) => {
    const name = names.flatMap((stem) => EXTENSIONS.map((end) => stem + end)).find((file) => present.includes(file));
    return name && join(folder, name);
  };
  const train = pick(NAMES.train);
  if (train) return { train, validation: pick(NAMES.validation), test: pick(NAMES.test) };
  throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no training file in ${folder}.`, {
    place: folder,
    remedy,
  });
}

/** The labels that occur, numbers in numeric order and names in alphabetical order. */
function labelsOf(file: string, rows: readonly Row[]): string[] {
  const labels = [...new Set(rows.map(({ label }) => label))].sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1));
  const unlabelled = rows.find(({ label }) => label === '');
  if (unlabelled) invalid(file, unlabelled.line, 'The row has no label.', 'Label it or remove it.');
  if (rows.length > 10 && labels.length > rows.length / 2) {
    const counts = `${labels.length} different labels in ${rows.length} rows`;
    invalid(
      file,
      1,
      `There are ${counts}; these look like texts.`,
      'Without a header, write the text first, the label second.',
    );
  }
  return labels;
}
