import { Command } from 'commander';
import { count, percent, plain } from '../../report/format.js';
import { type Column, formatTable, type TableFormat } from '../../report/tables.js';
import { openTrace } from '../../trace/files.js';
import { type HeadStatistics, summariseTrace, type TraceSummary } from '../../trace/statistics.js';
import type { CliContext } from '../context.js';
import { formatOption } from '../options.js';
import { factTable } from '../results.js';

const headColumns: readonly Column<HeadStatistics>[] = [
  { key: 'layer', header: 'layer', value: (head) => head.layer },
  { key: 'head', header: 'head', value: (head) => head.head },
  { key: 'threshold', header: 'threshold', value: (head) => head.threshold, text: (head) => plain(head.threshold, 4) },
  { key: 'scores', header: 'scores', value: (head) => head.scores, text: (head) => count(head.scores) },
  { key: 'survivors', header: 'survivors', value: (head) => head.survivors, text: (head) => count(head.survivors) },
  {
    key: 'pruningRate',
    header: 'pruned',
    value: (head) => head.pruningRate,
    text: (head) => percent(head.pruningRate),
  },
  { key: 'rows', header: 'rows', value: (head) => head.rows, text: (head) => count(head.rows) },
  { key: 'emptyRows', header: 'empty rows', value: (head) => head.emptyRows, text: (head) => count(head.emptyRows) },
];

export function traceCommand(context: CliContext): Command {
  const show = new Command('show')
    .description('Check a trace from end to end and print what it says, in total and by attention head.')
    .argument('<file>', 'trace file')
    .addOption(formatOption())
    .action(async (file: string, { format }: { format: TableFormat }) => {
      const summary = await summariseTrace(await openTrace(file));
      if (format === 'json') context.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
      else if (format === 'csv') context.stdout.write(formatTable(summary.heads, headColumns, 'csv'));
      else context.stdout.write(text(summary));
    });
  return new Command('trace').description('Look into trace files.').addCommand(show);
}

function text(summary: TraceSummary): string {
  const { header, records } = summary;
  const facts: [string, string][] = [
    ['model', header.model],
    ['task', header.task],
    ['technique', header.technique],
    ['written by', header.producer],
    ['sequences', count(summary.sequences)],
    ['tokens', `${count(summary.tokens)}, and ${count(summary.paddingTokens)} of padding`],
    [
      'records',
      Object.entries(records)
        .filter(([, number]) => number > 0)
        .map(([kind, number]) => `${count(number)} ${kind}`)
        .join(', ') || 'none',
    ],
    [
      'scores',
      `${count(summary.scores)}, of which ${count(summary.survivors)} survive (${percent(summary.pruningRate)} pruned)`,
    ],
    ...Object.entries(header.notes),
  ];
  const table = factTable('trace', facts);
  return summary.heads.length > 0 ? `${table}${formatTable(summary.heads, headColumns, 'table')}` : table;
}
