import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { differentiate } from '../../src/graph/gradients/index.js';
import { addCrossEntropy } from '../../src/graph/losses.js';
import { decodeModel } from '../../src/graph/onnx/decode.js';
import { encodeModel } from '../../src/graph/onnx/encode.js';
import { writeModelFile } from '../../src/graph/onnx/files.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { type Graph, int64Tensor, sizeOf, type Tensor } from '../../src/graph/types.js';
import { architectureOf } from '../../src/models/architecture.js';
import { bert, buildBert, freshBertWeights } from '../../src/models/bert.js';
import { buildFlexibert, flexibert, freshFlexibertWeights } from '../../src/models/flexibert.js';
import { onnx } from '../../src/models/onnx.js';
import { readUseLiteTokenizer, readUseLiteWords } from '../../src/models/use-lite.js';
import { normalWeights } from '../../src/models/weights.js';
import { collate } from '../../src/runtime/collate.js';
import { buildProgram } from '../../src/simulator/elector/program.js';
import { formatModelDictionary } from '../../src/workload/acceltran-model.js';
import { EMBEDDING_LIMITS } from '../../src/workload/flexibert.js';
import { namedArchitecture, uniformArchitecture } from '../../src/workload/named-transformers.js';
import type { HeadOperation, TransformerArchitecture } from '../../src/workload/transformer.js';
import { load as session } from '../graph/gradient-check.js';
import { VOCABULARY } from './bert-folder.js';
import * as reference from './reference.js';
import { largestDifference, valuesOf } from './run.js';

const POSITIONS = 9;
const sdp = (dim: number): HeadOperation => ({ kind: 'sdp', dim });
const wma = (dim: number): HeadOperation => ({ kind: 'wma', dim });
const dft = (dim: number): HeadOperation => ({ kind: 'dft', dim });
const dct = (dim: number): HeadOperation => ({ kind: 'dct', dim });
const conv = (dim: number, kernel: number): HeadOperation => ({ kind: 'conv', dim, kernel });

function tiny(layers: TransformerArchitecture['layers']): TransformerArchitecture {
  return { name: 'tiny', layers, vocabulary: 20, tokens: POSITIONS };
}

/** Every kind of head, heads that do not divide the width, another width, several stacks. */
const MIXED = tiny([
  {
    hidden: 14,
    heads: [conv(2, 5), sdp(2), dft(2), conv(2, 4), sdp(2), wma(2)],
    feedForward: [10, 6, 8],
  },
  { hidden: 8, heads: [dct(2), wma(2), conv(2, 5), wma(2)], feedForward: [12] },
]);

/** Weights large enough that every part matters. */
function busyWeights(seed: number) {
  const normal = normalWeights(seed, 0.5);
  return (_: string, shape: readonly number[]) => normal(shape);
}

// The formulas a second time, in double precision -----------------------------------------------------------------------

type Matrix = reference.Matrix;

function softmax(row: readonly number[]): number[] {
  const largest = Math.max(...row);
  const shares = row.map((value) => Math.exp(value - largest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

const columns = (x: Matrix, first: number, count: number): Matrix => x.map((row) => row.slice(first, first + count));
const beside = (parts: Matrix[]): Matrix => parts[0]!.map((_, i) => parts.flatMap((part) => part[i]!));
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
const flip = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map((row) => row[j]!));

/** Contexts of the attention heads `name`. */
function attention(x: Matrix, weights: reference.Lookup, name: string, heads: number, weighted: boolean): Matrix {
  const [query, key, value] = ['query', 'key', 'value'].map((part) => reference.dense(x, weights, `${name}.${part}`));
  const dim = query![0]!.length / heads;
  return beside(
    Array.from({ length: heads }, (_, head) => {
      const [q, k, v] = [query!, key!, value!].map((all) => columns(all, head * dim, dim)) as [Matrix, Matrix, Matrix];
      const matrix = weighted && reference.matrixOf(weights(`${name}.weighting`)).slice(head * dim, (head + 1) * dim);
      const scores = times(matrix ? times(q, matrix) : q, flip(k));
      return times(
        scores.map((row) => softmax(row.map((score) => score / Math.sqrt(dim)))),
        v,
      );
    }),
  );
}

/** Contexts of the heads that mix tokens as `entry` says: how much token j takes of token k, by column. */
function mixed(
  x: Matrix,
  weights: reference.Lookup,
  name: string,
  entry: (j: number, k: number, column: number) => number,
): Matrix {
  const value = reference.dense(x, weights, `${name}.value`);
  return value.map((row, j) => row.map((_, c) => value.reduce((sum, v, k) => sum + entry(j, k, c) * v[c]!, 0)));
}

const fourier = (j: number, k: number): number => Math.cos((2 * Math.PI * j * k) / POSITIONS) / Math.sqrt(POSITIONS);
const cosine = (j: number, k: number): number =>
  Math.sqrt((j === 0 ? 1 : 2) / POSITIONS) * Math.cos((Math.PI * j * (k + 0.5)) / POSITIONS);

function convolved(x: Matrix, weights: reference.Lookup, name: string): Matrix {
  const kernel = reference.matrixOf(weights(`${name}.kernel`));
  const before = Math.floor((kernel.length - 1) / 2);
  return mixed(x, weights, name, (j, k, c) => kernel[k - j + before]?.[c] ?? 0);
}

function gelu(x: number): number {
  // erf by its series, which converges fast enough for what the small models give.
  const z = x / Math.SQRT2;
  let [term, sum] = [z, z];
  for (let n = 1; n < 200; n++) {
    term *= -(z * z) / n;
    sum += term / (2 * n + 1);
  }
  return 0.5 * x * (1 + (2 / Math.sqrt(Math.PI)) * sum);
}

/** Logits of MIXED for one sequence. */
function forward(graph: Graph, ids: readonly number[]): number[] {
  const weights: reference.Lookup = (name) => graph.initializers.get(name)!;
  const table = (name: string) => reference.matrixOf(weights(`embedding.${name}.weight`));
  const norm = (y: Matrix, name: string) => reference.norm(y, weights, name, 1e-12);
  const { dense, add, map } = reference;
  let x: Matrix = ids.map((id, position) =>
    table('word')[id]!.map((value, i) => value + table('position')[position]![i]! + table('segment')[0]![i]!),
  );
  x = norm(x, 'embedding.norm');
  const contexts = [
    (y: Matrix) => [
      attention(y, weights, 'layer0', 2, false),
      attention(y, weights, 'layer0.wma', 1, true),
      mixed(y, weights, 'layer0.dft', fourier),
      convolved(y, weights, 'layer0.conv4'),
      convolved(y, weights, 'layer0.conv5'),
    ],
    (y: Matrix) => [
      attention(y, weights, 'layer1.wma', 2, true),
      mixed(y, weights, 'layer1.dct', cosine),
      convolved(y, weights, 'layer1.conv5'),
    ],
  ];
  const stacks = [['expand', 'expand.1', 'expand.2'], ['expand']];
  for (const [layer, heads] of contexts.entries()) {
    const name = `layer${layer}`;
    if (layer === 1) x = map(dense(x, weights, 'layer1.resize'), gelu);
    x = norm(add(dense(beside(heads(x)), weights, `${name}.projection`), x), `${name}.attention.norm`);
    let y = x;
    for (const stack of stacks[layer]!) y = map(dense(y, weights, `${name}.ffn.${stack}`), gelu);
    x = norm(add(dense(y, weights, `${name}.ffn.contract`), x), `${name}.ffn.norm`);
  }
  const pooled = map(dense([x[0]!], weights, 'pooler'), Math.tanh);
  return dense(pooled, weights, 'classifier')[0]!;
}

// -----------------------------------------------------------------------------------------------------------------------

const ROWS = [[3, 7, 1, 15, 4, 9, 2, 11, 5], [6, 2, 8], [10]];

describe('a mixed encoder', () => {
  const { graph, trainable, architecture } = buildFlexibert(MIXED, busyWeights(3), 3);

  it('equals the formulas in double precision, in a batch with padding too', async () => {
    const { logits } = await valuesOf(graph, ROWS, ['logits']);
    const expected = ROWS.flatMap((ids) => forward(graph, ids));
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.3);
    expect(largestDifference(expected, logits!)).toBeLessThan(2e-5);
  });

  it('gives a sequence the same logits however far it is padded', async () => {
    const alone = await valuesOf(graph, [ROWS[1]!], ['logits']);
    const padded = await valuesOf(graph, ROWS, ['logits']);
    expect(largestDifference(alone.logits!, padded.logits!.slice(3, 6))).toBeLessThan(2e-6);
  });

  it('puts heads of a kind together, each block under its own name', () => {
    const shape = (name: string) => graph.types.get(name)?.shape;
    expect(shape('layer0.query')).toEqual(['batch', 2, 'tokens', 2]);
    expect(shape('layer0.wma.scores')).toEqual(['batch', 1, 'tokens', 'tokens']);
    expect(shape('layer0.dft.context')).toEqual(['batch', 'tokens', 2]);
    expect(shape('layer0.conv4.context')).toEqual(['batch', 'tokens', 2]);
    expect(shape('layer0.heads')).toEqual(['batch', 'tokens', 12]);
    expect(shape('layer0.attention')).toEqual(['batch', 'tokens', 14]);
    expect(shape('layer0.ffn.hidden')).toEqual(['batch', 'tokens', 10]);
    expect(shape('layer0.ffn.hidden.2')).toEqual(['batch', 'tokens', 8]);
    expect(shape('layer1.resized')).toEqual(['batch', 'tokens', 8]);
    expect(architecture.layers.map(({ heads }) => heads)).toEqual([
      [sdp(2), sdp(2), wma(2), dft(2), conv(2, 4), conv(2, 5)],
      [wma(2), wma(2), dct(2), conv(2, 5)],
    ]);
  });

  it('shows its attention heads to techniques', () => {
    const found = findAttention(graph).map(({ query, rawScores, source, heads, headDim, keyLayout, mask }) => [
      query,
      rawScores,
      source,
      heads,
      headDim,
      keyLayout,
      mask,
    ]);
    const scale = findAttention(graph).map(({ effectiveScale }) => effectiveScale);
    expect(found).toEqual([
      ['layer0.query', 'layer0.scores', 'self', 2, 2, 'tokens-dim', 'attention_bias'],
      ['layer0.wma.query', 'layer0.wma.scores', 'self', 1, 2, 'dim-tokens', 'attention_bias'],
      ['layer1.wma.query', 'layer1.wma.scores', 'self', 2, 2, 'dim-tokens', 'attention_bias'],
    ]);
    for (const factor of scale) expect(factor).toBeCloseTo(Math.SQRT1_2, 6);
  });

  it('has the gradients that finite differences give', async () => {
    const b = new GraphBuilder('loss', graph);
    const loss = addCrossEntropy(b, 'logits', b.input('labels', 'int64', ['batch']));
    b.output(loss);
    const feeds = { ...collate(ROWS), labels: int64Tensor([2, 0, 1]) };
    const derived = await session(differentiate(b.finish(), { loss, wrt: trainable }));
    const gradients = await derived(feeds);
    const lossWith = async (name: string, values: Float32Array) => {
      const initializers = new Map(b.initializers);
      initializers.set(name, { ...initializers.get(name)!, data: values } as Tensor);
      const changed = await session({ ...b.finish(), outputs: b.outputs.slice(-1), initializers });
      return Number((await changed(feeds))[loss]!.data[0]);
    };
    const checked = trainable.filter((name) =>
      /layer0.*(weighting|kernel|dft\.value\.weight|expand\.1\.weight|projection\.weight)|resize\.weight|layer1\.dct\.value\.bias|position|layer0\.wma\.key\.weight/.test(
        name,
      ),
    );
    expect(checked.length).toBe(10);
    for (const name of checked) {
      const weight = graph.initializers.get(name)!.data as Float32Array;
      const gradient = Array.from(gradients[`grad:${name}`]!.data as Float32Array);
      // Along the gradient itself, the directional derivative is its squared length over its length.
      const length = Math.hypot(...gradient);
      const moved = (step: number) => weight.map((value, i) => value + (step * gradient[i]!) / length);
      const step = 0.01;
      const slope = ((await lossWith(name, moved(step))) - (await lossWith(name, moved(-step)))) / (2 * step);
      expect({ name, error: slope / length - 1 }).toEqual({ name, error: expect.closeTo(0, 2) });
    }
  });

  it('learns: a step against the gradient lowers the loss', async () => {
    const fresh = buildFlexibert(MIXED, busyWeights(5), 3);
    const b = new GraphBuilder('loss', fresh.graph);
    const loss = addCrossEntropy(b, 'logits', b.input('labels', 'int64', ['batch']));
    b.output(loss);
    const graph = differentiate(b.finish(), { loss, wrt: fresh.trainable });
    const feeds = { ...collate(ROWS), labels: int64Tensor([2, 0, 1]) };
    let initializers = new Map(graph.initializers);
    const losses: number[] = [];
    for (let step = 0; step < 6; step++) {
      const fetched = await (await session({ ...graph, initializers }))(feeds);
      losses.push(Number(fetched[loss]!.data[0]));
      initializers = new Map(initializers);
      for (const name of fresh.trainable) {
        const { data, shape, dtype } = initializers.get(name)!;
        const gradient = fetched[`grad:${name}`]!.data as Float32Array;
        const values = (data as Float32Array).map((value, i) => value - 0.02 * gradient[i]!);
        initializers.set(name, { data: values, shape, dtype });
      }
    }
    expect(losses).toEqual(losses.toSorted((a, b) => b - a));
    expect(losses.at(-1)!).toBeLessThan(0.95 * losses[0]!);
  });

  it('survives its way through an ONNX file', async () => {
    const copy = decodeModel(encodeModel(graph));
    const expected = await valuesOf(graph, ROWS, ['logits']);
    expect((await valuesOf(copy, ROWS, ['logits'])).logits).toEqual(expected.logits);
  });

  it('has the weights that the accelerators’ program of the same architecture loads', () => {
    const { matrices } = buildProgram(architecture, 'inference', POSITIONS);
    // Tables of the transforms are fixed; the program has neither biases, norms, segments, pooler nor classifier.
    const loaded = matrices.filter(({ shared, mask }) => shared && mask.content !== 'dense');
    const weights = trainable.filter((name) => !/bias$|norm|segment|pooler|classifier/.test(name));
    const sizes = weights.map((name) => sizeOf(graph.initializers.get(name)!.shape));
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    expect(sum(loaded.map(({ rows, columns: wide }) => rows * wide))).toBe(sum(sizes));
  });
});

describe('transforms', () => {
  it('keep lengths: the cosine transform is orthonormal, the Fourier transform’s real part a projection times √½', () => {
    const { graph } = buildFlexibert(
      tiny([{ hidden: 4, heads: [dft(2), dct(2)], feedForward: [4] }]),
      busyWeights(1),
      2,
    );
    const matrix = (name: string) => reference.matrixOf(graph.initializers.get(name)!);
    const unit = times(matrix('dct.matrix'), flip(matrix('dct.matrix')));
    unit.forEach((row, i) => {
      row.forEach((value, j) => {
        expect(value).toBeCloseTo(i === j ? 1 : 0, 6);
      });
    });
    // cos = (F + F̄)/2 with unitary F, and F·F turns the order around: C·C = (1 + P)/2.
    times(matrix('dft.matrix'), matrix('dft.matrix')).forEach((row, i) => {
      row.forEach((value, j) => {
        const turned = (i + j) % POSITIONS === 0 ? 0.5 : 0;
        expect(value).toBeCloseTo((i === j ? 0.5 : 0) + turned, 6);
      });
    });
  });
});

describe('the model family flexibert', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tandem-flexibert-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const load = (options: object, seed = 1) =>
    flexibert.load(flexibert.schema.parse(options), { classes: 2, seed, baseFolder: folder });

  it('builds BERT, value for value and weight for weight, where layers are as BERT’s', async () => {
    const [own, known] = [
      await load({ architecture: 'bert-tiny' }),
      await bert.load(bert.schema.parse({}), { classes: 2, seed: 1, baseFolder: folder }),
    ];
    expect(own.graph.nodes).toEqual(known.graph.nodes);
    expect(own.trainable).toEqual(known.trainable);
    expect(own.graph.initializers.get('layer1.key.weight')).toEqual(known.graph.initializers.get('layer1.key.weight'));
    expect(own.architecture!.layers).toEqual(known.architecture!.layers);
    expect(own.architecture).toEqual({ ...namedArchitecture('bert-tiny'), vocabulary: 8000, tokens: 128 });
  });

  it('takes embeddings, model dictionaries and names', async () => {
    const numbers = EMBEDDING_LIMITS.map(() => 0);
    const fromNumbers = await load({ architecture: numbers, maxTokens: 16 });
    expect(fromNumbers.architecture).toMatchObject({ tokens: 16, layers: [{ hidden: 128 }, { hidden: 128 }] });
    writeFileSync(join(folder, 'own.json'), formatModelDictionary(MIXED).replace('h":[14', 'h":[12'));
    const fromFile = await load({ architecture: 'own.json', maxTokens: 12 });
    expect(fromFile.architecture).toMatchObject({ name: 'own', tokens: 12 });
    const ids = fromFile.tokenizer.encode('the film was good', 12);
    const { logits } = await valuesOf(fromFile.graph, [ids], ['logits']);
    expect(logits!.every(Number.isFinite)).toBe(true);
    const again = await load({ architecture: 'own.json', maxTokens: 12 }, 2);
    const kernel = (graph: Graph) => graph.initializers.get('layer0.conv5.kernel')!.data;
    expect(kernel(again.graph)).not.toEqual(kernel(fromFile.graph));
  });

  it('refuses embeddings outside the space, files that are not there and other names', async () => {
    await expect(load({ architecture: EMBEDDING_LIMITS.map(() => 5) })).rejects.toMatchObject({
      code: 'TANDEM_CONFIG_INVALID',
      place: 'model.architecture[1]',
    });
    await expect(load({ architecture: [1, 2] })).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID' });
    await expect(load({ architecture: 'none.json' })).rejects.toMatchObject({ code: 'TANDEM_FILE_NOT_FOUND' });
    expect(flexibert.schema.safeParse({ architecture: 'bert-tini' }).success).toBe(false);
    expect(flexibert.schema.safeParse({}).success).toBe(false);
  });

  it('starts from the word vectors of use-lite, row for row, at 2.5 times the deviation of fresh ones', async () => {
    const pretrained = await load({ architecture: 'bert-mini', embedding: 'use-lite', maxTokens: 16 });
    const { words } = await readUseLiteWords();
    const own = pretrained.graph.initializers.get('embedding.word.weight')!;
    expect(own.shape).toEqual([8000, 256]);
    const values = Array.from(own.data as Float32Array);
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
    expect(deviation).toBeCloseTo(2.5 * 0.02, 5);
    // One factor for the whole table: word by word, as use-lite has them.
    const known = (words.data as Float32Array).subarray(0, values.length);
    const size = Math.sqrt(known.reduce((sum, value) => sum + value ** 2, 0) / known.length);
    const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value / deviation - known[i]! / size)), 0);
    expect(worst).toBeLessThan(1e-4);
    expect(pretrained.trainable).toContain('embedding.word.weight');
    expect(pretrained.provenance).toMatchObject({
      licence: 'Apache-2.0',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(pretrained.provenance.source).toMatch(/^word vectors of npm .*, other weights fresh, seed 1$/);
  });

  it('gives use-lite’s word vectors the ids that use-lite’s own tokenizer gives', async () => {
    const { tokenizer } = await load({ architecture: 'bert-mini', embedding: 'use-lite', maxTokens: 16 });
    const text = 'the film was good';
    const inner = (await readUseLiteTokenizer()).encode(text, 14);
    expect(tokenizer.encode(text, 16)).toEqual([1, ...inner, 2]);
  });

  it('refuses word vectors of use-lite in another first width or under another tokenizer', async () => {
    const refused = { code: 'TANDEM_CONFIG_INVALID', place: 'model.embedding' };
    await expect(load({ architecture: 'bert-tiny', embedding: 'use-lite' })).rejects.toMatchObject(refused);
    writeFileSync(join(folder, 'vocab.txt'), VOCABULARY.join('\n'));
    const other = { architecture: 'bert-mini', embedding: 'use-lite', tokenizer: 'vocab.txt' };
    await expect(load(other)).rejects.toMatchObject(refused);
  });

  it('starts weighted attention as scaled dot products and convolutions at the variance of their input', () => {
    const fresh = freshFlexibertWeights(1);
    expect(Array.from(fresh('layer0.wma.weighting', [2, 2, 2]).data as Float32Array)).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
    const kernel = Array.from(fresh('layer0.conv5.kernel', [5, 2000]).data as Float32Array);
    const power = kernel.reduce((sum, value) => sum + value ** 2, 0) / 2000;
    expect(Math.abs(power - 1)).toBeLessThan(4 * Math.sqrt(2 / kernel.length));
  });
});

describe('architectures read off graphs', () => {
  it('are those the graphs were built from', () => {
    const config = { vocabulary: 30, positions: 12, segments: 2, epsilon: 1e-12, activation: 'gelu' } as const;
    const sizes = { layers: 2, hidden: 12, heads: 3, intermediate: 12 };
    const { graph } = buildBert({ ...config, ...sizes }, freshBertWeights(1), 2);
    const expected = uniformArchitecture(sizes, { name: 'x', vocabulary: 30, tokens: 12 });
    expect(architectureOf(graph, 'x', 12)).toEqual(expected);
    const stacked = tiny([
      { hidden: 12, heads: [sdp(6), sdp(6)], feedForward: [10, 12, 8] },
      { hidden: 16, heads: [sdp(5), sdp(5), sdp(5)], feedForward: [4] },
    ]);
    expect(architectureOf(buildFlexibert(stacked, freshBertWeights(1), 2).graph, 'tiny', POSITIONS)).toEqual(stacked);
  });

  it('come with models from .onnx files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tandem-sizes-'));
    try {
      const sizes = { layers: 1, hidden: 8, heads: 2, intermediate: 6 };
      const settings = { vocabulary: 13, positions: 12, segments: 2, epsilon: 1e-12, activation: 'gelu' } as const;
      writeModelFile(join(folder, 'own.onnx'), buildBert({ ...settings, ...sizes }, freshBertWeights(1), 2).graph);
      writeFileSync(join(folder, 'vocab.txt'), VOCABULARY.join('\n'));
      const options = onnx.schema.parse({ file: 'own.onnx', maxTokens: 10 });
      const { architecture } = await onnx.load(options, { classes: 2, seed: 1, baseFolder: folder });
      expect(architecture).toEqual(uniformArchitecture(sizes, { name: 'bert', vocabulary: 13, tokens: 10 }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are unknown where a graph has other heads', () => {
    expect(architectureOf(buildFlexibert(MIXED, busyWeights(1), 2).graph, 'x', 12)).toBeUndefined();
  });
});
