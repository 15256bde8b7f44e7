/** BERT weights of a Hugging Face folder: model.safetensors under the names of the transformers library. */
import type { WeightSource } from './blocks.js';
import { type Checkpoint, readCheckpoint, requireNoProblems, sameShape, transposed } from './checkpoint.js';

/** Tensors are under names without the prefix `bert.`. @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID */
export async function readBertCheckpoint(folder: string, alsoHash: readonly string[]): Promise<Checkpoint> {
  const { tensors, ...read } = await readCheckpoint(folder, alsoHash);
  return { ...read, tensors: new Map([...tensors].map(([name, value]) => [modernName(name), value])) };
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
export function checkpointWeights({ file, tensors }: Checkpoint, fresh: WeightSource): CheckpointWeights {
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
    requireNoProblems(problems, file);
    return made;
  };
  return { weights, finish };
}
