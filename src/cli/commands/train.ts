import { join } from 'node:path';
import { Command } from 'commander';
import { TandemError } from '../../errors.js';
import type { DecoderSummary, TrainingSummary } from '../../experiment/api.js';
import { MODEL_FOLDER } from '../../experiment/decoding/model-folder.js';
import { count, percent, plain, points } from '../../report/format.js';
import { formatTable, type TableFormat } from '../../report/tables.js';
import type { CliContext } from '../context.js';
import { loadDecoding, loadPipeline } from '../pipeline.js';
import { factTable } from '../results.js';
import { inRunFolder, type RunOptions, runCommandOptions } from '../runs.js';

export function trainCommand(context: CliContext): Command {
  return runCommandOptions(
    new Command('train').description(
      'Only train: the baseline and the adapted model, or a decoder. `tandem run --resume` goes on from there.',
    ),
  ).action(async (file: string | undefined, options: RunOptions) => {
    await inRunFolder(context, 'train', file, options, async (loaded, folder) => {
      if (loaded.kind === 'decoding') {
        const { trainDecoding } = await loadDecoding();
        const summary = await trainDecoding(loaded, folder, { progress: context.progress, signal: context.signal });
        context.progress.stop();
        context.stdout.write(decoderText(summary, folder.path, options.format));
        return;
      }
      if (loaded.kind === 'decoder-widths') {
        throw new TandemError('TANDEM_CONFIG_INVALID', 'The experiment trains nothing: its decoder stays as it is.', {
          place: loaded.file,
          remedy: 'Run it: tandem run.',
        });
      }
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

/** How well a trained decoder speaks after each of its layers. */
function decoderText({ losses, testTokens }: DecoderSummary, folder: string, format: TableFormat): string {
  if (format === 'json')
    return `${JSON.stringify({ losses, testTokens, model: join(folder, MODEL_FOLDER) }, null, 2)}\n`;
  const exits = formatTable(
    losses.map((loss, layer) => ({ exit: layer + 1, loss, perplexity: Math.exp(loss) })),
    [
      { key: 'exit', header: 'exit after layer', value: ({ exit }) => exit },
      { key: 'loss', header: 'nats a token', value: ({ loss }) => loss, text: ({ loss }) => plain(loss, 3) },
      {
        key: 'perplexity',
        header: 'perplexity',
        value: ({ perplexity }) => perplexity,
        text: ({ perplexity }) => plain(perplexity, 2),
      },
    ],
    format,
  );
  if (format === 'csv') return exits;
  const facts: [string, string][] = [
    ['measured on', `${count(testTokens)} tokens of the test split`],
    ['decoder', join(folder, MODEL_FOLDER)],
  ];
  return `${factTable('training', facts)}${exits}`;
}
