import { Command } from 'commander';
import { count, percent, plain } from '../../report/format.js';
import { type Column, formatTable, type TableFormat } from '../../report/tables.js';
import { openTrace } from '../../trace/files.js';
import { isWeight } from '../../trace/matrices.js';
import {
  type HeadStatistics,
  type MatrixStatistics,
  summariseTrace,
  type TraceSummary,
} from '../../trace/statistics.js';
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

const matrixColumns: readonly Column<MatrixStatistics>[] = [
  { key: 'phase', header: 'phase', value: ({ phase }) => phase },
  { key: 'layer', header: 'layer', value: ({ layer }) => layer },
  { key: 'matrix', header: 'matrix', value: ({ matrix }) => matrix },
  { key: 'records', header: 'records', value: ({ records }) => records, text: ({ records }) => count(records) },
  { key: 'elements', header: 'elements', value: ({ elements }) => elements, text: ({ elements }) => count(elements) },
  { key: 'zeros', header: 'zeros', value: ({ zeros }) => zeros, text: ({ zeros }) => count(zeros) },
  {
    key: 'sparsity',
    header: 'sparsity',
    value: ({ sparsity }) => sparsity,
    text: ({ sparsity }) => percent(sparsity),
  },
];

const widthColumns: readonly Column<{ layer: number; bits: number; share: number }>[] = [
  { key: 'layer', header: 'layer', value: ({ layer }) => layer },
  { key: 'bits', header: 'bits a token', value: ({ bits }) => bits },
  { key: 'share', header: 'share of the tokens', value: ({ share }) => share, text: ({ share }) => percent(share) },
];

const exitColumns: readonly Column<{ layer: number; tokens: number; share: number }>[] = [
  { key: 'layer', header: 'left after layer', value: ({ layer }) => layer },
  { key: 'tokens', header: 'tokens', value: ({ tokens }) => tokens, text: ({ tokens }) => count(tokens) },
  { key: 'share', header: 'share', value: ({ share }) => share, text: ({ share }) => percent(share) },
];

export function traceCommand(context: CliContext): Command {
  const show = new Command('show')
    .description('Check a trace from end to end and print what it says, in total, by attention head and by matrix.')
    .argument('<file>', 'trace file')
    .addOption(formatOption())
    .action(async (file: string, { format }: { format: TableFormat }) => {
      const summary = await summariseTrace(await openTrace(file));
      if (format === 'json') context.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
      else if (format === 'csv') context.stdout.write(tables(summary, 'csv').join('\n'));
      else context.stdout.write(text(summary));
    });
  return new Command('trace').description('Look into trace files.').addCommand(show);
}

/** By attention head, by matrix, by layer, as far as the trace holds records of them; an empty trace has no heads. */
function tables({ heads, matrices, widths, exits }: TraceSummary, format: 'csv' | 'table'): string[] {
  const shares = widths.flatMap(({ layer, shares }) => shares.map((share) => ({ layer, ...share })));
  const left = exits.map((tokens, layer) => ({ layer: layer + 1, tokens, share: tokens / total(exits) }));
  const found = [
    ...(heads.length > 0 ? [formatTable(heads, headColumns, format)] : []),
    ...(matrices.length > 0 ? [formatTable(matrices, matrixColumns, format)] : []),
    ...(shares.length > 0 ? [formatTable(shares, widthColumns, format)] : []),
    ...(left.length > 0 ? [formatTable(left, exitColumns, format)] : []),
  ];
  return found.length > 0 ? found : [formatTable(heads, headColumns, format)];
}

const total = (counts: readonly number[]): number =>
  Math.max(
    1,
    counts.reduce((sum, number) => sum + number, 0),
  );

const KINDS: readonly (readonly [string, (matrix: MatrixStatistics) => boolean])[] = [
  ['activations', ({ phase, matrix }) => phase === 'forward' && !isWeight(matrix)],
  ['weights', ({ phase, matrix }) => phase === 'forward' && isWeight(matrix)],
  ['gradients of activations', ({ phase }) => phase === 'backward'],
  ['gradients of weights', ({ phase }) => phase === 'update'],
];

/** What the whole trace says of scores, or of activations where it holds masks. */
function totals({ records, scores, survivors, pruningRate, matrices }: TraceSummary): [string, string][] {
  const facts: [string, string][] = [];
  if (records['attention-head'] > 0) {
    const kept = `${count(survivors)} survive (${percent(pruningRate)} pruned)`;
    facts.push(['scores', `${count(scores)}, of which ${kept}`]);
  }
  for (const [kind, belongs] of KINDS) {
    const own = matrices.filter(belongs);
    if (own.length === 0) continue;
    const sum = (part: 'elements' | 'zeros') => own.reduce((total, matrix) => total + matrix[part], 0);
    const [elements, zeros] = [sum('elements'), sum('zeros')];
    const share = percent(elements === 0 ? 0 : zeros / elements);
    facts.push([kind, `${count(elements)} elements, of which ${count(zeros)} are zero (${share})`]);
  }
  return facts;
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
    ...totals(summary),
    ...meanDepth(summary),
    ...Object.entries(header.notes).map(([note, value]) => [note, shortened(value)] satisfies [string, string]),
  ];
  const table = factTable('trace', facts);
  const { heads, matrices, widths, exits } = summary;
  const isEmpty = heads.length + matrices.length + widths.length + exits.length === 0;
  return isEmpty ? table : [table, ...tables(summary, 'table')].join('');
}

function meanDepth({ exits }: TraceSummary): [string, string][] {
  if (exits.length === 0) return [];
  const depth = exits.reduce((sum, tokens, layer) => sum + tokens * (layer + 1), 0) / total(exits);
  return [['layers a token', `${plain(depth, 3)} of ${exits.length}`]];
}

/** Notes may hold whole architectures; `--format json` shows them in full. */
const LONGEST_NOTE = 80;
const shortened = (note: string): string => (note.length > LONGEST_NOTE ? `${note.slice(0, LONGEST_NOTE)}…` : note);
