/** The top of a report on the widths of a decoder's tokens: what they cost in perplexity, and what machines gain. */
import type { DecoderWidthsResult, WidthsQuality } from '../../experiment/decoder-widths/result.js';
import { costName } from '../figures/search.js';
import { change, count, percent, plain, significant, sureness } from '../format.js';
import { type Html, html, htmlTable } from '../html.js';
import type { Section } from '../page.js';
import type { WidthsSearched } from '../search-view.js';
import { choicesTable, equalNote } from './comparison.js';
import { machineGains, machineTable, smallUnit } from './summary.js';

export function decoderWidthsSummary(result: DecoderWidthsResult): Section {
  return {
    id: 'summary',
    title: 'Summary',
    body: html`<p>${headline(result)}</p>
${tiles(result)}${qualityTable(result)}${result.machines.length > 0 && machineTable(result.machines, widthsTraces(result))}${equalNote(result)}`,
  };
}

/** Whose steps each machine played; empty where there is but one trace. */
export function widthsTraces({ technique, rivals, machines }: DecoderWidthsResult): Map<string, string> {
  if (rivals.length === 0) return new Map();
  const others = new Map(rivals.flatMap(({ name, machines: own }) => own.map((machine) => [machine, name] as const)));
  return new Map(machines.map(({ name }) => [name, others.get(name) ?? technique.name]));
}

/** The decoder as it is, and what the experiment is about. */
export function compared({ quality }: Pick<DecoderWidthsResult, 'quality'>): [WidthsQuality, WidthsQuality] {
  return [quality.choices[0]!, quality.choices.at(-1)!];
}

/** The width that bits are told over. */
export const widestOf = ({ technique }: Pick<DecoderWidthsResult, 'technique'>): number =>
  (technique.options as { readonly widths: readonly number[] }).widths[0]!;

export const lostPerplexity = (before: WidthsQuality, after: WidthsQuality): number =>
  after.perplexity / before.perplexity - 1;

function headline(result: DecoderWidthsResult): string {
  const { decoder, technique, search, text, rivals } = result;
  const [before, after] = compared(result);
  const lost = lostPerplexity(before, after);
  const others = new Set(rivals.flatMap(({ machines }) => machines));
  const gains = machineGains(result.machines.filter(({ name }) => !others.has(name)));
  return (
    `With ${technique.name}, steps of ${decoder.name} on ${text.corpora.join(', ')} read ${percent(after.bitsRead!)} of the bits of keys and ` +
    `values that ${widestOf(result)} bits for all tokens take, at ${change(lost)} perplexity.` +
    (search ? ` ${budgetSentence(lost, search.perplexityBudget)}` : '') +
    (gains ? ` ${gains}` : '')
  );
}

const budgetSentence = (lost: number, budget: number): string =>
  `That ${lost <= budget ? 'keeps' : 'misses'} the budget of ${percent(budget, 2)} more, which was confirmed on validation text.`;

function tiles(result: DecoderWidthsResult): Html {
  const [before, after] = compared(result);
  const { tokens } = result.quality;
  const entries: readonly (readonly [string, string, string])[] = [
    ['perplexity, as it is', significant(before.perplexity, 4), `on ${count(tokens)} test tokens`],
    [
      'perplexity, adapted',
      significant(after.perplexity, 4),
      `${change(lostPerplexity(before, after))}, on the same tokens`,
    ],
    ['keys and values read', percent(after.bitsRead!), `of the bits at ${widestOf(result)} bits`],
  ];
  return html`<dl class="tiles">
${entries.map(([term, value, note]) => html`<div><dt>${term}</dt><dd>${smallUnit(value)}<small>${note}</small></dd></div>\n`)}</dl>
`;
}

function qualityTable(result: DecoderWidthsResult): Html {
  const { quality } = result;
  const [before] = compared(result);
  return htmlTable(
    `Choices of widths on the same ${count(quality.tokens)} test tokens, teacher-forced; changes against the decoder as it is, with their ` +
      '95\u00a0% intervals over sequences. Bits read are those of keys and values by steps of the traced sequences, over ' +
      `those of ${widestOf(result)} bits for all tokens.`,
    [
      { header: 'widths', cell: ({ name }) => name },
      { header: 'perplexity', numeric: true, cell: ({ perplexity }) => significant(perplexity, 4) },
      {
        header: 'change',
        numeric: true,
        cell: (row) =>
          row.interval
            ? html`${change(lostPerplexity(before, row))}<small>${row.interval.map((end) => change(end)).join(' … ')}</small>`
            : '–',
      },
      {
        header: 'bits read',
        numeric: true,
        cell: ({ bitsRead }) => (bitsRead === undefined ? '–' : percent(bitsRead)),
      },
    ],
    quality.choices,
  );
}

/** The chosen value of each dimension, and how well it keeps the budget. */
export function widthsSearchTable({ technique, search }: WidthsSearched): Html {
  const { chosen, calibration, confirmation, perplexityBudget, confidence, samplers } = search;
  const trials = samplers[0]!.runs.reduce((sum, run) => sum + run.trials.length, 0);
  const on = (perplexity: number, baseline: number) =>
    `${significant(perplexity, 4)} (${change(perplexity / baseline - 1)})`;
  return choicesTable(
    `Options of ${technique}, found by ${samplers[0]!.name} search in ${count(trials)} trials: the cheapest that lose at most ` +
      `${percent(perplexityBudget)} of perplexity, confirmed from the dearest on. Shares are of what the layer before left.`,
    search,
    [
      [`relative ${costName(search)}`, plain(chosen.cost)],
      [
        `perplexity on ${count(calibration.sequences)} calibration sequences`,
        on(chosen.perplexity, calibration.baseline),
      ],
      [
        `perplexity on ${count(confirmation.sequences)} other validation sequences`,
        on(chosen.confirmed, confirmation.baseline),
      ],
      [`more at most there, with ${sureness(confidence)}`, percent(chosen.confirmedAtMost, 2)],
    ],
  );
}
