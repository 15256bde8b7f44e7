import { Command, Option } from 'commander';
import { TandemError } from '../../errors.js';
import { lookUpThreshold, type ThresholdLookup } from '../../experiment/threshold.js';
import { count, percent, points } from '../../report/format.js';
import { csv, type TableFormat } from '../../report/tables.js';
import type { CliContext } from '../context.js';
import { formatOption, share } from '../options.js';
import { factTable } from '../results.js';

/** As many as float32, in which models take it, can tell apart. */
const digits = (threshold: number): string => String(Number(threshold.toPrecision(7)));

function lookupText({ data, ...found }: ThresholdLookup, format: TableFormat): string {
  const { name: dataset, split, examples } = data;
  const record = { ...found, dataset, split, examples };
  if (format === 'json') return `${JSON.stringify(record, null, 2)}\n`;
  if (format === 'csv') return csv([record]);
  return factTable(found.rule, [
    ['threshold', digits(found.threshold)],
    ['found', found.found],
    ['zeros expected', percent(found.sparsity, 2)],
    ['accuracy expected', `${percent(found.accuracy, 2)} (${points(-found.accuracyLoss)})`],
    ['measured on', `${dataset}, ${split}: ${count(examples)} examples`],
  ]);
}

interface ThresholdOptions {
  readonly sparsity?: number;
  readonly accuracyLoss?: number;
  readonly format: TableFormat;
}

export function thresholdCommand(context: CliContext): Command {
  return new Command('threshold')
    .description('Look up the run-time threshold for a sparsity or an accuracy in what a run has measured.')
    .argument('<source>', 'run folder, or the profile.json of one')
    .addOption(new Option('--sparsity <share>', 'share of zeros wanted in the pruned activations').argParser(share))
    .addOption(
      new Option('--accuracy-loss <share>', 'accuracy that may be lost (0.005: half a point)')
        .argParser(share)
        .conflicts('sparsity'),
    )
    .addOption(formatOption())
    .action(async (source: string, { sparsity, accuracyLoss, format }: ThresholdOptions) => {
      const target = sparsity !== undefined ? { sparsity } : accuracyLoss !== undefined ? { accuracyLoss } : undefined;
      if (!target) {
        throw new TandemError('TANDEM_USAGE', 'It is not said what the threshold is to achieve.', {
          remedy: 'Give --sparsity or --accuracy-loss, a share from 0 to 1.',
        });
      }
      const found = await lookUpThreshold(source, target);
      context.stdout.write(lookupText(found, format));
    });
}
