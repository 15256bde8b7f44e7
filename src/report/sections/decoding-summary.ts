/** The top of a report on decoding: what leaving early costs in quality, how much shallower it is, and what machines gain. */
import type { DecodingQuality, DecodingResult } from '../../experiment/decoding/result.js';
import { fewerDecoders, keepsBudget, lossOf, perplexityChange } from '../exit-budget.js';
import { markedQualities } from '../figures/depth-quality.js';
import { change, count, percent, ratio, significant } from '../format.js';
import { type Html, html, htmlTable } from '../html.js';
import type { Section } from '../page.js';
import { machineGains, machineTable, smallUnit } from './summary.js';

export function decodingSummary(result: DecodingResult): Section {
  return {
    id: 'summary',
    title: 'Summary',
    body: html`<p>${headline(result)}</p>
${tiles(result)}${rivalsTable(result)}${result.machines.length > 0 && machineTable(result.machines)}`,
  };
}

function headline(result: DecodingResult): string {
  const { decoder, technique, quality, calibration, text } = result;
  const { full, adapted } = quality;
  const gains = machineGains(result.machines);
  return (
    `With ${technique.name}, a token of ${text.corpora.join(', ')} runs ${significant(adapted.meanDecoders)} of the ` +
    `${decoder.layers} decoders of ${decoder.name} on average, ${ratio(fewerDecoders(adapted, full))} fewer, at ` +
    `${change(perplexityChange(adapted, full))} perplexity; ${percent(adapted.agreement, 2)} of the next tokens are those of all layers.` +
    (calibration ? ` ${budgetSentence(quality, calibration.budget)}` : '') +
    (gains ? ` ${gains}` : '')
  );
}

type Budget = NonNullable<DecodingResult['calibration']>['budget'];

function budgetSentence({ full, adapted }: DecodingResult['quality'], budget: Budget): string {
  const bound =
    budget.measure === 'perplexity'
      ? `${percent(budget.loss, 2)} more perplexity`
      : `${percent(budget.loss, 2)} of the tokens other than with all layers`;
  const lost = percent(lossOf(adapted, full, budget), 2);
  return keepsBudget(adapted, full, budget)
    ? `That keeps the budget of ${bound}, which was set for the calibration text.`
    : `That misses the budget of ${bound}: on the calibration text it was kept, here ${lost} is lost.`;
}

function tiles({ quality, decoder }: DecodingResult): Html {
  const { full, adapted, tokens, candidateHits } = quality;
  const entries: readonly (readonly [string, string, string])[] = [
    ['perplexity, all layers', significant(full.perplexity, 4), `on ${count(tokens)} test tokens`],
    [
      'perplexity, adapted',
      significant(adapted.perplexity, 4),
      `${change(perplexityChange(adapted, full))}, on the same tokens`,
    ],
    ['agreement', percent(adapted.agreement, 2), 'of next tokens are those of all layers'],
    [
      'mean decoders',
      significant(adapted.meanDecoders),
      `of ${decoder.layers} a token: ${ratio(fewerDecoders(adapted, full))} fewer`,
    ],
    ['candidate hits', percent(candidateHits, 2), 'of early tokens: the most probable token was a candidate'],
  ];
  return html`<dl class="tiles">
${entries.map(([term, value, note]) => html`<div><dt>${term}</dt><dd>${smallUnit(value)}<small>${note}</small></dd></div>\n`)}</dl>
`;
}

interface NamedQuality extends DecodingQuality {
  readonly name: string;
}

function rivalsTable(result: DecodingResult): Html {
  const { quality, technique } = result;
  return qualityTable(
    `Ways to decode the same ${count(quality.tokens)} test tokens, teacher-forced. Rivals have the thresholds of ${technique.name}. ` +
      'Changes and factors are against all layers.',
    markedQualities(result),
    quality.full,
  );
}

/** Quality on the text where thresholds were chosen. */
export function calibrationTable({ calibration, technique }: DecodingResult): Html | undefined {
  if (!calibration) return undefined;
  const { full, calibrated, uniform, fixed, tokens } = calibration;
  return qualityTable(
    `Where thresholds were chosen: ${count(tokens)} validation tokens. The single threshold is the best one for all layers that ` +
      'keeps the same budget there.',
    [
      { name: 'all layers', ...full },
      { name: `${technique.name}, a threshold for each layer`, ...calibrated },
      { name: `${technique.name}, a single threshold`, ...uniform },
      { name: 'one depth for all tokens', ...fixed },
    ],
    full,
  );
}

function qualityTable(caption: string, rows: readonly NamedQuality[], full: DecodingQuality): Html {
  return htmlTable(
    caption,
    [
      { header: 'decoding', cell: ({ name }) => name },
      { header: 'perplexity', numeric: true, cell: ({ perplexity }) => significant(perplexity, 4) },
      { header: 'change', numeric: true, cell: (row) => change(perplexityChange(row, full)) },
      { header: 'agreement', numeric: true, cell: ({ agreement }) => percent(agreement, 2) },
      { header: 'mean decoders', numeric: true, cell: ({ meanDecoders }) => significant(meanDecoders) },
      { header: 'fewer', numeric: true, cell: (row) => ratio(fewerDecoders(row, full)) },
    ],
    rows,
  );
}
