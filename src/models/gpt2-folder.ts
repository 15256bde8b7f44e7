/** GPT-2 in a Hugging Face folder: config.json, model.safetensors, tokenizer.json, under the transformers library's names. */
import { join } from 'node:path';
import { z } from 'zod';
import { writeAtomically } from '../atomic-file.js';
import { floatTensor, type Tensor } from '../graph/types.js';
import { writeSafetensors } from '../runtime/safetensors-files.js';
import type { WeightSource } from './blocks.js';
import { type Checkpoint, readCheckpoint, readCheckpointConfig, requireNoProblems, sameShape } from './checkpoint.js';
import type { Gpt2Config } from './gpt2.js';
import { toFloat16 } from './half.js';

const count = z.int().positive();

const ACTIVATIONS = { gelu_new: 'gelu-tanh', gelu: 'gelu', relu: 'relu' } as const;

const configSchema = z
  .object({
    model_type: z.literal('gpt2'),
    vocab_size: count,
    n_positions: count,
    n_embd: count,
    n_layer: count,
    n_head: count,
    n_inner: count.nullish(),
    layer_norm_epsilon: z.number().positive().default(1e-5),
    activation_function: z.enum(['gelu_new', 'gelu', 'relu']).default('gelu_new'),
    // Variants that compute something else.
    scale_attn_weights: z.literal(true).default(true),
    scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
    tie_word_embeddings: z.literal(true).default(true),
  })
  .refine((config) => config.n_embd % config.n_head === 0, 'n_embd must be a multiple of n_head');

/** @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID */
export async function readGpt2Config(folder: string): Promise<Gpt2Config> {
  const config = await readCheckpointConfig(folder, configSchema, 'GPT-2');
  return {
    layers: config.n_layer,
    hidden: config.n_embd,
    heads: config.n_head,
    intermediate: config.n_inner ?? 4 * config.n_embd,
    vocabulary: config.vocab_size,
    context: config.n_positions,
    epsilon: config.layer_norm_epsilon,
    activation: ACTIVATIONS[config.activation_function],
  };
}

export interface Gpt2Checkpoint {
  readonly config: Gpt2Config;
  /** Gives every initializer of `buildGpt2`. */
  readonly weights: WeightSource;
  readonly sha256: string;
}

const HASHED_FILES = ['config.json', 'tokenizer.json'];

/** @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID naming every tensor that is missing, misshapen or unknown */
export async function readGpt2Folder(folder: string): Promise<Gpt2Checkpoint> {
  const config = await readGpt2Config(folder);
  const checkpoint = await readCheckpoint(folder, HASHED_FILES);
  const weights = new Map(split(config, checkpoint));
  return { config, sha256: checkpoint.sha256, weights: (name) => weights.get(name)! };
}

/** How the library stores what `buildGpt2` takes; its dense layers are [from, to], as Tandem's. */
const LAYER_PARTS = {
  'attention.norm': 'ln_1',
  projection: 'attn.c_proj',
  'ffn.norm': 'ln_2',
  'ffn.expand': 'mlp.c_fc',
  'ffn.contract': 'mlp.c_proj',
} as const;
/** Query, key and value lie side by side in one matrix. */
const PACKED = 'attn.c_attn';
const PACKED_PARTS = ['query', 'key', 'value'] as const;
/** A tied copy of the word embedding, and buffers that are no weights. */
const NOT_USED = /^lm_head\.weight$|^h\.\d+\.attn\.(bias|masked_bias)$/;

interface StoredWeight {
  readonly shape: readonly number[];
  /** Initializers that it holds, side by side along its last axis. */
  readonly holds: readonly string[];
}

/** Every tensor of a checkpoint, by its name in the file without the prefix `transformer.`. */
function storedWeights({ layers, hidden, intermediate, vocabulary, context }: Gpt2Config): Map<string, StoredWeight> {
  const stored = new Map<string, StoredWeight>();
  const add = (name: string, shape: readonly number[], ...holds: string[]) => stored.set(name, { shape, holds });
  const norm = (name: string, held: string) => {
    for (const kind of ['weight', 'bias']) add(`${name}.${kind}`, [hidden], `${held}.${kind}`);
  };
  const dense = (name: string, [from, to]: readonly [number, number], ...held: string[]) => {
    add(`${name}.weight`, [from, to], ...held.map((part) => `${part}.weight`));
    add(`${name}.bias`, [to], ...held.map((part) => `${part}.bias`));
  };
  add('wte.weight', [vocabulary, hidden], 'embedding.word.weight');
  add('wpe.weight', [context, hidden], 'embedding.position.weight');
  const sizes = {
    projection: [hidden, hidden],
    'ffn.expand': [hidden, intermediate],
    'ffn.contract': [intermediate, hidden],
  } as const;
  for (let layer = 0; layer < layers; layer++) {
    dense(`h.${layer}.${PACKED}`, [hidden, 3 * hidden], ...PACKED_PARTS.map((part) => `layer${layer}.${part}`));
    for (const [part, name] of Object.entries(LAYER_PARTS)) {
      const held = `layer${layer}.${part}`;
      if (part.endsWith('norm')) norm(`h.${layer}.${name}`, held);
      else dense(`h.${layer}.${name}`, sizes[part as keyof typeof sizes], held);
    }
  }
  norm('ln_f', 'final.norm');
  return stored;
}

/** The checkpoint's tensors as initializers. @throws TANDEM_CHECKPOINT_INVALID */
function* split(config: Gpt2Config, { file, tensors }: Checkpoint): Generator<[string, Tensor]> {
  const expected = storedWeights(config);
  const found = new Map([...tensors].map(([name, value]) => [name.replace(/^transformer\./, ''), value]));
  const problems: string[] = [];
  for (const [name, { shape }] of expected) {
    const value = found.get(name);
    if (!value) problems.push(`${name}: missing, [${shape.join(', ')}]`);
    else if (value.dtype !== 'float32' || !sameShape(value.shape, shape)) {
      problems.push(`${name}: ${value.dtype} [${value.shape.join(', ')}] instead of float32 [${shape.join(', ')}]`);
    }
  }
  for (const name of found.keys()) if (!expected.has(name) && !NOT_USED.test(name)) problems.push(`${name}: unknown`);
  requireNoProblems(problems, file);
  for (const [name, { holds }] of expected) {
    const value = found.get(name)!;
    for (const [part, held] of holds.entries()) yield [held, columns(value, part, holds.length)];
  }
}

/** One of several equal parts along the last axis. */
function columns({ shape, data }: Tensor, part: number, parts: number): Tensor {
  if (parts === 1) return floatTensor(data as Float32Array, shape);
  const wide = shape.at(-1)!;
  const width = wide / parts;
  const rows = data.length / wide;
  const values = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const start = row * wide + part * width;
    values.set((data as Float32Array).subarray(start, start + width), row * width);
  }
  return floatTensor(values, [...shape.slice(0, -1), width]);
}

/** The reverse of `columns`. */
function sideBySide(values: readonly Tensor[], shape: readonly number[]): Tensor {
  if (values.length === 1) return values[0]!;
  const wide = shape.at(-1)!;
  const width = wide / values.length;
  const joined = new Float32Array(values.length * values[0]!.data.length);
  for (const [part, { data }] of values.entries()) {
    for (let row = 0; row < data.length / width; row++) {
      joined.set((data as Float32Array).subarray(row * width, (row + 1) * width), row * wide + part * width);
    }
  }
  return floatTensor(joined, shape);
}

export interface Gpt2Export {
  readonly config: Gpt2Config;
  /** By initializer name. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** The content of tokenizer.json. */
  readonly tokenizer: object;
  /** The content of README.md: what the model is, what it was trained on, how, under which licence. */
  readonly card: string;
}

/** Writes a folder that the transformers library reads too; weights in half precision. */
export async function writeGpt2Folder(folder: string, { config, weights, tokenizer, card }: Gpt2Export): Promise<void> {
  const tensors = new Map(
    [...storedWeights(config)].map(([name, { shape, holds }]) => {
      const joined = sideBySide(
        holds.map((held) => weights.get(held)!),
        shape,
      );
      return [`transformer.${name}`, toFloat16(joined)] as const;
    }),
  );
  await writeSafetensors(join(folder, 'model.safetensors'), { tensors, metadata: { format: 'pt' } });
  await writeAtomically(join(folder, 'config.json'), `${JSON.stringify(storedConfig(config), null, 2)}\n`);
  await writeAtomically(join(folder, 'tokenizer.json'), `${JSON.stringify(tokenizer)}\n`);
  await writeAtomically(join(folder, 'README.md'), card);
}

function storedConfig(config: Gpt2Config): object {
  const [activation] = Object.entries(ACTIVATIONS).find(([, value]) => value === config.activation)!;
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    vocab_size: config.vocabulary,
    n_positions: config.context,
    n_embd: config.hidden,
    n_layer: config.layers,
    n_head: config.heads,
    n_inner: config.intermediate,
    layer_norm_epsilon: config.epsilon,
    activation_function: activation,
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
    torch_dtype: 'float16',
  };
}
