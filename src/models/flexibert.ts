/**
 * FlexiBERT 2.0 (Tuli & Jha, TransCODE, 2023): encoders whose layers differ in width, in the operations of their heads and
 * in their feed-forward stacks. Fresh weights.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { floatTensor, type Tensor } from '../graph/types.js';
import { readModelDictionary } from '../workload/files.js';
import { decodeTransformer } from '../workload/flexibert.js';
import { ARCHITECTURE_NAMES, namedArchitecture } from '../workload/named-transformers.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import { chooseTokenizer, freshBertWeights } from './bert.js';
import type { WeightSource } from './blocks.js';
import { buildEncoder, type Encoder } from './encoder.js';
import type { ClassifierModel, ModelFamily } from './types.js';
import { readUseLiteWords } from './use-lite.js';
import { INITIAL_DEVIATION } from './weights.js';

export const flexibertOptions = z.strictObject({
  architecture: z
    .union([
      z.enum(ARCHITECTURE_NAMES as [string, ...string[]]),
      z.string().regex(/\.json$/, 'the path of a model dictionary (.json)'),
      z.array(z.number()),
    ])
    .describe(
      'a well-known encoder by name, the path of a model dictionary, or the 37 numbers of a FlexiBERT 2.0 point',
    ),
  tokenizer: z
    .string()
    .optional()
    .describe('tokenizer.json, vocab.txt or a folder with one; default: the 8,000 pieces of use-lite'),
  embedding: z
    .enum(['fresh', 'use-lite'])
    .default('fresh')
    .describe(
      'word vectors to start from: fresh ones, or the pretrained ones of use-lite, for its tokenizer and a first layer of 256',
    ),
  maxTokens: z.int().min(2).max(512).default(128).describe('longer texts are cut; the length of transforms'),
});
export type FlexibertOptions = z.infer<typeof flexibertOptions>;

export const flexibert: ModelFamily<FlexibertOptions> = {
  name: 'flexibert',
  description:
    'FlexiBERT 2.0 encoders: layers of attention, transform and convolution heads side by side. Fresh weights.',
  schema: flexibertOptions,
  async load({ architecture: chosen, tokenizer: named, embedding, maxTokens }, { classes, seed, baseFolder }) {
    const sizes = architectureFrom(chosen, baseFolder);
    const tokenizer = await chooseTokenizer(named && resolve(baseFolder, named));
    const architecture = { ...sizes, vocabulary: tokenizer.vocabularySize, tokens: maxTokens };
    const fresh = freshFlexibertWeights(seed);
    const pretrained = embedding === 'use-lite' ? await pretrainedWords(architecture, named, fresh) : undefined;
    const encoder = buildFlexibert(architecture, pretrained?.weights ?? fresh, classes);
    const provenance = pretrained?.provenance ?? { source: 'fresh weights', licence: 'none', sha256: '' };
    const source = `${provenance.source}, seed ${seed}`;
    return { name: 'flexibert', tokenizer, maxTokens, ...encoder, provenance: { ...provenance, source } };
  },
};

/** Deviation of pretrained word vectors: above that of fresh positions, which are added to them and must not drown them. */
const WORD_DEVIATION = 2.5 * INITIAL_DEVIATION;

/** @throws TANDEM_CONFIG_INVALID where use-lite's vectors do not fit */
async function pretrainedWords(
  { layers, vocabulary }: TransformerArchitecture,
  tokenizer: string | undefined,
  fresh: WeightSource,
): Promise<{ weights: WeightSource; provenance: ClassifierModel['provenance'] }> {
  const { words, source, sha256 } = await readUseLiteWords();
  const [rows, width] = words.shape as [number, number];
  const [{ hidden }] = layers as [TransformerArchitecture['layers'][number]];
  if (tokenizer !== undefined || hidden !== width || vocabulary > rows) {
    throw new TandemError('TANDEM_CONFIG_INVALID', `The word vectors of use-lite are ${rows} of ${width}.`, {
      place: 'model.embedding',
      remedy: `Use them without a tokenizer of your own, in an encoder whose first layer is ${width} wide: bert-mini.`,
    });
  }
  const values = (words.data as Float32Array).subarray(0, vocabulary * width);
  const factor = WORD_DEVIATION / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  const scaled = floatTensor(
    values.map((value) => value * factor),
    [vocabulary, width],
  );
  return {
    weights: (name, shape) => (name === 'embedding.word.weight' ? scaled : fresh(name, shape)),
    provenance: { source: `word vectors of ${source}, other weights fresh`, licence: 'Apache-2.0', sha256 },
  };
}

function architectureFrom(chosen: FlexibertOptions['architecture'], baseFolder: string): TransformerArchitecture {
  const place = 'model.architecture';
  if (typeof chosen !== 'string') return decodeTransformer(chosen, place);
  if (ARCHITECTURE_NAMES.includes(chosen)) return namedArchitecture(chosen, place);
  return readModelDictionary(resolve(baseFolder, chosen));
}

/** The graph that `buildEncoder` describes, with BERT's other settings. */
export const buildFlexibert = (
  architecture: TransformerArchitecture,
  weights: WeightSource,
  classes: number,
): Encoder =>
  buildEncoder({ name: 'flexibert', architecture, segments: 2, epsilon: 1e-12, activation: 'gelu' }, weights, classes);

/**
 * As BERT's; weighted multiplicative attention starts as scaled dot products, with the unit matrix, and convolutions with
 * kernels N(0, 1/size), which keep the variance of their input.
 */
export function freshFlexibertWeights(seed: number): WeightSource {
  const fresh = freshBertWeights(seed);
  return (name, shape) => {
    if (name.endsWith('.weighting')) return unitMatrices(shape as [number, number, number]);
    const weights = fresh(name, shape);
    if (!name.endsWith('.kernel')) return weights;
    const factor = 1 / Math.sqrt(shape[0]!) / INITIAL_DEVIATION;
    return floatTensor(
      Array.from(weights.data as Float32Array, (value) => value * factor),
      shape,
    );
  };
}

function unitMatrices(shape: readonly [number, number, number]): Tensor {
  const [heads, dim] = shape;
  const values = new Float32Array(heads * dim * dim);
  for (let i = 0; i < heads * dim; i++) values[i * dim + (i % dim)] = 1;
  return floatTensor(values, shape);
}
