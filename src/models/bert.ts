/**
 * BERT (Devlin et al., NAACL 2019): a post-layer-norm encoder with learned positions and a pooler over the first token.
 * Fresh in any size, or with the weights of a Hugging Face folder. Dropout is left out: runs are deterministic.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { BERT_SIZES, type EncoderSizes, uniformArchitecture } from '../workload/named-transformers.js';
import { checkpointWeights, readBertCheckpoint } from './bert-checkpoint.js';
import type * as blocks from './blocks.js';
import { type Checkpoint, readCheckpointConfig } from './checkpoint.js';
import { buildEncoder, type Encoder } from './encoder.js';
import { readHuggingFaceTokenizer, requireTokenizerFits } from './hugging-face-tokenizer.js';
import type { ModelFamily, Tokenizer } from './types.js';
import { readUseLiteTokenizer } from './use-lite.js';
import { normalWeights, ones, zeros } from './weights.js';

const count = z.int().positive();
const customSize = z
  .strictObject({ layers: count, hidden: count, heads: count, intermediate: count })
  .refine(({ hidden, heads }) => hidden % heads === 0, {
    error: 'must divide hidden',
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
    const config = folder ? await readConfig(folder) : freshConfig(size, maxTokens, tokenizer);
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

function build(config: BertConfig, checkpoint: Checkpoint | undefined, classes: number, seed: number) {
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

/** The graph that `buildEncoder` describes, every layer alike. */
export function buildBert(config: BertConfig, weights: blocks.WeightSource, classes: number): Encoder {
  const { vocabulary, positions } = config;
  const architecture = uniformArchitecture(config, { name: 'bert', vocabulary, tokens: positions });
  return buildEncoder({ ...config, name: 'bert', architecture }, weights, classes);
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

/** The tokenizer at a path, or the 8,000 pieces of use-lite with begin and end symbols. */
export async function chooseTokenizer(path: string | undefined): Promise<Tokenizer> {
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

async function readConfig(folder: string): Promise<BertConfig> {
  const config = await readCheckpointConfig(folder, configSchema, 'BERT');
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
}
