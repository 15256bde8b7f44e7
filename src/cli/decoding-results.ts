/** Results of experiments on decoding as text on standard output. */
import type { DecodingResult } from '../experiment/decoding/result.js';
import { fewerDecoders, perplexityChange } from '../report/exit-budget.js';
import { isChecked } from '../report/figures/exit-thresholds.js';
import { change, count, percent, plain, ratio, significant } from '../report/format.js';
import { machineColumns } from '../report/machine-columns.js';
import { formatTable, type TableFormat } from '../report/tables.js';
import { factTable } from './results.js';

/** The summary of a run: quality, depth, machines. CSV has the machines only. */
export function decodingText(result: DecodingResult, folder: string, format: TableFormat): string {
  if (format === 'json') return `${JSON.stringify(result, null, 2)}\n`;
  if (format === 'csv') return formatTable(result.machines, machineColumns, 'csv');
  const { quality, decoder, technique } = result;
  const { full, adapted, rivals, tokens } = quality;
  const facts: [string, string][] = [
    ['perplexity, all layers', `${significant(full.perplexity, 4)} on ${count(tokens)} test tokens`],
    [
      `perplexity, ${technique.name}`,
      `${significant(adapted.perplexity, 4)} (${change(perplexityChange(adapted, full))})`,
    ],
    ['same next token', percent(adapted.agreement, 2)],
    [
      'decoders a token',
      `${significant(adapted.meanDecoders)} of ${decoder.layers}: ${ratio(fewerDecoders(adapted, full))} fewer`,
    ],
    ['candidate hits', percent(quality.candidateHits, 2)],
    ['thresholds', thresholdText(result)],
    ...rivals.map((rival): [string, string] => [
      rival.name,
      `${percent(rival.agreement, 2)} same next token, perplexity ${significant(rival.perplexity, 4)} ` +
        `(${change(perplexityChange(rival, full))}), ${significant(rival.meanDecoders)} decoders`,
    ]),
    ['report', `${folder}/report.html`],
  ];
  const machines = result.machines.length > 0 ? formatTable(result.machines, machineColumns, 'table') : '';
  return `${factTable(result.name, facts)}${machines}`;
}

/** As many as fit a line of the terminal. */
const SHOWN = 11;

function thresholdText({ thresholds, calibration }: DecodingResult): string {
  const shown = thresholds.slice(0, SHOWN).map((least) => (isChecked(least) ? plain(least, 2) : '–'));
  const rest = thresholds.length > SHOWN ? ` … (${thresholds.length} in all)` : '';
  return `${shown.join(' ')}${rest}${calibration ? ', calibrated' : ''}`;
}
