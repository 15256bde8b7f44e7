/**
 * GPT-2 cut where generation decides: behind the layers after which a token may stop; keys and values live outside of the
 * graphs. The initializers are those of `buildGpt2`.
 */
import { GraphBuilder } from '../graph/builder.js';
import { type Graph, int } from '../graph/types.js';
import type { DecoderStages } from '../runtime/decoding/types.js';
import * as blocks from './blocks.js';
import { finalNorm, type Gpt2Config, POSITION_EMBEDDING, WORD_EMBEDDING } from './gpt2.js';

/** @param weights gives the same tensor for a name however often it is asked */
export function gpt2Stages(config: Gpt2Config, weights: blocks.WeightSource): DecoderStages {
  const { layers, hidden, intermediate, vocabulary, context } = config;
  const words = weights(WORD_EMBEDDING, [vocabulary, hidden]);
  return {
    sizes: { layers, hidden, vocabulary, context },
    layerBytes: 4 * hidden * (4 * hidden + 2 * intermediate),
    words,
    positions: weights(POSITION_EMBEDDING, [context, hidden]),
    span: (from, to) => spanGraph(config, weights, from, to),
    norm: normGraph(config, weights),
    logits: logitsGraph(config, () => words),
  };
}

function spanGraph(config: Gpt2Config, weights: blocks.WeightSource, from: number, to: number): Graph {
  const b = new GraphBuilder(`layers${from}-${to}`);
  let rows = b.input('rows', 'float32', ['rows', config.hidden]);
  for (let layer = from; layer < to; layer++) rows = layerOver(b, weights, rows, config, `layer${layer}`);
  b.output(b.op('Identity', [rows], {}, 'output'));
  return b.finish();
}

/** One layer over the last `entering` rows, of which the last `whole` go on; returns all rows, those changed. */
function layerOver(
  b: GraphBuilder,
  weights: blocks.WeightSource,
  rows: string,
  config: Gpt2Config,
  layer: string,
): string {
  const { hidden, intermediate, epsilon, activation } = config;
  const part = (value: string, start: string, end: string, hint: string) =>
    b.op('Slice', [value, start, end, b.ints([0])], {}, `${layer}.${hint}`);
  const [start, end] = [b.ints([0]), b.ints([2 ** 31])];
  const [entering, whole] = ['entering', 'whole'].map((which) => b.input(`${layer}.${which}`, 'int64', [1]));
  const size = { size: hidden, epsilon };
  const norm = (x: string, name: string) => blocks.layerNorm(b, weights, x, size, name, `${name}ed`);
  const normed = norm(part(rows, entering!, end, 'rows.entering'), `${layer}.attention.norm`);
  const [query, key, value] = ['query', 'key', 'value'].map((name) =>
    blocks.linear(b, weights, normed, [hidden, hidden], `${layer}.${name}`),
  );
  b.output(key!);
  b.output(value!);
  const context = attention(b, { query: query!, key: key!, value: value! }, config, layer);
  const projected = blocks.linear(b, weights, context, [hidden, hidden], `${layer}.projection`);
  const middle = b.add(part(rows, whole!, end, 'rows.whole'), projected, `${layer}.attention.residual`);
  const feed = { width: hidden, stacks: [intermediate], activation };
  const fed = blocks.feedForward(b, weights, norm(middle, `${layer}.ffn.norm`), feed, `${layer}.ffn`);
  const left = b.add(middle, fed, `${layer}.output`);
  return b.op('Concat', [part(rows, start, whole!, 'rows.waiting'), left], { axis: int(0) }, `${layer}.rows`);
}

/** New rows [entering, hidden] → what the whole ones among them see of earlier and new keys: [whole, hidden]. */
function attention(
  b: GraphBuilder,
  { query, key, value }: { readonly query: string; readonly key: string; readonly value: string },
  { hidden, heads }: Gpt2Config,
  layer: string,
): string {
  const dim = hidden / heads;
  const [batch, queries] = [`${layer}.batch`, `${layer}.queries`];
  const places = b.input(`${layer}.places`, 'int64', [`${layer}.entering`, 2]);
  const asked = b.input(`${layer}.asked`, 'int64', [batch, queries]);
  const answers = b.input(`${layer}.answers`, 'int64', [`${layer}.whole`]);
  const mask = b.input(`${layer}.mask`, 'float32', [batch, 1, queries, `${layer}.known`]);
  const all = (name: string, rows: string) => {
    const known = b.input(`${layer}.${name}`, 'float32', [batch, `${layer}.known`, hidden]);
    return b.op('ScatterND', [known, places, rows], {}, `${layer}.${name}.all`);
  };
  const head = (x: string, order: readonly number[], name: string) =>
    b.transpose(b.reshape(x, [0, 0, heads, dim], `${layer}.${name}.split`), order, `${layer}.${name}.heads`);
  const questions = head(b.op('Gather', [query, asked], {}, `${layer}.asking`), [0, 2, 1, 3], 'query');
  const scores = b.matmul(questions, head(all('keys', key), [0, 2, 3, 1], 'keys'), `${layer}.scores`);
  const scaled = b.mul(scores, b.constant(1 / Math.sqrt(dim), 'scale'), `${layer}.scores.scaled`);
  const probabilities = b.softmax(b.add(scaled, mask, `${layer}.scores.masked`), -1, `${layer}.probabilities`);
  const seen = b.matmul(probabilities, head(all('values', value), [0, 2, 1, 3], 'values'), `${layer}.seen`);
  const merged = b.reshape(b.transpose(seen, [0, 2, 1, 3]), [-1, hidden], `${layer}.seen.merged`);
  return b.op('Gather', [merged, answers], {}, `${layer}.context`);
}

function normGraph(config: Gpt2Config, weights: blocks.WeightSource): Graph {
  const b = new GraphBuilder('final.norm');
  const rows = b.input('rows', 'float32', ['rows', config.hidden]);
  b.output(b.op('Identity', [finalNorm(b, weights, rows, config)], {}, 'normed'));
  return b.finish();
}

function logitsGraph({ hidden, vocabulary }: Gpt2Config, weights: blocks.WeightSource): Graph {
  const b = new GraphBuilder('logits');
  const normed = b.input('normed', 'float32', ['rows', hidden]);
  const words = b.initializer(WORD_EMBEDDING, weights(WORD_EMBEDDING, [vocabulary, hidden]));
  b.output(b.matmul(normed, b.transpose(words, [1, 0], 'embedding.output'), 'logits'));
  return b.finish();
}
