import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parameterCount } from '../../src/graph/edit.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { type Tensor, tensor } from '../../src/graph/types.js';
import { bert, buildBert, freshBertWeights } from '../../src/models/bert.js';
import { zeros } from '../../src/models/weights.js';
import { BERT_SIZES } from '../../src/workload/named-transformers.js';
import { bertTensors, type FolderChanges, writeBertFolder } from './bert-folder.js';
import { largestDifference, valuesOf } from './run.js';

const load = (options: object, classes = 2) =>
  bert.load(bert.schema.parse(options), { classes, seed: 1, baseFolder: folder });

let folder: string;
let written = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-bert-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const write = (changes?: FolderChanges) => writeBertFolder(join(folder, `model${written++}`), changes);

/** PyTorch's own encoder with the folder's weights: logits of padded rows. */
const TORCH = `
import json, sys, torch
data = json.load(open(sys.argv[1]))
t = {k: torch.tensor(v['data'], dtype=torch.float64).reshape(v['shape']) for k, v in data['tensors'].items()}
def dense(x, n): return torch.nn.functional.linear(x, t[n + '.weight'], t[n + '.bias'])
def norm(x, n): return torch.nn.functional.layer_norm(x, (8,), t[n + '.weight'], t[n + '.bias'], 1e-12)
e = 'bert.embeddings.'
for ids in data['rows']:
    x = t[e + 'word_embeddings.weight'][ids] + t[e + 'position_embeddings.weight'][:len(ids)] + t[e + 'token_type_embeddings.weight'][0]
    x = norm(x, e + 'LayerNorm')[None]
    for layer in range(2):
        p = f'bert.encoder.layer.{layer}.'
        block = torch.nn.TransformerEncoderLayer(8, 2, 12, dropout=0, activation='gelu', layer_norm_eps=1e-12, batch_first=True).double()
        kinds = ['query', 'key', 'value']
        block.load_state_dict({
            'self_attn.in_proj_weight': torch.cat([t[p + f'attention.self.{k}.weight'] for k in kinds]),
            'self_attn.in_proj_bias': torch.cat([t[p + f'attention.self.{k}.bias'] for k in kinds]),
            'self_attn.out_proj.weight': t[p + 'attention.output.dense.weight'], 'self_attn.out_proj.bias': t[p + 'attention.output.dense.bias'],
            'linear1.weight': t[p + 'intermediate.dense.weight'], 'linear1.bias': t[p + 'intermediate.dense.bias'],
            'linear2.weight': t[p + 'output.dense.weight'], 'linear2.bias': t[p + 'output.dense.bias'],
            'norm1.weight': t[p + 'attention.output.LayerNorm.weight'], 'norm1.bias': t[p + 'attention.output.LayerNorm.bias'],
            'norm2.weight': t[p + 'output.LayerNorm.weight'], 'norm2.bias': t[p + 'output.LayerNorm.bias']})
        x = block(x)
    print(json.dumps(dense(torch.tanh(dense(x[0, 0], 'bert.pooler.dense')), 'classifier').tolist()))
`;
const python = '/usr/bin/python3';
function torchIsPresent(): boolean {
  try {
    execFileSync(python, ['-c', 'import torch'], { stdio: 'ignore' });
    return true;
  } catch {
    console.log(`skipped: comparing BERT with PyTorch needs torch in ${python}`);
    return false;
  }
}

function torchLogits(rows: readonly number[][]): number[] {
  const tensors = Object.fromEntries(
    [...bertTensors()].map(([name, { shape, data }]) => [name, { shape, data: Array.from(data as Float32Array) }]),
  );
  const [script, input] = [join(folder, 'reference.py'), join(folder, 'reference.json')];
  writeFileSync(script, TORCH);
  writeFileSync(input, JSON.stringify({ tensors, rows }));
  const lines = execFileSync(python, [script, input], { encoding: 'utf8' }).trim().split('\n');
  return lines.flatMap((line) => JSON.parse(line) as number[]);
}

describe('BERT from a Hugging Face folder', () => {
  it.skipIf(!torchIsPresent())('gives PyTorch’s logits, with padding too', async () => {
    const model = await load({ folder: await write(), maxTokens: 10 });
    const rows = [
      [2, 5, 6, 7, 8, 3],
      [2, 9, 3],
      [2, 8, 10, 11, 9, 10, 12, 5, 6, 3],
    ];
    const { logits } = await valuesOf(model.graph, rows, ['logits']);
    expect(largestDifference(torchLogits(rows), logits!)).toBeLessThan(2e-5);
  });

  it('tokenises with the folder’s vocabulary, markers around the text', async () => {
    const { tokenizer } = await load({ folder: await write(), maxTokens: 10 });
    expect(tokenizer.vocabularySize).toBe(13);
    expect(tokenizer.encode('The film was badly good.', 10)).toEqual([2, 5, 6, 7, 9, 10, 8, 12, 3]);
    expect(tokenizer.encode('The film was badly good.', 5)).toEqual([2, 5, 6, 7, 3]);
    expect(tokenizer.encode('', 5)).toEqual([2, 3]);
    expect(tokenizer.decode([2, 5, 6, 7, 9, 10, 3])).toBe('the film was badly');
    const long = 'good film , '.repeat(1000);
    expect(tokenizer.encode(long, 100)).toEqual([...tokenizer.encode(long, 5000).slice(0, 99), 3]);
  });

  it('reads half precision, the names of 2019 and encoders without the prefix or the classifier', async () => {
    const logits = async (options: FolderChanges) => {
      const model = await load({ folder: await write(options), maxTokens: 10 });
      const { pooled } = await valuesOf(model.graph, [[2, 5, 6, 3]], ['pooled']);
      return { pooled: pooled!, model };
    };
    const expected = await logits({});
    const old = await logits({
      tensors: (tensors) => {
        for (const [name, value] of [...tensors]) {
          tensors.delete(name);
          if (name.startsWith('classifier')) continue;
          const renamed = name
            .replace('LayerNorm.weight', 'LayerNorm.gamma')
            .replace('LayerNorm.bias', 'LayerNorm.beta');
          tensors.set(renamed.replace('bert.', ''), value);
        }
        tensors.set('cls.predictions.bias', zeros([16]));
      },
    });
    expect(old.pooled).toEqual(expected.pooled);
    expect(old.model.provenance.source).toContain('fresh, seed 1: classifier.weight, classifier.bias');
    // Halves: 1.5 = 0x3e00, −2 = 0xc000, the smallest subnormal 2⁻²⁴ = 0x0001.
    const name = 'bert.pooler.dense.bias';
    const bits = Uint16Array.of(0x3e00, 0xc000, 0x0001, 0, 0, 0, 0, 0x8000);
    const half = await logits({ tensors: (tensors) => tensors.set(name, tensor('float16', [8], bits)) });
    const bias = half.model.graph.initializers.get('pooler.bias')!;
    expect(Array.from(bias.data as Float32Array)).toEqual([1.5, -2, 2 ** -24, 0, 0, 0, 0, -0]);
  });

  it('makes a fresh classifier for another number of classes', async () => {
    const model = await load({ folder: await write(), maxTokens: 10 }, 5);
    expect(model.graph.initializers.get('classifier.weight')!.shape).toEqual([8, 5]);
    expect(model.provenance.source).toContain('fresh');
  });

  it('lists tensors that are missing, misshapen or unknown', async () => {
    const misfit = await write({
      tensors: (tensors) => {
        tensors.delete('bert.encoder.layer.1.output.dense.bias');
        tensors.set('bert.embeddings.LayerNorm.bias', zeros([9]));
        tensors.set('bert.encoder.layer.2.output.dense.bias', zeros([8]));
      },
    });
    const error = await load({ folder: misfit, maxTokens: 10 }).catch((caught) => caught);
    expect(error).toMatchObject({
      code: 'TANDEM_CHECKPOINT_INVALID',
      place: expect.stringContaining('model.safetensors'),
    });
    expect(error.message).toContain('encoder.layer.1.output.dense.bias: missing, [8]');
    expect(error.message).toContain('embeddings.LayerNorm.bias: float32 [9] instead of float32 [8]');
    expect(error.message).toContain('encoder.layer.2.output.dense.bias: unknown');
  });

  it('refuses other architectures, foreign tokenizers, too many tokens and empty folders', async () => {
    const refused = async (changes: FolderChanges, options: object, code: string, said: string) => {
      const promise = load({ folder: await write(changes), maxTokens: 10, ...options });
      const error = await promise.catch((caught) => caught);
      expect(error).toMatchObject({ code, remedy: expect.any(String) });
      expect(`${error.message} ${error.place}`).toContain(said);
    };
    await refused({ config: { model_type: 'gpt2' } }, {}, 'TANDEM_CHECKPOINT_INVALID', 'model_type');
    await refused({ config: { hidden_act: 'gelu_new' } }, {}, 'TANDEM_CHECKPOINT_INVALID', 'hidden_act');
    const more = Array.from({ length: 17 }, (_, i) => `w${i}`);
    await refused({ vocabulary: [...more, '[UNK]', '[CLS]', '[SEP]'] }, {}, 'TANDEM_TOKENIZER_INVALID', '16');
    await refused({ vocabulary: ['the', '[UNK]'] }, {}, 'TANDEM_TOKENIZER_INVALID', '[CLS], [SEP]');
    await refused({}, { maxTokens: 11 }, 'TANDEM_CONFIG_INVALID', '10 positions');
    await expect(load({ folder: 'nowhere' })).rejects.toMatchObject({ code: 'TANDEM_FILE_NOT_FOUND' });
    const bare = await write();
    rmSync(join(bare, 'model.safetensors'));
    await expect(load({ folder: bare })).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID' });
    await expect(load({ folder: bare, maxTokens: 10 })).rejects.toMatchObject({
      code: 'TANDEM_FILE_NOT_FOUND',
      remedy: expect.stringContaining('safe_serialization'),
    });
  });
});

describe('fresh BERT', () => {
  const config = { vocabulary: 30, positions: 12, segments: 2, epsilon: 1e-12, activation: 'gelu' } as const;

  it('has the published sizes', () => {
    // Without embeddings and classifier: layers of 12·h² weights and 13·h biases and norms, and the pooler.
    for (const size of ['tiny', 'mini', 'small'] as const) {
      const sizes = BERT_SIZES[size];
      const { graph } = buildBert({ ...config, ...sizes }, (_, shape) => zeros(shape), 2);
      const h = sizes.hidden;
      const embeddings = (30 + 12 + 2) * h + 2 * h;
      const head = h * h + h + 2 * h + 2;
      expect(parameterCount(graph)).toBe(sizes.layers * (12 * h * h + 13 * h) + embeddings + head);
    }
    expect(Object.values(BERT_SIZES).map(({ layers, hidden }) => [layers, hidden])).toEqual([
      [2, 128],
      [4, 256],
      [4, 512],
      [8, 512],
      [12, 768],
      [24, 1024],
    ]);
  });

  it('starts from N(0, 0.02²) with biases 0 and norms 1, the same for the same seed', () => {
    const weights = (seed: number) => freshBertWeights(seed)('layer0.query.weight', [200, 200]).data as Float32Array;
    const values = weights(4);
    expect(weights(4)).toEqual(values);
    expect(weights(5)).not.toEqual(values);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    expect(Math.abs(mean)).toBeLessThan((4 * 0.02) / 200);
    expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(4 / Math.sqrt(2 * values.length));
    const source = freshBertWeights(4);
    const all = (value: Tensor) => new Set(Array.from(value.data as Float32Array));
    expect(all(source('layer0.query.bias', [9]))).toEqual(new Set([0]));
    expect(all(source('layer0.ffn.norm.weight', [9]))).toEqual(new Set([1]));
  });

  it('comes with a tokenizer of 8,000 pieces and begin and end symbols', async () => {
    const { tokenizer, graph, maxTokens } = await load({ maxTokens: 16 });
    const ids = tokenizer.encode('the film was good', maxTokens);
    expect([ids[0], ids.at(-1)]).toEqual([1, 2]);
    expect(tokenizer.decode(ids)).toBe('the film was good');
    expect(graph.initializers.get('embedding.word.weight')!.shape).toEqual([8000, 128]);
    expect(findAttention(graph).map(({ query }) => query)).toEqual(['layer0.query', 'layer1.query']);
    expect(graph.types.get('layer1.scores')?.shape).toEqual(['batch', 2, 'tokens', 'tokens']);
  });

  it('takes any size of its own, but not two sizes', () => {
    const custom = { layers: 1, hidden: 12, heads: 3, intermediate: 20 };
    expect(bert.schema.safeParse({ size: custom }).success).toBe(true);
    expect(bert.schema.safeParse({ size: { ...custom, heads: 5 } }).success).toBe(false);
    expect(bert.schema.safeParse({ size: 'tiny', folder: 'x' }).success).toBe(false);
  });
});
