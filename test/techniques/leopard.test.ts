import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { differentiate } from '../../src/graph/gradients/index.js';
import { floatTensor, type Graph, int, type Tensor } from '../../src/graph/types.js';
import { type LeopardOptions, leopard, leopardOptions, thresholdName } from '../../src/techniques/leopard.js';
import type { AttentionHeadRecord } from '../../src/trace/types.js';
import { run, type Values } from '../graph/runtime.js';
import {
  attentionModel,
  exactScore,
  headsOf,
  type Mask,
  type ModelOptions,
  maskOf,
  rowsOf,
  type Sizes,
  survives,
  valuesOf,
} from './attention-model.js';

const options = (given: Partial<LeopardOptions> = {}): LeopardOptions => leopardOptions.parse(given);
const TH = thresholdName(0);

/** The graph with other initial values of an initializer. */
const withInitializer = (graph: Graph, name: string, value: Tensor): Graph => ({
  ...graph,
  initializers: new Map([...graph.initializers, [name, value]]),
});

// Training --------------------------------------------------------------------------------------------------------------

/** A single score: with one query, one key, one dimension and q = 1, the score is k. */
const ONE: Sizes = { batch: 1, heads: 1, tokens: 1, dim: 1 };

async function softThresholdAt(score: number, threshold: number, given: Partial<LeopardOptions> = {}) {
  const chosen = options({ ...given, initialThreshold: threshold });
  const { graph, feeds } = leopard.forTraining(attentionModel({ heads: 1, dim: 1 }), chosen);
  const b = new GraphBuilder('loss', graph);
  const loss = b.op('ReduceSum', ['leopard.soft'], { keepdims: int(0) });
  const differentiated = differentiate(b.finish(), { loss, wrt: ['key', TH] });
  const values = {
    query: rowsOf([1], ONE),
    key: rowsOf([score], ONE),
    value: rowsOf([1], ONE),
    attention_mask: maskOf([1], 1),
    ...feeds(0, 1),
  };
  const fetched = await valuesOf(differentiated, values, [loss, 'grad:key', `grad:${TH}`]);
  const scalar = (name: string) => Number(fetched[name]!.data[0]);
  return { soft: scalar(loss), byScore: scalar('grad:key'), byThreshold: scalar(`grad:${TH}`) };
}

/** float32 rounding of the score's distance from the threshold, magnified by s·c. */
const closeTo = (actual: number, expected: number) =>
  expect(Math.abs(actual - expected)).toBeLessThan(2e-5 * Math.abs(expected) + 1e-6);

describe('the soft threshold', () => {
  // Values and derivatives of the two formulas at s = 10, c = 1000, evaluated in double precision.
  test.each([
    { x: 0.1, threshold: 0, soft: 0.0761594156, byScore: 1.1815685, byThreshold: -0.419974342 },
    { x: -0.01, threshold: 0, soft: -99.6679946, byScore: 9900.66291, byThreshold: -9900.66291 },
    { x: -0.1, threshold: 0, soft: -761.594156, byScore: 4199.74342, byThreshold: -4199.74342 },
    { x: 0.55, threshold: 0.5, soft: 0.254164436, byScore: 4.78757969, byThreshold: -4.32546253 },
    { x: 0.45, threshold: 0.5, soft: -462.117157, byScore: 7864.47733, byThreshold: -7864.47733 },
  ])('at x = $x, Th = $threshold', async ({ x, threshold, soft, byScore, byThreshold }) => {
    const at = await softThresholdAt(x, threshold);
    closeTo(at.soft, soft);
    closeTo(at.byScore, byScore);
    closeTo(at.byThreshold, byThreshold);
  });

  test('its values and derivatives are those of x·tanh(s(x − Th)) above and c·tanh(s(x − Th)) below', async () => {
    const property = fc.asyncProperty(
      fc.double({ min: -1, max: 1, noNaN: true }),
      fc.double({ min: -1, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 20 }),
      async (givenScore, givenThreshold, sharpness, depth) => {
        const [x, threshold] = [Math.fround(givenScore), Math.fround(givenThreshold)];
        fc.pre(Math.abs(x - threshold) > 1e-3);
        const at = await softThresholdAt(x, threshold, { sharpness, depth });
        const squashed = Math.tanh(sharpness * (x - threshold));
        const slope = sharpness * (1 - squashed ** 2);
        const near = (actual: number, expected: number) =>
          expect(Math.abs(actual - expected)).toBeLessThan(1e-4 * (1 + Math.abs(expected)));
        near(at.soft, (x >= threshold ? x : depth) * squashed);
        near(at.byScore, x >= threshold ? squashed + x * slope : depth * slope);
        near(at.byThreshold, x >= threshold ? -x * slope : -depth * slope);
      },
    );
    await fc.assert(property, { numRuns: 25, seed: 5 });
  });
});

interface Case {
  readonly sizes: Sizes;
  readonly lengths: readonly number[];
  readonly mask: Mask;
  readonly seed: number;
}

const cases = (masks: readonly Mask[], dims: fc.Arbitrary<number> = fc.integer({ min: 1, max: 5 })) =>
  fc
    .record({
      batch: fc.integer({ min: 1, max: 3 }),
      heads: fc.integer({ min: 1, max: 3 }),
      tokens: fc.integer({ min: 1, max: 6 }),
      dim: dims,
    })
    .chain((sizes) =>
      fc.record<Case>({
        sizes: fc.constant(sizes),
        lengths: fc.array(fc.integer({ min: 1, max: sizes.tokens }), {
          minLength: sizes.batch,
          maxLength: sizes.batch,
        }),
        mask: fc.constantFrom(...masks),
        seed: fc.integer({ min: 1, max: 1e6 }),
      }),
    );

/** Numbers in −1 … 1 that follow from a seed. */
const spread = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(Math.sin((i + 1) * 12.9898 + seed * 78.233)));

const sizeOf = ({ batch, heads, tokens, dim }: Sizes) => batch * heads * tokens * dim;

function feedsOf({ sizes, lengths, seed }: Case): Values & { query: Tensor; key: Tensor; value: Tensor } {
  const part = (offset: number) => rowsOf(spread(sizeOf(sizes), seed + offset), sizes);
  return { query: part(0), key: part(0.1), value: part(0.2), attention_mask: maskOf(lengths, sizes.tokens) };
}

/** Whether a score belongs to a real query and to a key that it sees. */
const isValid = ({ lengths, mask }: Case, item: number, query: number, key: number): boolean =>
  query < lengths[item]! &&
  (mask === 'none' || key < lengths[item]!) &&
  (mask !== 'causal' || key <= query) &&
  (mask !== 'local' || Math.abs(key - query) <= 1);

/** Calls back for every score with its exact value. */
function eachScore(
  given: Case,
  { query, key }: { query: Tensor; key: Tensor },
  visit: (score: number, place: { item: number; head: number; query: number; key: number }) => void,
): void {
  const { batch, heads, tokens, dim } = given.sizes;
  const q = query.data as Float32Array;
  const k = key.data as Float32Array;
  for (let item = 0; item < batch; item++) {
    for (let head = 0; head < heads; head++) {
      const start = (item * heads + head) * tokens * dim;
      for (let i = 0; i < tokens; i++) {
        for (let j = 0; j < tokens; j++) {
          let score = 0;
          for (let d = 0; d < dim; d++) score += q[start + i * dim + d]! * k[start + j * dim + d]!;
          visit(score, { item, head, query: i, key: j });
        }
      }
    }
  }
}

describe('the penalty', () => {
  test('is the mean over valid scores of σ(k(SoftThreshold(x) + c − α)), and the monitors count what they say', async () => {
    // Moderate constants: float32 keeps the sigmoid's argument to many digits.
    const constants = { sharpness: 2, depth: 3, steepness: 2, offset: 1 };
    const property = fc.asyncProperty(
      cases(['none', 'add', 'where', 'causal', 'local']),
      fc.constantFrom('layer' as const, 'head' as const),
      async (given, granularity) => {
        const { heads, dim } = given.sizes;
        const scale = 1 / Math.sqrt(dim);
        const rewrite = leopard.forTraining(
          attentionModel({ heads, dim, mask: given.mask, scale }),
          options({ ...constants, granularity }),
        );
        const thresholds = spread(granularity === 'head' ? heads : 1, given.seed + 0.5).map((th) => th * 0.5);
        const shape = [1, thresholds.length, 1, 1];
        const graph = withInitializer(rewrite.graph, TH, floatTensor(thresholds, shape));
        const feeds = feedsOf(given);
        const { alive, band } = rewrite.monitors as { alive: string; band: string };
        const fetched = await valuesOf(graph, { ...feeds, ...rewrite.feeds(0, 1) }, [rewrite.penalty, alive, band]);
        const { sharpness: s, depth: c, steepness: k, offset } = constants;
        let [valid, surrogate, survivors, inBand] = [0, 0, 0, 0];
        eachScore(given, feeds, (product, { item, head, query, key }) => {
          if (!isValid(given, item, query, key)) return;
          const x = product * scale;
          const threshold = thresholds[granularity === 'head' ? head : 0]!;
          const soft = (x >= threshold ? x : c) * Math.tanh(s * (x - threshold));
          valid++;
          surrogate += 1 / (1 + Math.exp(-k * (soft + c - offset)));
          survivors += x >= threshold ? 1 : 0;
          inBand += Math.abs(k * (soft + c - offset)) <= 10 ? 1 : 0;
        });
        const scalar = (name: string) => Number(fetched[name]!.data[0]);
        expect(scalar(rewrite.penalty)).toBeCloseTo(surrogate / valid, 4);
        expect(scalar(alive)).toBeCloseTo(survivors / valid, 4);
        expect(scalar(band)).toBeCloseTo(inBand / valid, 4);
      },
    );
    await fc.assert(property, { numRuns: 40, seed: 6 });
  });

  test('of a batch of empty texts is 0, not NaN', async () => {
    const given: Case = { sizes: { batch: 2, heads: 1, tokens: 1, dim: 2 }, lengths: [0, 0], mask: 'add', seed: 1 };
    const { graph, penalty, feeds } = leopard.forTraining(attentionModel({ heads: 1, dim: 2 }), options());
    const fetched = await valuesOf(graph, { ...feedsOf(given), ...feeds(0, 1) }, [penalty]);
    expect(fetched[penalty]!.data[0]).toBe(0);
  });

  test('is averaged over the layers', async () => {
    const given: Case = { sizes: { batch: 1, heads: 1, tokens: 3, dim: 2 }, lengths: [3], mask: 'none', seed: 4 };
    const single = attentionModel({ heads: 1, dim: 2, mask: 'none' });
    const b = new GraphBuilder('two', single);
    const again = b.softmax(b.mul(b.matmul('query', b.transpose('key', [0, 1, 3, 2])), b.constant(2)), -1);
    b.output(b.op('Identity', [b.matmul(again, 'value')]));
    const both = leopard.forTraining(b.finish(), options({ initialThreshold: 0.1 }));
    expect(both.trainable).toEqual([thresholdName(0), thresholdName(1)]);
    const penaltyOf = async (scale: number) => {
      const { graph, penalty, feeds } = leopard.forTraining(
        attentionModel({ heads: 1, dim: 2, mask: 'none', scale }),
        options({ initialThreshold: 0.1 }),
      );
      return Number((await valuesOf(graph, { ...feedsOf(given), ...feeds(0, 1) }, [penalty]))[penalty]!.data[0]);
    };
    const fetched = await valuesOf(both.graph, { ...feedsOf(given), ...both.feeds(0, 1) }, [both.penalty]);
    expect(fetched[both.penalty]!.data[0]).toBeCloseTo((await penaltyOf(1)) / 2 + (await penaltyOf(2)) / 2, 5);
  });
});

describe('a row that may attend to nothing, in training', () => {
  test('has its context times the largest count of its visible scores', async () => {
    const constants = { sharpness: 2, depth: 3, steepness: 2, offset: 1, initialThreshold: 0.2 };
    const property = fc.asyncProperty(cases(['none', 'add', 'causal']), async (given) => {
      const { heads, dim, tokens } = given.sizes;
      const outputs = async (emptyRow: LeopardOptions['emptyRow']) => {
        const model = attentionModel({ heads, dim, mask: given.mask });
        const { graph, feeds } = leopard.forTraining(model, options({ ...constants, emptyRow }));
        const fetched = await valuesOf(graph, { ...feedsOf(given), ...feeds(0, 1) }, ['out']);
        return fetched.out!.data as Float32Array;
      };
      const gates = new Float64Array(given.sizes.batch * heads * tokens);
      eachScore(given, feedsOf(given), (x, { item, head, query, key }) => {
        if (!isValid(given, item, query, key)) return;
        const { sharpness, depth, steepness, offset, initialThreshold: threshold } = constants;
        const soft = (x >= threshold ? x : depth) * Math.tanh(sharpness * (x - threshold));
        const row = (item * heads + head) * tokens + query;
        gates[row] = Math.max(gates[row]!, 1 / (1 + Math.exp(-steepness * (soft + depth - offset))));
      });
      const [plain, gated] = [await outputs('keep-largest'), await outputs('drop')];
      gates.forEach((gate, row) => {
        const isReal = row % tokens < given.lengths[Math.floor(row / (heads * tokens))]!;
        for (let d = 0; isReal && d < dim; d++)
          expect(gated[row * dim + d]!).toBeCloseTo(plain[row * dim + d]! * gate, 4);
      });
    });
    await fc.assert(property, { numRuns: 20, seed: 9 });
  });
});

/** What a rewrite adds must be valid in the operator set that the model has; gradients exist from 16 on. */
test.each([16, 17, 18, 20])('models of operator set %i train and run', async (opset) => {
  const given: Case = { sizes: { batch: 1, heads: 1, tokens: 3, dim: 2 }, lengths: [2], mask: 'add', seed: 5 };
  const graph = { ...attentionModel({ heads: 1, dim: 2 }), opsets: { '': opset } };
  const ranges = new Map(['query', 'key', 'value'].map((name) => [name, 1]));
  const learned = new Map([[TH, floatTensor([0.1], [1, 1, 1, 1])]]);
  for (const emptyRow of ['keep-largest', 'drop'] as const) {
    const { graph: training, penalty, feeds } = leopard.forTraining(graph, options({ emptyRow, depth: 3 }));
    const b = new GraphBuilder('loss', training);
    const loss = b.add(penalty, b.op('ReduceSum', ['out'], { keepdims: int(0) }));
    const differentiated = differentiate(b.finish(), { loss, wrt: [TH, 'query'] });
    const gradient = await valuesOf(differentiated, { ...feedsOf(given), ...feeds(0, 1) }, [`grad:${TH}`]);
    expect(gradient[`grad:${TH}`]!.data[0]).toSatisfy(Number.isFinite);
    const inference = leopard.forInference(graph, options({ emptyRow }), learned, ranges);
    expect(headsOf(inference, await valuesOf(inference.graph, feedsOf(given), inference.observed), [2])).toHaveLength(
      1,
    );
  }
});

describe('thresholds', () => {
  test('learn over their share of the steps, at their own rate', () => {
    const given = options({ thresholdsUntil: 0.4, thresholdLearningRate: 0.5 });
    const rewrite = leopard.forTraining(attentionModel({ heads: 1, dim: 2 }), given);
    expect(rewrite).toMatchObject({ trainable: [TH], learningRate: 0.5, learnedUntil: 0.4 });
  });

  test('start where they are told, one per layer or one per head', () => {
    const graph = attentionModel({ heads: 3, dim: 2 });
    const initial = (granularity: LeopardOptions['granularity']) =>
      leopard.forTraining(graph, options({ granularity, initialThreshold: 0.25 })).graph.initializers.get(TH)!;
    expect(initial('layer')).toEqual(floatTensor([0.25], [1, 1, 1, 1]));
    expect(initial('head')).toEqual(floatTensor([0.25, 0.25, 0.25], [1, 3, 1, 1]));
  });

  test('per head, each learns from its own head alone', async () => {
    const given: Case = { sizes: { batch: 1, heads: 2, tokens: 3, dim: 2 }, lengths: [3], mask: 'none', seed: 9 };
    const rewrite = leopard.forTraining(
      attentionModel({ heads: 2, dim: 2, mask: 'none' }),
      options({ granularity: 'head', depth: 3, steepness: 1, sharpness: 1 }),
    );
    const graph = differentiate(rewrite.graph, { loss: rewrite.penalty, wrt: [TH] });
    const gradient = async (feeds: Values) =>
      (await valuesOf(graph, { ...feeds, ...rewrite.feeds(0, 1) }, [`grad:${TH}`]))[`grad:${TH}`]!.data as Float32Array;
    const feeds = feedsOf(given);
    const changed = Float32Array.from(feeds.query.data as Float32Array, (q, i) => (i >= 6 ? q + 0.5 : q));
    const [before, after] = [await gradient(feeds), await gradient({ ...feeds, query: rowsOf(changed, given.sizes) })];
    expect(before[0]).not.toBe(0);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });
});

describe('the constants over training', () => {
  const numbers = (given: Partial<LeopardOptions>, step: number, steps: number) =>
    Object.fromEntries(
      Object.entries(leopard.forTraining(attentionModel({ heads: 1, dim: 1 }), options(given)).feeds(step, steps)).map(
        ([name, { data }]) => [name, data[0]],
      ),
    );

  test('stay as they are without annealing', () => {
    const expected = { 'leopard.sharpness': 10, 'leopard.depth': 1000, 'leopard.steepness': 100 };
    for (const step of [0, 7, 99]) expect(numbers({}, step, 100)).toEqual(expected);
  });

  test('annealed, go geometrically from the first to the final ones over their share of the steps', () => {
    const anneal = { sharpness: 0.1, depth: 10, steepness: 1, share: 0.5 };
    expect(numbers({ anneal }, 0, 100)).toEqual({
      'leopard.sharpness': Math.fround(0.1),
      'leopard.depth': 10,
      'leopard.steepness': 1,
    });
    const halfway = numbers({ anneal }, 25, 100);
    expect(halfway['leopard.sharpness']).toBeCloseTo(1, 5);
    expect(halfway['leopard.depth']).toBeCloseTo(100, 3);
    expect(halfway['leopard.steepness']).toBeCloseTo(10, 4);
    for (const step of [50, 51, 99]) {
      const final = numbers({ anneal }, step, 100);
      expect(final['leopard.sharpness']).toBeCloseTo(10, 4);
      expect(final['leopard.depth']).toBeCloseTo(1000, 2);
      expect(final['leopard.steepness']).toBeCloseTo(100, 3);
    }
  });
});

// Inference -------------------------------------------------------------------------------------------------------------

const LARGEST = 2047;

interface Deployed {
  readonly records: AttentionHeadRecord[];
  readonly fetched: Values;
}

/**
 * Runs the inference graph on whole-number queries and keys whose quantiser steps are 1, so that the integers that the
 * model compares are the given ones.
 */
async function deploy(
  model: ModelOptions,
  given: Partial<LeopardOptions>,
  thresholds: readonly number[],
  feeds: Values,
  lengths: readonly number[],
  fetches: readonly string[] = [],
): Promise<Deployed> {
  const chosen = options(given);
  const learned = floatTensor(thresholds, [1, thresholds.length, 1, 1]);
  const limit = 2 ** (chosen.queryKeyBits - 1) - 1;
  const ranges = new Map([
    ['query', limit],
    ['key', limit],
    ['value', 1],
  ]);
  const rewrite = leopard.forInference(attentionModel(model), chosen, new Map([[TH, learned]]), ranges);
  const fetched = await valuesOf(rewrite.graph, feeds, [...rewrite.observed, 'out', ...fetches]);
  return { fetched, records: headsOf(rewrite, fetched, lengths) };
}

const integers = (sizes: Sizes, limit = LARGEST) =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: -limit, max: limit }) },
      { weight: 1, arbitrary: fc.constantFrom(-limit, limit, 0) },
    ),
    { minLength: sizeOf(sizes), maxLength: sizeOf(sizes) },
  );

const integerCases = cases(['none', 'add', 'where', 'causal'], fc.constantFrom(1, 2, 3, 64, 128)).chain((given) =>
  fc.record({
    given: fc.constant(given),
    q: integers(given.sizes),
    k: integers(given.sizes),
    /** Which of the scores the threshold is. */
    pick: fc.nat(),
    offset: fc.constantFrom(-1, 0, 0, 1),
    emptyRow: fc.constantFrom('keep-largest' as const, 'drop' as const),
  }),
);

describe('the hard rule', () => {
  test('keeps a visible score if and only if the exact integer score reaches the integer threshold', async () => {
    const property = fc.asyncProperty(integerCases, async ({ given, q, k, pick, offset, emptyRow }) => {
      const { sizes, lengths, mask } = given;
      const feeds = {
        query: rowsOf(q, sizes),
        key: rowsOf(k, sizes),
        value: rowsOf(spread(sizeOf(sizes), given.seed), sizes),
        attention_mask: maskOf(lengths, sizes.tokens),
      };
      const scores: number[] = [];
      eachScore(given, feeds, (score) => scores.push(score));
      const threshold = Math.fround(scores[pick % scores.length]! + offset);
      const model = { heads: sizes.heads, dim: sizes.dim, mask };
      const real = mask === 'none' ? lengths.map(() => sizes.tokens) : lengths;
      const { records } = await deploy(model, { emptyRow }, [threshold], feeds, real);
      expect(records).toHaveLength(sizes.batch * sizes.heads);
      for (const record of records) {
        expect(record.threshold).toBe(threshold);
        expect(record.causal && record.queries > 1).toBe(mask === 'causal' && record.queries > 1);
        for (let query = 0; query < record.queries; query++) {
          const visible = record.causal ? query + 1 : record.keys;
          const row = Array.from({ length: visible }, (_, key) => exactScore(record, query, key));
          const expected = row.map((score) => score >= BigInt(threshold));
          if (emptyRow === 'keep-largest' && !expected.includes(true)) {
            expected[row.findIndex((score) => row.every((other) => other <= score))] = true;
          }
          const found = Array.from({ length: record.keys }, (_, key) => survives(record, query, key));
          expect(found).toEqual(Array.from({ length: record.keys }, (_, key) => expected[key] ?? false));
        }
      }
    });
    await fc.assert(property, { numRuns: 60, seed: 7 });
  });

  test('at the extremes of 12 bits and 128 dimensions, one unit decides', async () => {
    const sizes: Sizes = { batch: 1, heads: 1, tokens: 2, dim: 128 };
    const extreme = new Array<number>(128).fill(LARGEST);
    // The second key lacks 2,047 of the largest possible score.
    const keys = [...extreme, ...extreme.slice(1), LARGEST - 1];
    const feeds = {
      query: rowsOf([...extreme, ...extreme], sizes),
      key: rowsOf(keys, sizes),
      value: rowsOf(spread(256, 1), sizes),
      attention_mask: maskOf([2], 2),
    };
    const { records } = await deploy({ heads: 1, dim: 128 }, {}, [128 * LARGEST ** 2], feeds, [2]);
    expect(exactScore(records[0]!, 0, 0)).toBe(BigInt(128 * LARGEST ** 2));
    expect(records[0]!.survivors).toEqual(Uint8Array.of(0b0101));
  });

  test('a learned threshold becomes the smallest integer score that reaches it', async () => {
    const sizes: Sizes = { batch: 1, heads: 2, tokens: 3, dim: 4 };
    const feeds = feedsOf({ sizes, lengths: [3], mask: 'add', seed: 3 });
    const model = { heads: 2, dim: 4, scale: 0.5 };
    const ranges = new Map([
      ['query', 1],
      ['key', 2],
      ['value', 1],
    ]);
    const learned = floatTensor([0.7, -0.3], [1, 2, 1, 1]);
    const chosen = options({ granularity: 'head', queryKeyBits: 8 });
    const rewrite = leopard.forInference(attentionModel(model), chosen, new Map([[TH, learned]]), ranges);
    const records = headsOf(rewrite, await valuesOf(rewrite.graph, feeds, rewrite.observed), [3]);
    const realPerInteger = (1 / 127) * (2 / 127) * 0.5;
    expect(records.map(({ threshold }) => threshold)).toEqual(
      [0.7, -0.3].map((threshold) => Math.ceil(Math.fround(threshold) / realPerInteger)),
    );
    expect(records.map(({ queryStep, keyStep, bits }) => [queryStep, keyStep, bits])).toEqual([
      [1 / 127, 2 / 127, 8],
      [1 / 127, 2 / 127, 8],
    ]);
    expect(rewrite.heads).toEqual([
      { layer: 0, head: 0, threshold: Math.fround(0.7), bits: 8 },
      { layer: 0, head: 1, threshold: Math.fround(-0.3), bits: 8 },
    ]);
    const q = Array.from(feeds.query.data as Float32Array, (value) => Math.round(value * 127));
    expect(records.flatMap((record) => [...record.q])).toEqual(q);
  });

  test('values beyond the calibrated range are clipped to the largest magnitude of the width', async () => {
    const sizes: Sizes = { batch: 1, heads: 1, tokens: 2, dim: 1 };
    const feeds = {
      query: rowsOf([1e6, -1e6], sizes),
      key: rowsOf([2050, 3], sizes),
      value: rowsOf([1, 1], sizes),
      attention_mask: maskOf([2], 2),
    };
    const { records } = await deploy({ heads: 1, dim: 1 }, {}, [0], feeds, [2]);
    expect([...records[0]!.q]).toEqual([LARGEST, -LARGEST]);
    expect([...records[0]!.k]).toEqual([LARGEST, 3]);
  });
});

describe('a row with every score below its threshold', () => {
  const sizes: Sizes = { batch: 1, heads: 1, tokens: 4, dim: 1 };
  const feeds = {
    query: rowsOf([1, 2, -1, 1], sizes),
    key: rowsOf([3, 5, 5, 100], sizes),
    value: rowsOf([0.25, 0.5, -0.5, 1], sizes),
    attention_mask: maskOf([3], 4),
  };

  test('keeps its largest visible score, the first of equals', async () => {
    const { records, fetched } = await deploy({ heads: 1, dim: 1 }, {}, [1000], feeds, [3]);
    const rows = [0, 1, 2].map((query) => [0, 1, 2].map((key) => survives(records[0]!, query, key)));
    expect(rows).toEqual([
      [false, true, false],
      [false, true, false],
      [true, false, false],
    ]);
    expect([...(fetched.out!.data as Float32Array)].slice(0, 3)).toEqual(
      [0.5, 0.5, 0.25].map((value) => expect.closeTo(value, 4)),
    );
  });

  test('dropped, attends to nothing', async () => {
    const { records, fetched } = await deploy({ heads: 1, dim: 1 }, { emptyRow: 'drop' }, [1000], feeds, [3]);
    expect(records[0]!.survivors).toEqual(new Uint8Array(2));
    expect([...(fetched.out!.data as Float32Array)].slice(0, 3)).toEqual([0, 0, 0]);
  });
});

/** Attention over quantised operands without pruning, in double precision: context [batch, heads, tokens, dim]. */
function denseContext(given: Case, feeds: { query: Tensor; key: Tensor; value: Tensor }, scale: number): number[] {
  const { tokens, dim } = given.sizes;
  const valueStep = 1 / 32767;
  const rows = new Map<string, { start: number; scores: [number, number][] }>();
  eachScore(given, feeds, (score, { item, head, query, key }) => {
    const name = [item, head, query].join();
    const start = (item * given.sizes.heads + head) * tokens * dim;
    if (!rows.has(name)) rows.set(name, { start, scores: [] });
    if (isValid({ ...given, lengths: given.lengths.map((n) => (query < n ? n : query + 1)) }, item, query, key))
      rows.get(name)!.scores.push([key, score * scale]);
  });
  return [...rows.values()].flatMap(({ start, scores }) => {
    const largest = Math.max(...scores.map(([, score]) => score));
    const total = scores.reduce((sum, [, score]) => sum + Math.exp(score - largest), 0);
    return Array.from({ length: dim }, (_, d) =>
      scores.reduce((sum, [key, score]) => {
        const value = Math.round((feeds.value.data[start + key * dim + d] as number) / valueStep) * valueStep;
        return sum + (Math.exp(score - largest) / total) * value;
      }, 0),
    );
  });
}

describe('the model with thresholds far below every score', () => {
  test('is the quantised model, whatever its mask and the layout of its keys', async () => {
    const scale = 2 ** -10;
    const property = fc.asyncProperty(
      cases(['none', 'add', 'where', 'causal', 'local']),
      fc.constantFrom('tokens-dim' as const, 'dim-tokens' as const),
      fc.constantFrom(-1e30, -1e12),
      async (given, keyLayout, threshold) => {
        const { heads, dim, tokens, batch } = given.sizes;
        const whole = (offset: number) =>
          spread(sizeOf(given.sizes), given.seed + offset).map((x) => Math.round(40 * x));
        const feeds = { ...feedsOf(given), query: rowsOf(whole(0), given.sizes), key: rowsOf(whole(0.1), given.sizes) };
        const columns = floatTensor(
          Array.from({ length: sizeOf(given.sizes) }, (_, at) => {
            const [matrix, d, token] = [Math.floor(at / (tokens * dim)), Math.floor(at / tokens) % dim, at % tokens];
            return feeds.key.data[matrix * tokens * dim + token * dim + d] as number;
          }),
          [batch, heads, dim, tokens],
        );
        const fed = { ...feeds, key: keyLayout === 'dim-tokens' ? columns : feeds.key };
        const model = { heads, dim, mask: given.mask, scale, keyLayout };
        const rewrite = leopard.forInference(
          attentionModel(model),
          options(),
          new Map([[TH, floatTensor([threshold], [1, 1, 1, 1])]]),
          new Map(['query', 'key', 'value'].map((name) => [name, name === 'value' ? 1 : LARGEST])),
        );
        const kept = rewrite.observed.find((name) => name.endsWith('.kept'))!;
        const fetched = await valuesOf(rewrite.graph, fed, [kept, 'out']);
        const expected = denseContext(given, feeds, scale);
        const out = fetched.out!.data as Float32Array;
        for (let item = 0; item < batch; item++) {
          for (let head = 0; head < heads; head++) {
            for (let query = 0; query < given.lengths[item]!; query++) {
              for (let key = 0; key < tokens; key++) {
                const at = ((item * heads + head) * tokens + query) * tokens + key;
                expect(kept && fetched[kept]!.data[at]).toBe(isValid(given, item, query, key) ? 1 : 0);
              }
              for (let d = 0; d < dim; d++) {
                const at = ((item * heads + head) * tokens + query) * dim + d;
                // Each probability is off by half a unit of 2^-15 at most.
                expect(Math.abs(out[at]! - expected[at]!)).toBeLessThan(tokens * 2 ** -16 + 1e-5);
              }
            }
          }
        }
      },
    );
    await fc.assert(property, { numRuns: 40, seed: 8 });
  });

  test('has probabilities that sum to 1 within the rounding to 15 fraction bits', async () => {
    const given: Case = { sizes: { batch: 1, heads: 2, tokens: 6, dim: 3 }, lengths: [5], mask: 'add', seed: 2 };
    const feeds = { ...feedsOf(given), value: rowsOf(new Array<number>(36).fill(1), given.sizes) };
    const { fetched } = await deploy({ heads: 2, dim: 3 }, {}, [-1e9], feeds, [5]);
    // With all values 1, the context is the sum of the probabilities.
    for (const sum of fetched.out!.data as Float32Array) expect(Math.abs(sum - 1)).toBeLessThanOrEqual(6 * 2 ** -16);
  });
});

describe('masks', () => {
  const given: Case = { sizes: { batch: 2, heads: 2, tokens: 5, dim: 2 }, lengths: [5, 3], mask: 'add', seed: 11 };
  const recordsWith = async (mask: Mask) =>
    (await deploy({ heads: 2, dim: 2, mask }, {}, [0], feedsOf(given), given.lengths)).records;

  test('of padding leave records of the real tokens alone', async () => {
    const records = await recordsWith('add');
    expect(
      records.map(({ sequence, head, queries, keys, paddedLength }) => [sequence, head, queries, keys, paddedLength]),
    ).toEqual([
      [0, 0, 5, 5, 5],
      [0, 1, 5, 5, 5],
      [1, 0, 3, 3, 5],
      [1, 1, 3, 3, 5],
    ]);
    expect(records.every(({ causal }) => !causal)).toBe(true);
  });

  test('that add and masks that select decide alike', async () => {
    expect(await recordsWith('where')).toEqual(await recordsWith('add'));
  });

  test('that hide later tokens make causal records', async () => {
    const records = await recordsWith('causal');
    expect(records.every(({ causal }) => causal)).toBe(true);
    for (const record of records) {
      for (let query = 0; query < record.queries; query++)
        for (let key = query + 1; key < record.keys; key++) expect(survives(record, query, key)).toBe(false);
    }
  });

  test('of any other pattern cannot be recorded, and the error says so', async () => {
    await expect(recordsWith('local')).rejects.toMatchObject({
      code: 'TANDEM_MODEL_UNSUPPORTED',
      place: 'attention layer 0',
    });
  });
});

describe('models it cannot rewrite', () => {
  const rejected = (graph: Graph) => {
    const error = expect.objectContaining({
      code: 'TANDEM_MODEL_UNSUPPORTED',
      remedy: expect.stringContaining('Export'),
    });
    expect(() => leopard.forTraining(graph, options())).toThrow(error);
    expect(() => leopard.calibrated(graph, options())).toThrow(error);
    expect(() => leopard.forInference(graph, options(), new Map(), new Map())).toThrow(error);
  };

  test('have no attention', () => {
    const b = new GraphBuilder('plain');
    b.output(b.op('Relu', [b.input('x', 'float32', ['batch', 4])]));
    rejected(b.finish());
  });

  test('fold heads into the batch', () => {
    const b = new GraphBuilder('folded');
    const [q, k, v] = ['q', 'k', 'v'].map((name) => b.input(name, 'float32', ['rows', 'tokens', 4])) as [
      string,
      string,
      string,
    ];
    b.output(b.op('Identity', [b.matmul(b.softmax(b.matmul(q, b.transpose(k, [0, 2, 1])), -1), v)]));
    rejected(b.finish());
  });
});

test('calibration measures queries, keys and values', () => {
  expect(leopard.calibrated(attentionModel({ heads: 1, dim: 1 }), options())).toEqual(['query', 'key', 'value']);
});

test('the original model stays as it is', async () => {
  const given: Case = { sizes: { batch: 1, heads: 1, tokens: 3, dim: 2 }, lengths: [3], mask: 'add', seed: 5 };
  const graph = attentionModel({ heads: 1, dim: 2 });
  const before = await run(graph, feedsOf(given));
  leopard.forTraining(graph, options());
  leopard.forInference(
    graph,
    options(),
    new Map([[TH, floatTensor([0], [1, 1, 1, 1])]]),
    new Map(['query', 'key', 'value'].map((name) => [name, 1])),
  );
  expect(await run(graph, feedsOf(given))).toEqual(before);
});
