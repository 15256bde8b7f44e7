/**
 * GPT-2 cut where generation decides: before and after each layer's attention, so that a token may stop after any layer
 * and keys and values live outside of the graphs. The initializers are those of `buildGpt2`.
 */
import { GraphBuilder } from '../graph/builder.js';
import type { Graph } from '../graph/types.js';
import type { DecoderStages } from '../runtime/decoding/types.js';
import * as blocks from './blocks.js';
import { finalNorm, type Gpt2Config, POSITION_EMBEDDING, WORD_EMBEDDING } from './gpt2.js';

/** @param weights asked once for each initializer of `buildGpt2` */
export function gpt2Stages(config: Gpt2Config, weights: blocks.WeightSource): DecoderStages {
  const { layers, hidden, vocabulary, context } = config;
  const words = weights(WORD_EMBEDDING, [vocabulary, hidden]);
  const each = (stage: (layer: number) => Graph) => Array.from({ length: layers }, (_, layer) => stage(layer));
  return {
    sizes: { layers, hidden, vocabulary, context },
    words,
    positions: weights(POSITION_EMBEDDING, [context, hidden]),
    enter: each((layer) => enterGraph(config, weights, `layer${layer}`)),
    attention: attentionGraph(config),
    leave: each((layer) => leaveGraph(config, weights, `layer${layer}`)),
    norm: normGraph(config, weights),
    logits: logitsGraph(config, () => words),
  };
}

/** rows → query, key, value: the norm before a layer's attention, and its three dense layers. */
function enterGraph({ hidden, epsilon }: Gpt2Config, weights: blocks.WeightSource, layer: string): Graph {
  const b = new GraphBuilder(`${layer}.enter`);
  const rows = b.input('rows', 'float32', ['rows', hidden]);
  const size = { size: hidden, epsilon };
  const normed = blocks.layerNorm(b, weights, rows, size, `${layer}.attention.norm`, 'normed');
  for (const part of ['query', 'key', 'value']) {
    b.output(blocks.linear(b, weights, normed, [hidden, hidden], `${layer}.${part}`, part));
  }
  return b.finish();
}

/** Attention of every head, without a weight: `blocks.attentionHeads` behind its dense layers. */
function attentionGraph({ hidden, heads }: Gpt2Config): Graph {
  const dim = hidden / heads;
  const b = new GraphBuilder('attention');
  const query = b.input('query', 'float32', ['queries', hidden]);
  const keys = b.input('keys', 'float32', ['keys', hidden]);
  const values = b.input('values', 'float32', ['keys', hidden]);
  const mask = b.input('mask', 'float32', ['queries', 'keys']);
  const head = (x: string, order: readonly number[], name: string) =>
    b.transpose(b.reshape(x, [-1, heads, dim], `${name}.split`), order, `${name}.heads`);
  const scores = b.matmul(head(query, [1, 0, 2], 'query'), head(keys, [1, 2, 0], 'keys'), 'scores');
  const scaled = b.mul(scores, b.constant(1 / Math.sqrt(dim), 'scale'), 'scores.scaled');
  const probabilities = b.softmax(b.add(scaled, mask, 'scores.masked'), -1, 'probabilities');
  const merged = b.transpose(b.matmul(probabilities, head(values, [1, 0, 2], 'values')), [1, 0, 2], 'context.heads');
  b.output(b.reshape(merged, [-1, hidden], 'context'));
  return b.finish();
}

/** context, rows → output: the projection, the residual stream, and the feed-forward part. */
function leaveGraph(config: Gpt2Config, weights: blocks.WeightSource, layer: string): Graph {
  const { hidden, intermediate, epsilon, activation } = config;
  const b = new GraphBuilder(`${layer}.leave`);
  const context = b.input('context', 'float32', ['rows', hidden]);
  const rows = b.input('rows', 'float32', ['rows', hidden]);
  const attention = blocks.linear(b, weights, context, [hidden, hidden], `${layer}.projection`, 'attention');
  const middle = b.add(rows, attention, 'attention.residual');
  const normed = blocks.layerNorm(b, weights, middle, { size: hidden, epsilon }, `${layer}.ffn.norm`, 'normed');
  const feed = { width: hidden, stacks: [intermediate], activation };
  b.output(b.add(middle, blocks.feedForward(b, weights, normed, feed, `${layer}.ffn`), 'output'));
  return b.finish();
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
