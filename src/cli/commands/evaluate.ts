import { Command, Option } from 'commander';
import type { EvaluationRequest, EvaluationResult } from '../../experiment/api.js';
import { percent } from '../../report/format.js';
import { type Column, formatTable, type TableFormat } from '../../report/tables.js';
import type { CliContext } from '../context.js';
import { formatOption, positiveInteger, positiveOrZero } from '../options.js';
import { loadPipeline } from '../pipeline.js';

interface Row extends Omit<EvaluationResult, 'metrics' | 'sparsity'> {
  readonly metric: string;
  readonly value: number;
}

const columns: readonly Column<Row>[] = [
  { key: 'model', header: 'model', value: ({ model }) => model },
  { key: 'threshold', header: 'threshold', value: ({ threshold }) => threshold },
  { key: 'dataset', header: 'data set', value: ({ dataset }) => dataset },
  { key: 'split', header: 'split', value: ({ split }) => split },
  { key: 'examples', header: 'examples', value: ({ examples }) => examples },
  { key: 'metric', header: 'metric', value: ({ metric }) => metric },
  { key: 'value', header: 'value', value: ({ value }) => value, text: ({ value }) => percent(value, 2) },
];

export function evaluateCommand(context: CliContext): Command {
  return new Command('evaluate')
    .description('Measure a trained model on held-out examples.')
    .argument('<source>', 'run folder, or .onnx file that `tandem export` wrote')
    .addOption(new Option('--dataset <name>', 'another data set than the model was trained on'))
    .addOption(new Option('--folder <folder>', 'folder of the data, for data sets that need one'))
    .addOption(new Option('--split <split>', 'which examples').choices(['validation', 'test']).default('test'))
    .addOption(new Option('--examples <number>', 'only the first so many').argParser(positiveInteger))
    .addOption(
      new Option(
        '--threshold <value>',
        'measure the adapted model at another run-time threshold (techniques with one: dynatran)',
      ).argParser(positiveOrZero),
    )
    .addOption(formatOption())
    .action(
      async (source: string, { format, ...options }: Omit<EvaluationRequest, 'source'> & { format: TableFormat }) => {
        const { evaluateModel } = await loadPipeline();
        const request = { source, ...options };
        const results = await evaluateModel(request, { progress: context.progress, signal: context.signal });
        context.progress.stop();
        const rows = results.flatMap(({ metrics, sparsity, ...result }) =>
          Object.entries({ ...metrics, ...(sparsity !== undefined && { sparsity }) }).map(([metric, value]) => ({
            ...result,
            metric,
            value,
          })),
        );
        const isShown = ({ key }: Column<Row>) =>
          key !== 'threshold' || rows.some(({ threshold }) => threshold !== undefined);
        context.stdout.write(formatTable(rows, columns.filter(isShown), format));
      },
    );
}
