/** A tiny BERT in a Hugging Face folder, made of seeded random numbers. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tensor } from '../../src/graph/types.js';
import { normalWeights } from '../../src/models/weights.js';
import { writeSafetensors } from '../../src/runtime/safetensors-files.js';

export const VOCABULARY = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  '[MASK]',
  'the',
  'film',
  'was',
  'good',
  'bad',
  '##ly',
  ',',
  '.',
];

export const CONFIG = {
  model_type: 'bert',
  vocab_size: 16,
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
  max_position_embeddings: 10,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_act: 'gelu',
};

/** Weights under the names and in the layout of the transformers library, for two classes. */
export function bertTensors(): Map<string, Tensor> {
  const normal = normalWeights(11, 0.5);
  const tensors = new Map<string, Tensor>();
  const dense = (name: string, from: number, to: number) => {
    tensors.set(`${name}.weight`, normal([to, from]));
    tensors.set(`${name}.bias`, normal([to]));
  };
  const norm = (name: string) => {
    for (const kind of ['weight', 'bias']) tensors.set(`${name}.${kind}`, normal([8]));
  };
  const rows = { word_embeddings: 16, position_embeddings: 10, token_type_embeddings: 2 };
  for (const [name, count] of Object.entries(rows)) tensors.set(`bert.embeddings.${name}.weight`, normal([count, 8]));
  norm('bert.embeddings.LayerNorm');
  for (const layer of ['bert.encoder.layer.0', 'bert.encoder.layer.1']) {
    for (const part of ['query', 'key', 'value']) dense(`${layer}.attention.self.${part}`, 8, 8);
    dense(`${layer}.attention.output.dense`, 8, 8);
    norm(`${layer}.attention.output.LayerNorm`);
    dense(`${layer}.intermediate.dense`, 8, 12);
    dense(`${layer}.output.dense`, 12, 8);
    norm(`${layer}.output.LayerNorm`);
  }
  dense('bert.pooler.dense', 8, 8);
  dense('classifier', 8, 2);
  return tensors;
}

export interface FolderChanges {
  readonly config?: object;
  readonly tensors?: (tensors: Map<string, Tensor>) => void;
  readonly vocabulary?: readonly string[];
}

export async function writeBertFolder(folder: string, changes: FolderChanges = {}): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const tensors = bertTensors();
  changes.tensors?.(tensors);
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...CONFIG, ...changes.config }));
  writeFileSync(join(folder, 'vocab.txt'), `${(changes.vocabulary ?? VOCABULARY).join('\n')}\n`);
  await writeSafetensors(join(folder, 'model.safetensors'), { tensors, metadata: { format: 'pt' } });
  return folder;
}
