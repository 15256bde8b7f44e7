/** What a reader of a trained decoder's folder must know, as its README. */
import { count, plain } from '../../report/format.js';
import type { LoadedDecoding } from '../load.js';
import type { PreparedDecoding } from './prepare.js';

/** @param losses nats at each exit on the test split */
export function modelCard(
  { experiment }: LoadedDecoding,
  { model, text, tokens }: PreparedDecoding,
  losses: readonly number[],
): string {
  const { config, provenance } = model;
  const { training } = experiment;
  const weights = [...model.trainable].reduce((sum, name) => sum + model.graph.initializers.get(name)!.data.length, 0);
  const corpora = text.corpora.map(
    ({ name, source, licence, sha256, remarks }) =>
      `| ${name} | ${source} | ${licence} | ${remarks.join('; ') || 'as it is'} | \`${sha256.slice(0, 16)}\` |`,
  );
  const exits = losses.map((loss, layer) => `| ${layer + 1} | ${plain(loss, 3)} | ${plain(Math.exp(loss), 2)} |`);
  return `# ${experiment.name}

A GPT-2 decoder of ${config.layers} layers, ${config.hidden} wide, ${config.heads} heads, ${count(config.vocabulary)} tokens, contexts of ${count(config.context)}:
${count(weights)} weights in half precision, trained with the language-model loss at the exit of every layer, so that
each token may leave early. It shows how early exit behaves; it is far too small to say anything of use.

## Files

\`model.safetensors\`, \`config.json\` and \`tokenizer.json\` (byte-level BPE, trained on the same text) as the transformers
library stores them.

## Recipe

Started from ${provenance.source}; the text’s order by seed ${experiment.seed}. ${
    training
      ? `${count(training.steps)} steps of ${count(training.batchSize * training.accumulate)} sequences of ${count(training.tokens ?? config.context)} tokens,
AdamW, peak learning rate ${training.learningRate}, weight decay ${training.weightDecay}, ${training.schedule} schedule, weights of the exits: ${training.exitWeights}${training.exitSequences ? `; exits before the last learn from ${training.exitSequences} sequences of a batch each` : ''}.`
      : ''
  }

## Data

${count(tokens.training.length)} tokens to train on, ${count(tokens.validation.length)} to validate, ${count(tokens.test.length)} to test: the last ${plain(100 * experiment.text.heldOut, 1)} % of each corpus'
documents are held out, alternately for validation and test.

| corpus | source | licence | changes | SHA-256 |
|---|---|---|---|---|
${corpora.join('\n')}

## Loss on the test split

| exit after layer | nats a token | perplexity |
|---|---|---|
${exits.join('\n')}

## Licence

The weights: Apache-2.0. The texts: as above.
`;
}
