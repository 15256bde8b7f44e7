/**
 * GPT-2 (Radford et al., 2019): a pre-layer-norm decoder with learned positions; the word embedding is also the output
 * embedding. Dropout is left out: runs are deterministic.
 */
import { GraphBuilder } from '../graph/builder.js';
import { floatTensor, type Graph, int } from '../graph/types.js';
import { type EncoderSizes, uniformArchitecture } from '../workload/named-transformers.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import * as blocks from './blocks.js';
import { INITIAL_DEVIATION, normalWeights, ones, zeros } from './weights.js';

export interface Gpt2Config extends EncoderSizes {
  readonly vocabulary: number;
  /** Most tokens of a sequence. */
  readonly context: number;
  readonly epsilon: number;
  readonly activation: blocks.Activation;
}

/** Initializers that exits share with the model's end. */
export const WORD_EMBEDDING = 'embedding.word.weight';
export const POSITION_EMBEDDING = 'embedding.position.weight';
export const FINAL_NORM = 'final.norm';

/** A score that softmax turns into exactly 0 in float32. */
const MASKED_SCORE = -1e9;

export interface Decoder {
  /**
   * Inputs: `input_ids` int64 [batch, tokens]; `attention_mask` float32 [batch, tokens], 1 for real tokens.
   * Output: `logits` float32 [batch, tokens, vocabulary], of the token that follows each.
   */
  readonly graph: Graph;
  readonly trainable: readonly string[];
  readonly architecture: TransformerArchitecture;
}

/**
 * The whole decoder, for training and for passes over a text. Besides the values that `blocks` names, with prefixes layer0,
 * layer1, …: `embedding`, `layerN.output` [batch, tokens, hidden]; `final.norm.output`, which the output embedding reads.
 */
export function buildGpt2(config: Gpt2Config, weights: blocks.WeightSource): Decoder {
  const { layers, hidden, vocabulary, context } = config;
  const b = new GraphBuilder('gpt2');
  const trainable: string[] = [];
  const trained: blocks.WeightSource = (name, shape) => {
    trainable.push(name);
    return weights(name, shape);
  };
  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);
  const table = (name: string, rows: number) => b.initializer(name, trained(name, [rows, hidden]));
  const words = b.op('Gather', [table(WORD_EMBEDDING, vocabulary), ids], {}, 'embedding.words');
  const places = blocks.positions(b, table(POSITION_EMBEDDING, context), ids, 'embedding.positions');
  let x = b.add(words, places, 'embedding');
  const bias = b.add(blocks.attentionBias(b, mask), causalBias(b, ids), 'causal_bias');
  for (let layer = 0; layer < layers; layer++) x = decoderLayer(b, trained, x, bias, config, `layer${layer}`);
  b.output(outputLogits(b, finalNorm(b, trained, x, config), 'logits'));
  const architecture = uniformArchitecture(config, { name: 'gpt2', vocabulary, tokens: context });
  return { graph: b.finish(), trainable, architecture };
}

/** x [batch, tokens, hidden] → `${name}.output`, of the same shape. */
function decoderLayer(
  b: GraphBuilder,
  weights: blocks.WeightSource,
  x: string,
  bias: string,
  config: Gpt2Config,
  name: string,
): string {
  const { hidden, heads, intermediate, epsilon, activation } = config;
  const norm = (value: string, part: string) =>
    blocks.layerNorm(b, weights, value, { size: hidden, epsilon }, `${name}.${part}`, `${name}.${part}ed`);
  const sizes = { from: hidden, heads, dim: hidden / heads, to: hidden };
  const attention = blocks.selfAttention(b, weights, norm(x, 'attention.norm'), bias, sizes, name);
  const middle = b.add(x, attention, `${name}.attention.residual`);
  const feed = { width: hidden, stacks: [intermediate], activation };
  const fed = blocks.feedForward(b, weights, norm(middle, 'ffn.norm'), feed, `${name}.ffn`);
  return b.add(middle, fed, `${name}.output`);
}

/** The norm before the output embedding, of x [..., hidden]. */
export function finalNorm(
  b: GraphBuilder,
  weights: blocks.WeightSource,
  x: string,
  { hidden, epsilon }: Gpt2Config,
): string {
  return blocks.layerNorm(b, weights, x, { size: hidden, epsilon }, FINAL_NORM, `${FINAL_NORM}.output`);
}

/** Rows of x [..., hidden], normalised, times the word embedding: [..., vocabulary]. */
export function outputLogits(b: GraphBuilder, normed: string, name: string): string {
  const hint = 'embedding.output';
  const transposed = b.types.has(hint) ? hint : b.transpose(WORD_EMBEDDING, [1, 0], hint);
  return b.matmul(normed, transposed, name);
}

/** What is added to scores so that no query sees a later key: [tokens, tokens]. */
function causalBias(b: GraphBuilder, ids: string): string {
  const count = b.op('Shape', [ids], { start: int(1), end: int(2) }, 'square.side');
  const square = b.op('Concat', [count, count], { axis: int(0) }, 'square');
  const filled = b.op('Expand', [b.constant(floatTensor([MASKED_SCORE], [1, 1]), 'later_score'), square], {}, 'later');
  return b.op('Trilu', [filled, b.scalar('int64', 1, 'above')], { upper: int(1) }, 'later.score');
}

/**
 * Fresh weights as Radford et al. describe them: N(0, 0.02²), projections into the residual stream divided by the root of
 * their number; biases 0, norms 1.
 */
export function freshGpt2Weights(seed: number, layers: number): blocks.WeightSource {
  const normal = normalWeights(seed);
  const residual = normalWeights(seed + 1, INITIAL_DEVIATION / Math.sqrt(2 * layers));
  return (name, shape) => {
    if (name.endsWith('.bias')) return zeros(shape);
    if (name.endsWith('norm.weight')) return ones(shape);
    return /\.(projection|ffn\.contract)\.weight$/.test(name) ? residual(shape) : normal(shape);
  };
}
