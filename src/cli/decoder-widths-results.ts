/** Results of experiments on the widths of a decoder's tokens as text on standard output. */
import type { DecoderWidthsResult } from '../experiment/decoder-widths/result.js';
import { change, count, percent, significant, sureness } from '../report/format.js';
import { machineColumns } from '../report/machine-columns.js';
import { compared, lostPerplexity, widestOf } from '../report/sections/decoder-widths-summary.js';
import { formatTable, type TableFormat } from '../report/tables.js';
import { factTable } from './results.js';

/** The summary of a run: quality, bits, machines. CSV has the machines only. */
export function decoderWidthsText(result: DecoderWidthsResult, folder: string, format: TableFormat): string {
  if (format === 'json') return `${JSON.stringify(result, null, 2)}\n`;
  if (format === 'csv') return formatTable(result.machines, machineColumns, 'csv');
  const { quality, search } = result;
  const [before] = compared(result);
  const widest = widestOf(result);
  const facts: [string, string][] = [
    ['perplexity, as it is', `${significant(before.perplexity, 4)} on ${count(quality.tokens)} test tokens`],
    ...quality.choices
      .slice(1)
      .map((choice): [string, string] => [
        `perplexity, ${choice.name}`,
        `${significant(choice.perplexity, 4)} (${change(lostPerplexity(before, choice))}), ` +
          `${percent(choice.bitsRead!)} of the bits of keys and values at ${widest} bits`,
      ]),
    ...(search
      ? [
          [
            'confirmed',
            `at most ${percent(search.chosen.confirmedAtMost, 2)} more perplexity with ${sureness(search.confidence)} on ` +
              `${count(search.confirmation.sequences)} sequences${search.chosen.cost === 1 ? '; nothing cheaper' : ''}`,
          ] satisfies [string, string],
        ]
      : []),
    ['report', `${folder}/report.html`],
  ];
  const machines = result.machines.length > 0 ? formatTable(result.machines, machineColumns, 'table') : '';
  return `${factTable(result.name, facts)}${machines}`;
}
