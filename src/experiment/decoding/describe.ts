/** What was decoded, and what it was measured on, as results say it. */
import { parameterCount } from '../../graph/edit.js';
import { tandemVersion } from '../../version.js';
import type { PreparedDecoding } from './prepare.js';

export function describeDecoder(
  { name, seed }: { readonly name: string; readonly seed: number },
  { model, text, tokens }: PreparedDecoding,
) {
  const { layers, hidden, heads, vocabulary, context } = model.config;
  return {
    name,
    tandemVersion,
    seed,
    decoder: {
      name: model.name,
      parameters: parameterCount(model.graph),
      layers,
      hidden,
      heads,
      vocabulary,
      context,
      ...model.provenance,
    },
    text: {
      corpora: text.corpora.map(({ name }) => name),
      training: tokens.training.length,
      validation: tokens.validation.length,
      test: tokens.test.length,
      sha256: text.sha256,
    },
  } as const;
}

/** What the corpora say of themselves. */
export const corpusRemarks = ({ text }: Pick<PreparedDecoding, 'text'>): string[] =>
  text.corpora.flatMap(({ name, remarks }) => remarks.map((remark) => `${name}: ${remark}`));
