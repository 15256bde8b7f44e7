/** DynaTran: what is pruned, that τ = 0 prunes nothing, that zeros are counted right, and top-k beside it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withOutputs } from '../../src/graph/edit.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { floatTensor, type Graph, type Tensor } from '../../src/graph/types.js';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import { buildFlexibert, freshFlexibertWeights } from '../../src/models/flexibert.js';
import { collate } from '../../src/runtime/collate.js';
import { Session } from '../../src/runtime/session.js';
import { dynatran, dynatranOptions, thresholdFeeds, topKFeeds } from '../../src/techniques/dynatran.js';
import { aboveKthLargest, effectiveThreshold, prunedBelow, withPrunedWeights } from '../../src/techniques/magnitude.js';
import { findPruningPoints } from '../../src/techniques/pruning-points.js';
import type { InferenceRewrite, SparsityCounts } from '../../src/techniques/types.js';
import type { MaskRecord } from '../../src/trace/types.js';
import type { HeadOperation } from '../../src/workload/transformer.js';
import { run, type Values } from '../graph/runtime.js';
import { attentionModel } from './attention-model.js';
import { EXPORTED, exportedEncoder } from './exported-encoder.js';

/** Normal weights of a deviation at which a few hundredths prune something everywhere. */
const lively =
  (source: ReturnType<typeof freshBertWeights>): ReturnType<typeof freshBertWeights> =>
  (name, shape) => {
    const fresh = source(name, shape);
    const isMatrix = shape.length >= 2;
    return isMatrix
      ? floatTensor(
          (fresh.data as Float32Array).map((element) => element * 12),
          shape,
        )
      : fresh;
  };

const sizes = { layers: 2, hidden: 8, heads: 2, intermediate: 16, vocabulary: 12, positions: 8, segments: 2 };
const bert = buildBert({ ...sizes, epsilon: 1e-12, activation: 'gelu' }, lively(freshBertWeights(1)), 2).graph;

const head = (kind: HeadOperation['kind'], kernel?: number): HeadOperation =>
  ({ kind, dim: 4, ...(kernel !== undefined && { kernel }) }) as HeadOperation;
/** Heads with and without scores side by side, a layer without any, widths that change, several stacks. */
const mixed = buildFlexibert(
  {
    name: 'mixed',
    vocabulary: 12,
    tokens: 8,
    layers: [
      { hidden: 8, heads: [head('sdp'), head('sdp'), head('wma'), head('conv', 3)], feedForward: [12, 16] },
      { hidden: 8, heads: [head('dft'), head('dct')], feedForward: [12] },
      { hidden: 12, heads: [head('wma')], feedForward: [12] },
    ],
  },
  lively(freshFlexibertWeights(2)),
  2,
).graph;

const MODELS: readonly (readonly [string, Graph])[] = [
  ['bert', bert],
  ['flexibert', mixed],
  ['an exported encoder', exportedEncoder()],
];

const ROWS = [
  [1, 5, 9, 2, 7],
  [1, 3],
  [4, 8, 11],
];
const LENGTHS = ROWS.map(({ length }) => length);

const adapted = (graph: Graph, options: object): InferenceRewrite =>
  dynatran.forInference(graph, dynatranOptions.parse(options));

/** Logits, everything that a trace needs, counts. */
const fetchAll = ({ graph, observed, counts, feeds }: InferenceRewrite, rows: readonly number[][]): Promise<Values> =>
  run(withOutputs(graph, ['logits', ...observed, counts!.zeros, counts!.elements]), { ...collate(rows), ...feeds });

const masksOf = (rewrite: InferenceRewrite, fetched: Values, lengths: readonly number[]): MaskRecord[] =>
  [...rewrite.record(fetched, lengths, 0)].filter((record) => record.kind === 'mask');

/** Zeros and elements by sequence, layer and matrix, summed over the parts of a matrix. */
function countedIn(counts: SparsityCounts, fetched: Values, sequences: number): Record<string, [number, number]> {
  const columns = counts.matrices.length;
  const sums: Record<string, [number, number]> = {};
  for (let sequence = 0; sequence < sequences; sequence++) {
    for (const [column, { layer, matrix }] of counts.matrices.entries()) {
      const key = `${sequence}/${layer}/${matrix}`;
      const [zeros, elements] = sums[key] ?? [0, 0];
      const at = (name: string) => Number(fetched[name]!.data[sequence * columns + column]);
      sums[key] = [zeros + at(counts.zeros), elements + at(counts.elements)];
    }
  }
  return sums;
}

const bit = ({ nonZero }: MaskRecord, at: number): number => (nonZero[at >> 3]! >> (at & 7)) & 1;
const zerosIn = (mask: MaskRecord): number => {
  let zeros = 0;
  for (let at = 0; at < mask.rows * mask.columns; at++) zeros += 1 - bit(mask, at);
  return zeros;
};

describe('the points', () => {
  const named = (graph: Graph, layer: number) =>
    findPruningPoints(graph, findAttention(graph))
      .matrices.filter((point) => point.layer === layer)
      .map(({ matrix, value, pruned }) => `${matrix}${pruned ? '' : ' (recorded only)'}: ${value}`);

  test('of BERT', () => {
    expect(named(bert, 1)).toEqual([
      'input (recorded only): layer0.output',
      'query: layer1.query.linear',
      'key: layer1.key.linear',
      'value: layer1.value.linear',
      'scores: layer1.scores',
      'probabilities: layer1.probabilities',
      'context: layer1.context.merged',
      'attention.output: layer1.attention',
      'ffn.input (recorded only): layer1.attention.normed',
      'ffn.hidden.0: layer1.ffn.hidden',
      'ffn.output: layer1.ffn.contract',
      'pooler: pooled',
    ]);
  });

  test('of an exported encoder, with its weights', () => {
    const graph = exportedEncoder();
    expect(named(graph, 0)).toEqual([
      'query: part',
      'key: part_out1',
      'value: part_out2',
      'scores: raw',
      'probabilities: probabilities',
      'context: merged',
      'attention.output: attended',
      'ffn.input (recorded only): normed',
      'ffn.hidden.0: active',
      'ffn.output: fed',
      'pooler: pooled',
    ]);
    const { matrices, weights } = findPruningPoints(graph, findAttention(graph));
    expect(matrices.find(({ matrix }) => matrix === 'scores')!.scale).toBeCloseTo(EXPORTED.queryScale, 6);
    expect(weights).toEqual([
      { layer: 0, matrix: 'attention.weight', weight: 'out', transposed: true },
      { layer: 0, matrix: 'ffn.weight.0', weight: 'up', transposed: true },
      { layer: 0, matrix: 'ffn.weight.1', weight: 'down', transposed: true },
    ]);
  });

  test('of layers whose heads differ: parts follow each other, heads without scores have a value', () => {
    const layer = named(mixed, 0);
    expect(layer.filter((point) => point.startsWith('value'))).toEqual([
      'value: layer0.value.linear',
      'value: layer0.wma.value.linear',
      'value: layer0.conv3.value',
    ]);
    expect(layer.filter((point) => point.startsWith('key'))).toEqual([
      'key: layer0.key.linear',
      'key: layer0.wma.key.linear',
    ]);
    expect(layer).toContain('context: layer0.heads');
    expect(layer).toContain('ffn.hidden.1: layer0.ffn.hidden.1');
    expect(named(mixed, 1)).toContain('value: layer1.dft.value');
    expect(named(mixed, 1).some((point) => point.startsWith('scores'))).toBe(false);
    expect(findPruningPoints(mixed, findAttention(mixed)).headsPerLayer).toEqual([3, 0, 1]);
  });
});

describe.each(MODELS)('%s', (_, graph) => {
  const texts = fc.array(fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 8 }), {
    minLength: 1,
    maxLength: 4,
  });

  test('at τ = 0 is the model it was, bit for bit', async () => {
    const rewrite = adapted(graph, { threshold: 0 });
    await fc.assert(
      fc.asyncProperty(texts, async (rows) => {
        const { logits } = await fetchAll(rewrite, rows);
        expect(logits!.data).toEqual((await run(graph, collate(rows))).logits!.data);
      }),
      { numRuns: 15, seed: 5 },
    );
  });

  test('loses the elements of magnitude at most τ, and no others', async () => {
    const threshold = 0.06;
    const rewrite = adapted(graph, { threshold });
    const { matrices } = findPruningPoints(graph, findAttention(graph));
    const names = matrices.map(({ value }) => value);
    const fetched = await run(withOutputs(rewrite.graph, [...names, ...rewrite.observed]), {
      ...collate(ROWS),
      ...rewrite.feeds,
    });
    for (const [i, { value, scale, pruned }] of matrices.entries()) {
      const limit = pruned ? Math.fround(Math.fround(threshold) * Math.fround(scale)) : -1;
      const before = fetched[value]!.data as Float32Array;
      const after = fetched[rewrite.observed[i]!]!.data as Float32Array;
      expect(after, value).toEqual(before.map((element) => (Math.abs(element) <= limit ? 0 : element)));
    }
    const zeroed = matrices.filter((_, i) => (fetched[rewrite.observed[i]!]!.data as Float32Array).includes(0));
    expect(zeroed.length).toBeGreaterThan(matrices.length / 2);
  });

  test('counts in the graph what its trace shows', async () => {
    const rewrite = adapted(graph, { threshold: 0.08 });
    const fetched = await fetchAll(rewrite, ROWS);
    const counted = countedIn(rewrite.counts!, fetched, ROWS.length);
    const masks = masksOf(rewrite, fetched, LENGTHS).filter(({ matrix }) => !matrix.includes('weight'));
    const shown = Object.fromEntries(
      masks.map((mask) => [`${mask.sequence}/${mask.layer}/${mask.matrix}`, [zerosIn(mask), mask.rows * mask.columns]]),
    );
    for (const [key, sum] of Object.entries(counted)) expect(sum, key).toEqual(shown[key]);
    const recordedOnly = Object.keys(shown).filter((key) => !(key in counted));
    expect(recordedOnly.every((key) => key.endsWith('input'))).toBe(true);
  });

  test('does not count padding', async () => {
    const rewrite = adapted(graph, { threshold: 0.08 });
    const together = countedIn(rewrite.counts!, await fetchAll(rewrite, ROWS), ROWS.length);
    for (const [sequence, row] of ROWS.entries()) {
      for (const [key, sum] of Object.entries(countedIn(rewrite.counts!, await fetchAll(rewrite, [row]), 1))) {
        expect(together[key.replace('0/', `${sequence}/`)], key).toEqual(sum);
      }
    }
  });

  test('one session serves every τ, with more zeros the larger it is', async () => {
    const { graph: rewritten, counts } = adapted(graph, { threshold: 0 });
    const session = await Session.create(withOutputs(rewritten, ['logits', counts!.zeros]), { threads: 1 });
    try {
      const zeros: number[] = [];
      for (const threshold of [0, 0.02, 0.05, 0.1, 0.2, 1e9]) {
        const outputs = await session.run({ ...collate(ROWS), ...thresholdFeeds(threshold) });
        zeros.push((outputs[counts!.zeros]!.data as Float64Array).reduce((sum, count) => sum + count, 0));
      }
      expect(zeros).toEqual([...zeros].sort((a, b) => a - b));
      expect(new Set(zeros).size).toBe(zeros.length);
      const elements = (await fetchAll(adapted(graph, { threshold: 0 }), ROWS))[counts!.elements]!;
      expect(zeros.at(-1)).toBe((elements.data as Float64Array).reduce((sum, count) => sum + count, 0));
    } finally {
      await session.dispose();
    }
  });
});

test('masks of a mixed layer stand as the layer computes them', async () => {
  const rewrite = adapted(mixed, { threshold: 0.08, weightThreshold: 0.1 });
  const fetched = await fetchAll(rewrite, ROWS);
  const masks = masksOf(rewrite, fetched, LENGTHS);
  const shape = (matrix: string) => {
    const mask = masks.find((one) => one.sequence === 0 && one.layer === 0 && one.matrix === matrix)!;
    return [mask.rows, mask.columns];
  };
  expect(shape('query')).toEqual([5, 12]); // three heads of 4
  expect(shape('value')).toEqual([5, 16]); // and the convolution's
  expect(shape('context')).toEqual([5, 16]);
  expect(shape('scores')).toEqual([15, 5]); // three heads below each other
  expect(shape('query.weight')).toEqual([8, 12]);
  expect(shape('ffn.weight.1')).toEqual([12, 16]);
  const scores = masks.find((one) => one.sequence === 1 && one.layer === 0 && one.matrix === 'scores')!;
  const second = fetched['layer0.dynatran.scores']!; // heads 0 and 1; padded to 5 tokens
  for (let query = 0; query < 2; query++) {
    for (let key = 0; key < 2; key++) {
      const value = Number(second.data[((1 * 2 + 1) * 5 + query) * 5 + key]);
      expect(bit(scores, (2 + query) * 2 + key)).toBe(value === 0 ? 0 : 1);
    }
  }
});

test('masks of the weights come once per layer, with the first sequence, inputs as rows', async () => {
  const graph = exportedEncoder();
  const rewrite = adapted(graph, { threshold: 0, weightThreshold: 0.3 });
  const masks = masksOf(rewrite, await fetchAll(rewrite, ROWS), LENGTHS).filter(({ matrix }) =>
    matrix.includes('weight'),
  );
  expect(masks.map(({ sequence, matrix }) => [sequence, matrix])).toEqual([
    [0, 'attention.weight'],
    [0, 'ffn.weight.0'],
    [0, 'ffn.weight.1'],
  ]);
  const up = masks[1]!;
  const stored = graph.initializers.get('up')!.data as Float32Array; // [outputs, inputs]
  expect([up.rows, up.columns]).toEqual([EXPORTED.hidden, EXPORTED.intermediate]);
  for (let row = 0; row < up.rows; row++) {
    for (let column = 0; column < up.columns; column++) {
      const kept = Math.abs(stored[column * EXPORTED.hidden + row]!) > 0.3 ? 1 : 0;
      expect(bit(up, row * up.columns + column)).toBe(kept);
    }
  }
});

test('static pruning takes the weights of products, and leaves embeddings, norms and biases', () => {
  const pruned = withPrunedWeights(bert, 0.2);
  for (const [name, { data }] of bert.initializers) {
    const changed = pruned.initializers.get(name)!.data !== data;
    expect(changed, name).toBe(/(query|key|value|projection|expand|contract|pooler|classifier)\.weight$/.test(name));
  }
  const query = (graph: Graph) => graph.initializers.get('layer0.query.weight')!.data as Float32Array;
  expect(query(pruned)).toEqual(query(bert).map((element) => (Math.abs(element) <= 0.2 ? 0 : element)));
  expect(query(withPrunedWeights(bert, 0))).toEqual(query(bert));
});

test('attention alone is pruned too, however its keys are laid out', async () => {
  for (const keyLayout of ['tokens-dim', 'dim-tokens'] as const) {
    const graph = attentionModel({ heads: 2, dim: 3, keyLayout });
    const { matrices } = findPruningPoints(graph, findAttention(graph));
    expect(matrices.map(({ matrix, value, layout }) => [matrix, value, layout])).toEqual([
      ['query', 'query', { kind: 'rows', tokens: 2 }],
      ['key', 'key', { kind: 'rows', tokens: keyLayout === 'tokens-dim' ? 2 : 3 }],
      ['value', 'value', { kind: 'rows', tokens: 2 }],
      ['scores', 'raw', { kind: 'scores' }],
      ['probabilities', expect.any(String), { kind: 'scores' }],
      ['context', 'context', { kind: 'rows', tokens: 2 }],
    ]);
  }
});

describe('the rule', () => {
  const rule = (threshold: Tensor, x: Tensor, scale = 1) => {
    const b = new GraphBuilder('rule');
    const given = b.input('x', 'float32', x.shape);
    b.output(prunedBelow(b, given, effectiveThreshold(b, b.input('t', 'float32', [])), scale, 'y'));
    return run(b.finish(), { x, t: threshold }).then(({ y }) => y!.data as Float32Array);
  };
  const scalar = (value: number) => floatTensor([value], []);
  const floats = fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 1, maxLength: 20 });

  test('never un-prunes as τ grows', async () => {
    const thresholds = fc.tuple(fc.float({ min: 0, max: 2, noNaN: true }), fc.float({ min: 0, max: 2, noNaN: true }));
    await fc.assert(
      fc.asyncProperty(floats, thresholds, async (values, [a, c]) => {
        const x = floatTensor(values);
        const [less, more] = [await rule(scalar(Math.min(a, c)), x), await rule(scalar(Math.max(a, c)), x)];
        expect(more.every((element, i) => element === 0 || element === less[i])).toBe(true);
      }),
      { numRuns: 25, seed: 6 },
    );
  });

  test('keeps what is greater than τ only, and everything for τ ≤ 0, −0 and not-a-number included', async () => {
    const values = [-0.5, -0.25, -0, 0, 0.25, 0.26, Number.NaN];
    expect([...(await rule(scalar(0.25), floatTensor(values)))]).toEqual([
      -0.5,
      0,
      0,
      0,
      0,
      Math.fround(0.26),
      Number.NaN,
    ]);
    for (const threshold of [0, -1])
      expect(await rule(scalar(threshold), floatTensor(values))).toEqual(Float32Array.from(values));
  });

  test('means the matrix before its scale', async () => {
    expect([...(await rule(scalar(0.5), floatTensor([0.2, 0.25, 0.3]), 0.5))]).toEqual([0, 0, Math.fround(0.3)]);
  });
});

describe('top-k', () => {
  const topK = async (rows: readonly number[][], k: number, lengths = rows.map((row) => row.length)) => {
    const tokens = Math.max(...rows.map((row) => row.length));
    const padded = rows.flatMap((row) => [...row, ...new Array<number>(tokens - row.length).fill(0)]);
    const b = new GraphBuilder('top-k');
    const x = b.input('x', 'float32', ['batch', 1, 1, 'tokens']);
    b.input('attention_mask', 'float32', ['batch', 'tokens']);
    b.output(aboveKthLargest(b, x, b.input('k', 'int64', []), 'y'));
    const mask = lengths.flatMap((length) => Array.from({ length: tokens }, (_, i) => (i < length ? 1 : 0)));
    const { y } = await run(b.finish(), {
      x: floatTensor(padded, [rows.length, 1, 1, tokens]),
      attention_mask: floatTensor(mask, [rows.length, tokens]),
      k: topKFeeds(k)['dynatran.k']!,
    });
    return rows.map((row, i) => [...(y!.data as Float32Array)].slice(i * tokens, i * tokens + row.length));
  };
  const reference = (row: readonly number[], k: number) => {
    const kth = [...row].sort((a, b) => b - a)[k - 1];
    return kth === undefined || k >= row.length ? [...row] : row.map((element) => (element > kth ? element : 0));
  };

  test('keeps what is greater than the k-th largest of the real tokens; everything for k as long as the text', async () => {
    const share = fc.integer({ min: 1, max: 6 }).map((sixth) => Math.fround(sixth / 6));
    const rows = fc.array(fc.array(share, { minLength: 1, maxLength: 7 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 9 }), async (given, k) => {
        expect(await topK(given, k)).toEqual(given.map((row) => reference(row, k)));
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  test('is a rule of the profiler, with k as an input, up to the longest text', async () => {
    const [, rule] = dynatran.profiler.rules(bert, dynatranOptions.parse({ threshold: 0 }), 5);
    expect([rule!.rule, rule!.parameter, rule!.values]).toEqual(['top-k', 'k', [1, 2, 4]]);
    const { graph, counts } = rule!.rewrite(1);
    const fetch = withOutputs(graph, ['logits', counts.zeros]);
    const zeros = await Promise.all(
      [1, 2, 4, 5].map(async (k) => {
        const outputs = await run(fetch, { ...collate(ROWS), ...rule!.rewrite(k).feeds });
        return (outputs[counts.zeros]!.data as Float64Array).reduce((sum, count) => sum + count, 0);
      }),
    );
    expect(zeros).toEqual([...zeros].sort((a, b) => b - a));
    expect(zeros.at(-1)).toBe(0);
    const same = await run(fetch, { ...collate(ROWS), ...rule!.rewrite(5).feeds });
    expect(same.logits!.data).toEqual((await run(bert, collate(ROWS))).logits!.data);
  });
});

describe('options', () => {
  test('take exactly one of threshold, sparsity and accuracyLoss', () => {
    const takes = (options: object) => dynatranOptions.safeParse(options).success;
    expect([{ threshold: 0 }, { sparsity: 0.3 }, { accuracyLoss: 0.01 }].map(takes)).toEqual([true, true, true]);
    expect([{}, { threshold: 0, sparsity: 0.3 }, { threshold: -1 }, { sparsity: 2 }].map(takes)).not.toContain(true);
  });

  test('weight pruning adds a curve, and is what the model does', () => {
    const options = dynatranOptions.parse({ threshold: 0.1, weightThreshold: 0.2, grid: [0.1, 0.05] });
    const rules = dynatran.profiler.rules(bert, options, 5);
    expect(rules.map(({ rule, values }) => [rule, values])).toEqual([
      ['dynatran + weight pruning', [0, 0.05, 0.1]],
      ['dynatran', [0, 0.05, 0.1]],
      ['top-k', [1, 2, 4]],
    ]);
    const alone = dynatran.profiler.rules(bert, { ...options, weightThreshold: undefined, topK: [9] }, 5);
    expect(alone.map(({ rule }) => rule)).toEqual(['dynatran']); // no text has 9 tokens
    const weight = (graph: Graph) => graph.initializers.get('layer0.query.weight')!.data;
    expect(weight(rules[0]!.rewrite(0).graph)).toEqual(weight(dynatran.forInference(bert, options).graph));
    expect(weight(rules[1]!.rewrite(0).graph)).toBe(weight(bert));
  });
});
