/**
 * BERT (Devlin et al., NAACL 2019): a post-layer-norm encoder with learned positions and a pooler over the first token.
 * Fresh in any size, or with the weights of a Hugging Face folder. Dropout is left out: runs are deterministic.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import type { Graph } from '../graph/types.js';
import { BERT_SIZES, type EncoderSizes } from '../workload/named-transformers.js';
import { type BertCheckpoint, checkpointWeights, readBertCheckpoint } from './bert-checkpoint.js';
import * as blocks from './blocks.js';
import { readHuggingFaceTokenizer, requireTokenizerFits } from './hugging-face-tokenizer.js';
import type { ModelFamily, Tokenizer } from './types.js';
import { readUseLiteTokenizer } from './use-lite.js';
import { normalWeights, ones, zeros } from './weights.js';

const count = z.int().positive();
const customSize = z
  .strictObject({ layers: count, hidden: count, heads: count, intermediate: count })
  .refine(({ hidden, heads }) => hidden % heads === 0, {
    error: 'hidden must be a multiple of heads',
    path: ['heads'],
  });

export const bertOptions = z
  .strictObject({
    folder: z
      .string()
      .optional()
      .describe('Hugging Face folder: config.json, model.safetensors, tokenizer.json or vocab.txt'),
    size: z
      .union([z.enum(Object.keys(BERT_SIZES) as (keyof typeof BERT_SIZES)[]), customSize])
      .optional()
      .describe('without a folder: the size of a fresh model (default tiny)'),
    tokenizer: z
      .string()
      .optional()
      .describe(
        "tokenizer.json, vocab.txt or a folder with one; default: the folder's, or the 8,000 pieces of use-lite",
      ),
    maxTokens: z.int().min(2).max(512).default(128).describe('longer texts are cut'),
  })
  .refine(({ folder, size }) => folder === undefined || size === undefined, {
    error: 'a folder brings its own size: give one of them',
    path: ['size'],
  });
export type BertOptions = z.infer<typeof bertOptions>;

export const bert: ModelFamily<BertOptions> = {
  name: 'bert',
  description: 'BERT encoders, fresh in any size from tiny to large, or from a Hugging Face folder.',
  schema: bertOptions,
  async load({ folder: given, size, tokenizer: named, maxTokens }, { classes, seed, baseFolder }) {
    const from = (path: string | undefined) => path && resolve(baseFolder, path);
    const folder = from(given);
    const tokenizer = await chooseTokenizer(from(named) ?? folder);
    const config = folder ? await readConfig(join(folder, 'config.json')) : freshConfig(size, maxTokens, tokenizer);
    requireTokenizerFits(tokenizer.vocabularySize, config.vocabulary, folder ?? 'model.tokenizer');
    if (maxTokens > config.positions) {
      throw new TandemError('TANDEM_CONFIG_INVALID', `The model has ${config.positions} positions.`, {
        place: 'model.maxTokens',
        remedy: `Set maxTokens to at most ${config.positions}.`,
      });
    }
    const checkpoint = folder ? await readBertCheckpoint(folder, HASHED_FILES) : undefined;
    return { name: 'bert', tokenizer, maxTokens, ...build(config, checkpoint, classes, seed) };
  },
};

/** What decides a loaded model besides its weights. */
const HASHED_FILES = ['config.json', 'tokenizer.json', 'vocab.txt', 'tokenizer_config.json'];

function build(config: BertConfig, checkpoint: BertCheckpoint | undefined, classes: number, seed: number) {
  const fresh = freshBertWeights(seed);
  if (!checkpoint) {
    const provenance = { source: `fresh weights, seed ${seed}`, licence: 'none', sha256: '' };
    return { ...buildBert(config, fresh, classes), provenance };
  }
  const { weights, finish } = checkpointWeights(checkpoint, fresh);
  const built = buildBert(config, weights, classes);
  const made = finish();
  const note = made.length > 0 ? `; fresh, seed ${seed}: ${made.join(', ')}` : '';
  return { ...built, provenance: { source: checkpoint.file + note, licence: 'not stated', sha256: checkpoint.sha256 } };
}

export interface BertConfig extends EncoderSizes {
  readonly vocabulary: number;
  readonly positions: number;
  readonly segments: number;
  readonly epsilon: number;
  readonly activation: blocks.Activation;
}

/**
 * The encoder and a classifier. Besides the values that `blocks` names, with prefixes layer0, layer1, …: `embedding` and
 * `layerN.output` [batch, tokens, hidden]; `pooled` [batch, hidden], which the classifier reads.
 */
export function buildBert(
  config: BertConfig,
  weights: blocks.WeightSource,
  classes: number,
): { graph: Graph; trainable: string[] } {
  const { hidden, intermediate, heads, activation, epsilon } = config;
  const b = new GraphBuilder('bert');
  const trainable: string[] = [];
  const trained: blocks.WeightSource = (name, shape) => {
    trainable.push(name);
    return weights(name, shape);
  };
  const table = (name: string, rows: number) => b.initializer(name, trained(name, [rows, hidden]));
  const norm = (x: string, name: string, output: string) =>
    blocks.layerNorm(b, trained, x, { size: hidden, epsilon }, name, output);
  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);

  const words = b.op('Gather', [table('embedding.word.weight', config.vocabulary), ids], {}, 'embedding.words');
  const places = table('embedding.position.weight', config.positions);
  const segments = table('embedding.segment.weight', config.segments);
  const placed = b.add(words, blocks.positions(b, places, ids, 'embedding.positions'), 'embedding.placed');
  const firstSegment = b.op('Gather', [segments, b.scalar('int64', 0, 'first')], {}, 'embedding.segment');
  let x = norm(b.add(placed, firstSegment, 'embedding.sum'), 'embedding.norm', 'embedding');

  const bias = blocks.attentionBias(b, mask);
  for (let layer = 0; layer < config.layers; layer++) {
    const name = `layer${layer}`;
    const attention = blocks.selfAttention(
      b,
      trained,
      x,
      bias,
      { from: hidden, inner: hidden, to: hidden, heads },
      name,
    );
    const attended = b.add(attention, x, `${name}.attention.residual`);
    const middle = norm(attended, `${name}.attention.norm`, `${name}.attention.normed`);
    const feed = { width: hidden, hidden: intermediate, activation };
    const fed = b.add(blocks.feedForward(b, trained, middle, feed, `${name}.ffn`), middle, `${name}.ffn.residual`);
    x = norm(fed, `${name}.ffn.norm`, `${name}.output`);
  }

  const first = blocks.firstToken(b, x, 'first_token');
  const pooled = b.op('Tanh', [blocks.linear(b, trained, first, [hidden, hidden], 'pooler')], {}, 'pooled');
  b.output(blocks.linear(b, trained, pooled, [hidden, classes], 'classifier', 'logits'));
  return { graph: b.finish(), trainable };
}

/** Weights N(0, 0.02²), biases 0, layer norms 1 and 0, as Devlin et al. start from. */
export function freshBertWeights(seed: number): blocks.WeightSource {
  const normal = normalWeights(seed);
  return (name, shape) => {
    if (name.endsWith('.bias')) return zeros(shape);
    return name.endsWith('norm.weight') ? ones(shape) : normal(shape);
  };
}

function freshConfig(size: BertOptions['size'], maxTokens: number, tokenizer: Tokenizer): BertConfig {
  return {
    ...(typeof size === 'object' ? size : BERT_SIZES[size ?? 'tiny']),
    vocabulary: tokenizer.vocabularySize,
    positions: maxTokens,
    segments: 2,
    epsilon: 1e-12,
    activation: 'gelu',
  };
}

async function chooseTokenizer(path: string | undefined): Promise<Tokenizer> {
  return path ? readHuggingFaceTokenizer(path) : withMarkers(await readUseLiteTokenizer(), 1, 2);
}

/** Puts a begin and an end symbol around every text, as BERT expects them. */
const withMarkers = (inner: Tokenizer, begin: number, end: number): Tokenizer => ({
  vocabularySize: inner.vocabularySize,
  encode: (text, maxTokens) => [begin, ...inner.encode(text, Math.max(0, maxTokens - 2)), end].slice(0, maxTokens),
  decode: (ids) => inner.decode(ids.filter((id) => id !== begin && id !== end)),
});

// A Hugging Face folder -------------------------------------------------------------------------------------------------

const configSchema = z.object({
  model_type: z.literal('bert'),
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  intermediate_size: count,
  max_position_embeddings: count,
  type_vocab_size: count,
  layer_norm_eps: z.number().positive().default(1e-12),
  hidden_act: z.enum(['gelu', 'relu']).default('gelu'),
});

async function readConfig(file: string): Promise<BertConfig> {
  const content = await readFile(file, 'utf8').catch((cause) => {
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no ${file}.`, {
      place: file,
      remedy: "Name a folder that the transformers library wrote: model.save_pretrained('folder').",
      cause,
    });
  });
  try {
    const config = configSchema.parse(JSON.parse(content));
    return {
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      heads: config.num_attention_heads,
      intermediate: config.intermediate_size,
      vocabulary: config.vocab_size,
      positions: config.max_position_embeddings,
      segments: config.type_vocab_size,
      epsilon: config.layer_norm_eps,
      activation: config.hidden_act,
    };
  } catch (cause) {
    throw new TandemError('TANDEM_CHECKPOINT_INVALID', 'The configuration is not that of a BERT model.', {
      place: `${file}: ${cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message}`,
      remedy: 'Other architectures load through the model family "onnx".',
      cause,
    });
  }
}
