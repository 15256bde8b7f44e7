/** Labelled texts in TSV or CSV files. */
import { readFile } from 'node:fs/promises';
import { type CsvError, parse } from 'csv-parse/sync';
import { closest } from 'fastest-levenshtein';
import { TandemError } from '../errors.js';
import type { Example } from './types.js';

/** One data row; `line` counts from 1 and is where the row starts. */
export interface Row {
  readonly text: string;
  readonly label: string;
  readonly line: number;
}

const TEXT_COLUMNS = ['text', 'sentence', 'review', 'content', 'document'];
const LABEL_COLUMNS = ['label', 'class', 'category', 'topic', 'target', 'sentiment'];

/**
 * Reads a table with a text and a label column. A first row that names both (text, sentence, …; label, class, …) is a
 * header; without one the text comes first and the label second. Quotes mean something in CSV only.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_DATA_INVALID with file and line
 */
export async function readTable(file: string): Promise<Row[]> {
  const content = await readFile(file, 'utf8').catch((cause) => {
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no data file ${file}.`, {
      place: file,
      remedy: 'Name a folder with train.tsv or train.csv, and optionally validation and test files beside it.',
      cause,
    });
  });
  const records = split(file, content);
  const first = records[0];
  if (!first) return invalid(file, 1, 'The file is empty.', 'Each row needs a text and a label.');
  const { header, text, label, width } = columns(file, first.cells);
  const rows = records.slice(header ? 1 : 0).map(({ cells, line }) => {
    if (cells.length !== width) {
      invalid(
        file,
        line,
        `The row has ${cells.length} columns instead of ${width}.`,
        'Quote texts that hold separators (CSV).',
      );
    }
    return { text: cells[text]!, label: cells[label]!.trim(), line };
  });
  if (rows.length === 0) invalid(file, 1, 'The file has a header and no rows.', 'Each row needs a text and a label.');
  return rows;
}

interface CsvRecord {
  readonly cells: readonly string[];
  readonly line: number;
}

function split(file: string, content: string): CsvRecord[] {
  const tabs = !file.toLowerCase().endsWith('.csv');
  let line = 1;
  try {
    const parsed = parse(content, {
      bom: true,
      delimiter: tabs ? '\t' : ',',
      quote: tabs ? null : '"',
      relax_column_count: true,
      skip_empty_lines: true,
      info: true,
    }) as unknown as { record: string[]; info: { lines: number } }[];
    return parsed.map(({ record, info }) => {
      const start = line;
      line = info.lines + 1;
      return { cells: record, line: start };
    });
  } catch (cause) {
    const at = (cause as CsvError & { lines?: number }).lines ?? line;
    return invalid(file, at, (cause as Error).message, 'Double quotes inside a quoted CSV cell are written twice.');
  }
}

function columns(file: string, first: readonly string[]) {
  const names = first.map((name) => name.trim().toLowerCase());
  const text = names.findIndex((name) => TEXT_COLUMNS.includes(name));
  const label = names.findIndex((name) => LABEL_COLUMNS.includes(name));
  if (text >= 0 && label >= 0) return { header: true, text, label, width: names.length };
  if (names.length === 2) return { header: false, text: 0, label: 1, width: 2 };
  return invalid(
    file,
    1,
    `The first row has ${names.length} column${names.length === 1 ? '' : 's'}, not a text and a label.`,
    `Name the columns in a header, e.g. ${TEXT_COLUMNS[0]} and ${LABEL_COLUMNS[0]}, or write text and label only.`,
  );
}

/**
 * Turns labels into class indices.
 * @param labels what a file writes for each class
 * @throws TANDEM_DATA_INVALID for a label that is none of them
 */
export const toExamples = (file: string, rows: readonly Row[], labels: readonly string[]): Example[] => {
  const index = new Map(labels.map((label, i) => [label, i]));
  return rows.map(({ text, label, line }) => {
    const found = index.get(label);
    if (found !== undefined) return { text, label: found };
    const shown = label.length > 40 ? `${label.slice(0, 40)}…` : label;
    return invalid(
      file,
      line,
      `"${shown}" is no label of this data set. Did you mean "${closest(label, [...labels])}"?`,
      `Use one of: ${labels.join(', ')}.`,
    );
  });
};

export function invalid(file: string, line: number, message: string, remedy: string): never {
  throw new TandemError('TANDEM_DATA_INVALID', message, { place: `${file}:${line}`, remedy });
}
