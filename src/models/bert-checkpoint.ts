/** BERT weights of a Hugging Face folder: model.safetensors under the names of the transformers library. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TandemError } from '../errors.js';
import { floatTensor, type Tensor } from '../graph/types.js';
import { readSafetensors } from '../runtime/safetensors-files.js';
import type { WeightSource } from './blocks.js';

export interface BertCheckpoint {
  readonly file: string;
  /** Under names without the prefix `bert.`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Over the files of the folder that were read. */
  readonly sha256: string;
}

/**
 * @param alsoHash further files of the folder that the hash covers, where they exist
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID
 */
export async function readBertCheckpoint(folder: string, alsoHash: readonly string[]): Promise<BertCheckpoint> {
  const file = join(folder, 'model.safetensors');
  if (!existsSync(file)) {
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no ${file}.`, {
      place: file,
      remedy: "Save the model as safetensors: model.save_pretrained('folder', safe_serialization=True).",
    });
  }
  const { tensors } = await readSafetensors(file);
  const hash = createHash('sha256');
  for (const path of [file, ...alsoHash.map((name) => join(folder, name)).filter(existsSync)]) {
    await pipeline(createReadStream(path), hash, { end: false });
  }
  const renamed = [...tensors].map(([name, value]) => [modernName(name), toFloat32(value)] as const);
  return { file, tensors: new Map(renamed), sha256: hash.digest('hex') };
}

/** Half-precision weights in single precision, exactly; other types as they are. */
function toFloat32(value: Tensor): Tensor {
  if (value.dtype !== 'float16') return value;
  const single = (bits: number): number => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
  };
  return floatTensor(Array.from(value.data as Uint16Array, single), value.shape);
}

/** Checkpoints of 2019 call a layer norm's weight gamma and its bias beta. */
const modernName = (name: string): string =>
  name
    .replace(/^bert\./, '')
    .replace(/LayerNorm\.gamma$/, 'LayerNorm.weight')
    .replace(/LayerNorm\.beta$/, 'LayerNorm.bias');

/** Heads of pre-training, and a buffer that is no weight. */
const NOT_USED = /^cls\.|^embeddings\.position_ids$/;
/** What a pre-trained encoder may lack, and fine-tuning learns. */
const MAY_BE_FRESH = /^(pooler|classifier)\./;

const EMBEDDINGS: Readonly<Record<string, string>> = {
  word: 'embeddings.word_embeddings',
  position: 'embeddings.position_embeddings',
  segment: 'embeddings.token_type_embeddings',
  norm: 'embeddings.LayerNorm',
};
const LAYER_PARTS: Readonly<Record<string, string>> = {
  query: 'attention.self.query',
  key: 'attention.self.key',
  value: 'attention.self.value',
  projection: 'attention.output.dense',
  'attention.norm': 'attention.output.LayerNorm',
  'ffn.expand': 'intermediate.dense',
  'ffn.contract': 'output.dense',
  'ffn.norm': 'output.LayerNorm',
};

/** `layer3.query.weight` → `encoder.layer.3.attention.self.query.weight`. */
export function transformersName(weight: string): string {
  const dot = weight.lastIndexOf('.');
  const [owner, kind] = [weight.slice(0, dot), weight.slice(dot + 1)];
  const layer = /^layer(\d+)\.(.+)$/.exec(owner);
  if (layer) return `encoder.layer.${layer[1]}.${LAYER_PARTS[layer[2]!]}.${kind}`;
  if (owner.startsWith('embedding.')) return `${EMBEDDINGS[owner.slice('embedding.'.length)]}.${kind}`;
  return owner === 'pooler' ? `pooler.dense.${kind}` : weight;
}

/** A matrix of a dense layer, which the transformers library stores as [to, from]. */
const isTransposed = (weight: string, shape: readonly number[]): boolean =>
  shape.length === 2 && !weight.startsWith('embedding.');

export interface CheckpointWeights {
  readonly weights: WeightSource;
  /** To call when the model is built: names the weights that were made fresh. @throws TANDEM_CHECKPOINT_INVALID */
  finish(): string[];
}

/**
 * Weights from a checkpoint. A pooler or classifier that it lacks, and a classifier for another number of classes, are
 * made fresh. Every other tensor that is missing, misshapen or unknown is reported when all have been asked for.
 */
export function checkpointWeights({ file, tensors }: BertCheckpoint, fresh: WeightSource): CheckpointWeights {
  const problems: string[] = [];
  const used = new Set<string>();
  const made: string[] = [];
  const weights: WeightSource = (weight, shape) => {
    const name = transformersName(weight);
    const stored = isTransposed(weight, shape) ? [...shape].reverse() : shape;
    const found = tensors.get(name);
    used.add(name);
    if (found?.dtype === 'float32' && sameShape(found.shape, stored)) {
      return isTransposed(weight, shape) ? transposed(found) : found;
    }
    const mayBeFresh = found ? name.startsWith('classifier.') : MAY_BE_FRESH.test(name);
    if (mayBeFresh) made.push(weight);
    else if (!found) problems.push(`${name}: missing, [${stored.join(', ')}]`);
    else problems.push(`${name}: ${found.dtype} [${found.shape.join(', ')}] instead of float32 [${stored.join(', ')}]`);
    return fresh(weight, shape);
  };
  const finish = (): string[] => {
    for (const name of tensors.keys()) {
      if (!used.has(name) && !NOT_USED.test(name)) problems.push(`${name}: unknown`);
    }
    if (problems.length === 0) return made;
    const listed = problems.slice(0, 10).join('; ') + (problems.length > 10 ? `; ${problems.length - 10} more` : '');
    throw new TandemError('TANDEM_CHECKPOINT_INVALID', `The weights do not fit the configuration: ${listed}.`, {
      place: file,
      remedy: `Use the config.json that belongs to ${basename(file)}.`,
    });
  };
  return { weights, finish };
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

function transposed({ shape, data }: Tensor): Tensor {
  const [rows, columns] = shape as [number, number];
  const from = data as Float32Array;
  const values = new Float32Array(from.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) values[column * rows + row] = from[row * columns + column]!;
  }
  return floatTensor(values, [columns, rows]);
}
