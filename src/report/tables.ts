/** Tables for the terminal and for scripts: the same rows and columns as text, JSON or CSV. */
import Table from 'cli-table3';
import { stringify } from 'csv-stringify/sync';
import { printable } from './html.js';

export type TableFormat = 'table' | 'json' | 'csv';
export type CellValue = string | number | boolean | undefined;

export interface Column<Row> {
  /** Name in JSON and CSV, in camel case with its unit: "energyPicojoules". */
  readonly key: string;
  /** Heading in the text table. */
  readonly header: string;
  /** The raw value, for JSON and CSV. */
  readonly value: (row: Row) => CellValue;
  /** What the text table shows; by default the raw value. */
  readonly text?: (row: Row) => string;
  /** Only JSON and CSV have this column; the text table shows it within another. */
  readonly dataOnly?: boolean;
}

/** Rows as objects keyed by column; undefined values are left out of JSON and empty in CSV. */
export function tableRecords<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): Record<string, CellValue>[] {
  return rows.map((row) => Object.fromEntries(columns.map((column) => [column.key, column.value(row)])));
}

/** Ends with a newline. Columns of numbers are aligned to the right; control characters are made harmless. */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  format: TableFormat = 'table',
): string {
  if (format === 'json') return `${JSON.stringify(tableRecords(rows, columns), null, 2)}\n`;
  if (format === 'csv')
    return csv(
      tableRecords(rows, columns),
      columns.map((column) => column.key),
    );
  const shown = columns.filter(({ dataOnly }) => !dataOnly);
  const numeric = (column: Column<Row>) =>
    rows.length > 0 && rows.every((row) => typeof column.value(row) !== 'string');
  const table = new Table({
    head: shown.map((column) => column.header),
    colAligns: shown.map((column) => (numeric(column) ? 'right' : 'left')),
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    table.push(shown.map((column) => printable(column.text?.(row) ?? String(column.value(row) ?? ''))));
  }
  return `${table.toString()}\n`;
}

/** Records as CSV with a header line, RFC 4180 quoting and raw numbers. */
export function csv(records: readonly Readonly<Record<string, CellValue>>[], columns?: readonly string[]): string {
  return stringify([...records], {
    header: true,
    columns: columns ? [...columns] : undefined,
    cast: { boolean: (value) => String(value), number: (value) => String(value) },
  });
}
