import { Command } from 'commander';
import type { TrainingSummary } from '../../experiment/api.js';
import { count, percent, plain, points } from '../../report/format.js';
import { formatTable, type TableFormat } from '../../report/tables.js';
import type { CliContext } from '../context.js';
import { loadPipeline } from '../pipeline.js';
import { factTable } from '../results.js';
import { inRunFolder, type RunOptions, runCommandOptions } from '../runs.js';

export function trainCommand(context: CliContext): Command {
  return runCommandOptions(
    new Command('train').description(
      'Only train: the baseline and the adapted model. `tandem run --resume` goes on from there.',
    ),
  ).action(async (file: string | undefined, options: RunOptions) => {
    await inRunFolder(context, 'train', file, options, async (loaded, folder) => {
      const { trainModel } = await loadPipeline();
      const summary = await trainModel(loaded, folder, { progress: context.progress, signal: context.signal });
      context.progress.stop();
      context.stdout.write(text(summary, folder.path, options.format));
    });
  });
}

type Threshold = TrainingSummary['thresholds'][number];

function text(summary: TrainingSummary, folder: string, format: TableFormat): string {
  if (format === 'json') return `${JSON.stringify(summary, null, 2)}\n`;
  const thresholds = formatTable<Threshold>(
    summary.thresholds,
    [
      { key: 'layer', header: 'layer', value: ({ layer }) => layer },
      { key: 'head', header: 'head', value: ({ head }) => head },
      {
        key: 'threshold',
        header: 'threshold',
        value: ({ threshold }) => threshold,
        text: ({ threshold }) => plain(threshold, 4),
      },
    ],
    format,
  );
  if (format === 'csv') return thresholds;
  const { baseline, adapted, examples } = summary.accuracy;
  const facts: [string, string][] = [
    ['baseline accuracy', `${percent(baseline, 2)} of ${count(examples)} test examples`],
    ['adapted accuracy', `${percent(adapted, 2)} (${points(adapted - baseline)})`],
    [summary.thresholds.length > 0 ? 'scores pruned' : 'activations that are zero', percent(summary.pruningRate)],
    ['folder', folder],
  ];
  return `${factTable('training', facts)}${summary.thresholds.length > 0 ? thresholds : ''}`;
}
