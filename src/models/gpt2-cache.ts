/**
 * GPT-2 as one graph that takes the keys and values of earlier tokens and gives back those with its own: for prompts and
 * single tokens alike, in the names and shapes of Hugging Face's exporter (optimum, `text-generation-with-past`).
 */
import { GraphBuilder } from '../graph/builder.js';
import { floatTensor, type Graph, int } from '../graph/types.js';
import * as blocks from './blocks.js';
import { finalNorm, type Gpt2Config, outputLogits, POSITION_EMBEDDING, WORD_EMBEDDING } from './gpt2.js';

/** A score that softmax turns into exactly 0 in float32. */
const MASKED_SCORE = -1e9;

/**
 * Inputs: `input_ids` and `position_ids` int64 [batch, tokens]; `attention_mask` float32 [batch, all], all = past +
 * tokens; `past_key_values.N.key` and `.value` float32 [batch, heads, past, head size].
 * Outputs: `logits` [batch, tokens, vocabulary]; `present.N.key` and `.value` [batch, heads, all, head size].
 */
export function gpt2WithCache(config: Gpt2Config, weights: blocks.WeightSource): Graph {
  const { layers, hidden, heads, vocabulary, context } = config;
  const b = new GraphBuilder('gpt2-with-cache');
  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const places = b.input('position_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'all']);
  const past = Array.from({ length: layers }, (_, layer) =>
    ['key', 'value'].map((part) =>
      b.input(`past_key_values.${layer}.${part}`, 'float32', ['batch', heads, 'past', hidden / heads]),
    ),
  );
  const table = (name: string, rows: number) => b.initializer(name, weights(name, [rows, hidden]));
  const words = b.op('Gather', [table(WORD_EMBEDDING, vocabulary), ids], {}, 'embedding.words');
  const positions = b.op('Gather', [table(POSITION_EMBEDDING, context), places], {}, 'embedding.positions');
  let x = b.add(words, positions, 'embedding');
  const bias = b.add(blocks.attentionBias(b, mask), causalBias(b, ids, mask, past[0]![0]!), 'causal_bias');
  const presents: string[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const [key, value] = past[layer]!;
    const [output, ...present] = cachedLayer(b, weights, { x, bias, key: key!, value: value! }, config, layer);
    x = output!;
    presents.push(...present);
  }
  b.output(outputLogits(b, finalNorm(b, weights, x, config), 'logits'));
  for (const present of presents) b.output(present);
  return b.finish();
}

/** x [batch, tokens, hidden] → the layer's output of the same shape, present keys, present values. */
function cachedLayer(
  b: GraphBuilder,
  weights: blocks.WeightSource,
  { x, bias, key, value }: { x: string; bias: string; key: string; value: string },
  { hidden, heads, intermediate, epsilon, activation }: Gpt2Config,
  layer: number,
): string[] {
  const name = `layer${layer}`;
  const dim = hidden / heads;
  const norm = (from: string, part: string) =>
    blocks.layerNorm(b, weights, from, { size: hidden, epsilon }, `${name}.${part}`, `${name}.${part}ed`);
  const normed = norm(x, 'attention.norm');
  const head = (part: string) => {
    const wide = blocks.linear(b, weights, normed, [hidden, hidden], `${name}.${part}`, `${name}.${part}.linear`);
    return b.transpose(b.reshape(wide, [0, 0, heads, dim], `${name}.${part}.split`), [0, 2, 1, 3], `${name}.${part}`);
  };
  const query = head('query');
  const joined = (before: string, part: string) =>
    b.op('Concat', [before, head(part)], { axis: int(2) }, `present.${layer}.${part}`);
  const [keys, values] = [joined(key, 'key'), joined(value, 'value')];
  const scores = b.matmul(query, b.transpose(keys, [0, 1, 3, 2], `${name}.key.transposed`), `${name}.scores`);
  const scaled = b.mul(scores, b.constant(1 / Math.sqrt(dim), `${name}.scale`), `${name}.scores.scaled`);
  const probabilities = b.softmax(b.add(scaled, bias, `${name}.scores.masked`), -1, `${name}.probabilities`);
  const seen = b.transpose(b.matmul(probabilities, values, `${name}.context`), [0, 2, 1, 3]);
  const merged = b.reshape(seen, [0, 0, hidden], `${name}.context.merged`);
  const attention = blocks.linear(b, weights, merged, [hidden, hidden], `${name}.projection`, `${name}.attention`);
  const middle = b.add(x, attention, `${name}.attention.residual`);
  const feed = { width: hidden, stacks: [intermediate], activation };
  const fed = blocks.feedForward(b, weights, norm(middle, 'ffn.norm'), feed, `${name}.ffn`);
  return [b.add(middle, fed, `${name}.output`), keys, values];
}

/** What is added to scores so that no query sees a later key: [tokens, all]; the query i is the key past + i. */
function causalBias(b: GraphBuilder, ids: string, mask: string, pastKeys: string): string {
  const side = (value: string, axis: number, hint: string) =>
    b.op('Shape', [value], { start: int(axis), end: int(axis + 1) }, hint);
  const shape = b.op('Concat', [side(ids, 1, 'tokens'), side(mask, 1, 'all')], { axis: int(0) }, 'scores.shape');
  const filled = b.op('Expand', [b.constant(floatTensor([MASKED_SCORE], [1, 1]), 'later_score'), shape], {}, 'later');
  const above = b.add(b.op('Squeeze', [side(pastKeys, 2, 'past')]), b.scalar('int64', 1, 'one_more'), 'above');
  return b.op('Trilu', [filled, above], { upper: int(1) }, 'later.score');
}
