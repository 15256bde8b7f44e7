/** DynaProp: what is pruned while training, how it is counted and recorded, and how thresholds follow a sparsity. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withOutputs } from '../../src/graph/edit.js';
import { differentiate } from '../../src/graph/gradients/index.js';
import { floatTensor, int, type Tensor } from '../../src/graph/types.js';
import { buildFlexibert, freshFlexibertWeights } from '../../src/models/flexibert.js';
import { dynaprop } from '../../src/techniques/dynaprop.js';
import { firstThreshold, nextThreshold } from '../../src/techniques/dynaprop-thresholds.js';
import type { Carried, TrainingRewrite } from '../../src/techniques/types.js';
import type { MaskRecord } from '../../src/trace/types.js';
import type { TransformerArchitecture } from '../../src/workload/transformer.js';
import { run } from '../graph/runtime.js';
import { attentionModel, maskOf } from './attention-model.js';
import { encoder, feedsOf, LENGTHS, rewriteOf, trainerOf } from './training-setup.js';

const NOTHING = { forward: { threshold: 0 }, gradients: { threshold: 0 }, parameters: { threshold: 0 } };
const SOME = { forward: { threshold: 0.05 }, gradients: { threshold: 1e-3 }, parameters: { threshold: 2e-3 } };

const zeros = (values: ArrayLike<number>): number => Array.from(values).filter((value) => value === 0).length;
const data = (tensor: Tensor | undefined): number[] => Array.from(tensor!.data as Float32Array);

describe('with every threshold at 0', () => {
  test('training is plain training, bit for bit', async () => {
    const { graph, trainable } = encoder();
    const rewrite = rewriteOf(graph, NOTHING);
    const plain = await trainerOf(trainable, graph);
    const pruned = await trainerOf(trainable, rewrite.graph, rewrite);
    for (let step = 0; step < 12; step++) {
      const feeds = feedsOf([step % 2, 1, step % 3 === 0 ? 1 : 0]);
      const expected = await plain.step(feeds);
      const { loss, gradNorm } = await pruned.step({ ...feeds, ...rewrite.feeds(step, 12) });
      expect([loss, gradNorm]).toEqual([expected.loss, expected.gradNorm]);
    }
    const found = pruned.parameters();
    for (const [name, values] of plain.parameters()) expect(data(found.get(name)), name).toEqual(data(values));
    await Promise.all([plain.dispose(), pruned.dispose()]);
  });
});

describe('one head of attention, worked out by hand', () => {
  // Rows of tokens; scores are not scaled and nothing is masked.
  const query = [
    [0.9, -0.4],
    [0.05, 0.4],
    [-0.7, 0.3],
  ];
  const key = [
    [0.8, 0.02],
    [-0.3, 0.6],
    [0.5, -1.2],
  ];
  const value = [
    [1, 0.01],
    [-0.04, -0.8],
    [0.6, 0.5],
  ];
  const [forward, gradients] = [0.26, 0.03];
  type Matrix = number[][];
  const product = (a: Matrix, b: Matrix): Matrix =>
    a.map((row) => b[0]!.map((_, j) => row.reduce((s, x, k) => s + x * b[k]![j]!, 0)));
  const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
  const each = (a: Matrix, f: (x: number, i: number, j: number) => number): Matrix =>
    a.map((row, i) => row.map((x, j) => f(x, i, j)));
  const above = (threshold: number) => (x: number) => (Math.abs(x) > threshold ? x : 0);
  const prune = (a: Matrix) => each(a, above(forward));
  /** The gradient of a pruned matrix back to the matrix: zero where it was pruned, and pruned itself. */
  const back = (gradient: Matrix, before: Matrix) =>
    each(
      each(gradient, (g, i, j) => (Math.abs(before[i]![j]!) > forward ? g : 0)),
      above(gradients),
    );

  // Forward, then Σ (context²)/2 backward: dContext = context.
  const [q, k, v] = [prune(query), prune(key), prune(value)];
  const rawScores = product(q, transposed(k));
  const scores = prune(rawScores);
  const rawProbabilities = each(scores, (x, i) => Math.exp(x) / scores[i]!.reduce((sum, y) => sum + Math.exp(y), 0));
  const probabilities = prune(rawProbabilities);
  const rawContext = product(probabilities, v);
  const context = prune(rawContext);
  const dContext = back(context, rawContext);
  const dProbabilities = back(product(dContext, transposed(v)), rawProbabilities);
  const dSoftmax = each(
    rawProbabilities,
    (p, i, j) =>
      p * (dProbabilities[i]![j]! - rawProbabilities[i]!.reduce((sum, r, m) => sum + r * dProbabilities[i]![m]!, 0)),
  );
  const dScores = back(dSoftmax, rawScores);
  const expected = {
    query: back(product(dScores, k), query),
    key: back(product(transposed(dScores), q), key),
    value: back(product(transposed(probabilities), dContext), value),
  };

  test('values and gradients are those, and the case prunes something everywhere', async () => {
    const model = attentionModel({ heads: 1, dim: 2, mask: 'none' });
    const rewrite = rewriteOf(model, { forward: { threshold: forward }, gradients: { threshold: gradients } });
    const b = new GraphBuilder('loss', rewrite.graph);
    const half = b.mul(b.mul('out', 'out'), b.constant(0.5));
    const loss = b.op('ReduceSum', [half], { keepdims: int(0) });
    const graph = differentiate(b.finish(), { loss, wrt: ['query', 'key', 'value'], rules: rewrite.gradientRules });
    const tensor = (rows: Matrix) => floatTensor(rows.flat(), [1, 1, 3, 2]);
    const feeds = { query: tensor(query), key: tensor(key), value: tensor(value), attention_mask: maskOf([3], 3) };
    const wanted = withOutputs(graph, ['out', 'grad:query', 'grad:key', 'grad:value']);
    const fetched = await run(wanted, { ...feeds, ...rewrite.feeds(0, 1) });
    for (const [name, gradient] of Object.entries({
      out: context,
      'grad:query': expected.query,
      'grad:key': expected.key,
      'grad:value': expected.value,
    })) {
      const found = data(fetched[name]);
      for (const [i, element] of gradient.flat().entries()) expect(found[i], `${name} ${i}`).toBeCloseTo(element, 5);
      expect(zeros(found)).toBe(zeros(gradient.flat()));
    }
    for (const [before, after] of [
      [query, q],
      [rawScores, scores],
      [dSoftmax, dScores],
      [product(dScores, k), expected.query],
    ]) {
      expect(zeros(after!.flat())).toBeGreaterThan(zeros(before!.flat()));
    }
  });
});

/** One step's measures and everything a trace needs, from one run of one session. */
async function observedStep(options: unknown, carried?: Carried) {
  const { graph, trainable } = encoder();
  const rewrite = rewriteOf(graph, options);
  const trainer = await trainerOf(trainable, rewrite.graph, rewrite);
  const names = [...rewrite.feedback!.measured, ...rewrite.observer!.observed];
  const fetched = await trainer.observe({ ...feedsOf(), ...rewrite.feeds(0, 1, carried) }, [...new Set(names)]);
  await trainer.dispose();
  const records = [...rewrite.observer!.record(fetched, LENGTHS, 7)];
  return { rewrite, fetched, records, graph };
}

const bitOf = ({ nonZero, columns }: MaskRecord, row: number, column: number): number => {
  const bit = row * columns + column;
  return (nonZero[bit >> 3]! >> (bit & 7)) & 1;
};
const zerosOf = (record: MaskRecord): number => {
  let count = 0;
  for (let row = 0; row < record.rows; row++)
    for (let column = 0; column < record.columns; column++) count += 1 - bitOf(record, row, column);
  return count;
};
const elementsOf = ({ rows, columns }: MaskRecord): number => rows * columns;
const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);

describe('a traced step', () => {
  test('counts in the graph are the zeros of its masks: real tokens, pruned matrices', async () => {
    const { rewrite, fetched, records, graph } = await observedStep(SOME);
    const { monitors } = rewrite.feedback!.next(fetched, undefined);
    const unpruned = ['input', 'ffn.input'];
    const share = (phase: MaskRecord['phase']) => {
      const counted = records.filter((record) => record.phase === phase && !unpruned.includes(record.matrix));
      const own = counted.filter(({ matrix }) => phase !== 'forward' || !matrix.includes('weight'));
      return { zeros: sum(own.map(zerosOf)), elements: sum(own.map(elementsOf)) };
    };
    for (const [phase, monitor] of [
      ['forward', 'sparsity.activations'],
      ['backward', 'sparsity.gradients'],
    ] as const) {
      const { zeros, elements } = share(phase);
      expect(zeros).toBeGreaterThan(0.05 * elements);
      expect(monitors[monitor]).toBe(zeros / elements);
    }
    // Weights outside the layers, pooler and classifier, are pruned too, and stand in no layer's trace.
    const update = share('update');
    const outside = ['pooler.weight', 'classifier.weight'];
    const size = sum(outside.map((name) => graph.initializers.get(name)!.data.length));
    const kept = sum(outside.map((name) => data(fetched[`dynaprop.${name}.gradient.kept`])[0]!));
    expect(monitors['sparsity.parameter-gradients']).toBe((update.zeros + size - kept) / (update.elements + size));
  });

  test('masks are the zeros of the values, row by token and column by column', async () => {
    const { fetched, records } = await observedStep(SOME);
    const find = (phase: MaskRecord['phase'], layer: number, matrix: string, sequence = 0) =>
      records.find((r) => r.phase === phase && r.layer === layer && r.matrix === matrix && r.sequence === sequence)!;
    const tokens = Math.max(...LENGTHS);
    for (const [sequence, length] of LENGTHS.entries()) {
      const hidden = find('backward', 1, 'ffn.hidden.0', sequence);
      expect([hidden.rows, hidden.columns, hidden.step]).toEqual([length, 16, 7]);
      const gradients = data(fetched['dynaprop.1.ffn.hidden.0.gradient']);
      for (let row = 0; row < length; row++)
        for (let column = 0; column < 16; column++) {
          const at = (sequence * tokens + row) * 16 + column;
          expect(bitOf(hidden, row, column)).toBe(gradients[at] === 0 ? 0 : 1);
        }
      const scores = find('backward', 0, 'scores', sequence);
      expect([scores.rows, scores.columns]).toEqual([2 * length, length]);
      const values = data(fetched['dynaprop.0.scores.gradient']);
      for (let head = 0; head < 2; head++)
        for (let row = 0; row < length; row++)
          for (let column = 0; column < length; column++) {
            const at = ((sequence * 2 + head) * tokens + row) * tokens + column;
            expect(bitOf(scores, head * length + row, column)).toBe(values[at] === 0 ? 0 : 1);
          }
    }
    const update = find('update', 1, 'ffn.weight.0');
    expect([update.rows, update.columns]).toEqual([8, 16]);
    const gradient = data(fetched['grad:layer1.ffn.expand.weight']);
    const bits = gradient.map((_, at) => bitOf(update, Math.floor(at / 16), at % 16));
    expect(bits).toEqual(gradient.map((value) => (value === 0 ? 0 : 1)));
    expect(gradient.every((value) => value === 0 || Math.abs(value) > Math.fround(2e-3))).toBe(true);
  });

  test('weights and updates come with sequence 0; each sequence has all matrices in both directions', async () => {
    const { records } = await observedStep(SOME);
    expect(records.map(({ sequence }) => sequence)).toEqual(
      records.map(({ sequence }) => sequence).toSorted((a, b) => a - b),
    );
    const names = (phase: MaskRecord['phase'], sequence: number) =>
      records
        .filter((r) => r.phase === phase && r.sequence === sequence)
        .map((r) => `${r.layer} ${r.matrix}`)
        .sort();
    expect(names('backward', 1)).toEqual(names('forward', 1));
    expect(names('forward', 1)).toHaveLength(2 * 11 + 1);
    expect(names('update', 0)).toHaveLength(2 * 6);
    expect(names('update', 1)).toEqual([]);
    expect(names('forward', 0)).toEqual([...names('forward', 1), ...names('update', 0)].sort());
  });
});

test('heads of different kinds: their parts of a matrix are pruned apart, and recorded as one', async () => {
  const architecture: TransformerArchitecture = {
    name: 'mixed',
    layers: [
      {
        hidden: 8,
        heads: [
          { kind: 'sdp', dim: 4 },
          { kind: 'conv', dim: 2, kernel: 3 },
          { kind: 'wma', dim: 2 },
        ],
        feedForward: [6, 4],
      },
    ],
    vocabulary: 12,
    tokens: 8,
  };
  const { graph, trainable } = buildFlexibert(architecture, freshFlexibertWeights(2), 2);
  const rewrite = rewriteOf(graph, { forward: { sparsity: 0.4 } });
  const trainer = await trainerOf(trainable, rewrite.graph, rewrite);
  const { extras } = await trainer.step({ ...feedsOf(), ...rewrite.feeds(0, 2) });
  const { carried } = rewrite.feedback!.next(extras, undefined);
  const feeds = { ...feedsOf(), ...rewrite.feeds(1, 2, carried) };
  const fetched = await trainer.observe(feeds, rewrite.observer!.observed);
  await trainer.dispose();
  const masks = [...rewrite.observer!.record(fetched, LENGTHS, 1)].filter(({ sequence }) => sequence === 1);
  const keys = masks.map(({ phase, layer, matrix }) => `${phase} ${layer} ${matrix}`);
  expect(new Set(keys).size).toBe(keys.length);
  for (const phase of ['forward', 'backward'] as const) {
    const of = (name: string) => masks.find((mask) => mask.phase === phase && mask.matrix === name)!;
    expect([of('context').rows, of('context').columns]).toEqual([3, 8]);
    expect([of('ffn.hidden.1').columns, of('ffn.output').columns]).toEqual([4, 8]);
    expect(zerosOf(of('context'))).toBeGreaterThan(0);
  }
});

test('a gradient that is no number stays one, so that training says so', async () => {
  const { graph, trainable } = encoder();
  const rewrite = rewriteOf(graph, SOME);
  const weight = graph.initializers.get('classifier.weight')!;
  const broken = { ...weight, data: (weight.data as Float32Array).map(() => Number.NaN) } as Tensor;
  const initializers = new Map(rewrite.graph.initializers).set('classifier.weight', broken);
  const trainer = await trainerOf(trainable, { ...rewrite.graph, initializers }, rewrite);
  const step = trainer.step({ ...feedsOf(), ...rewrite.feeds(0, 1) });
  await expect(step).rejects.toMatchObject({ code: 'TANDEM_LOSS_NOT_FINITE' });
  await trainer.dispose();
});

test('thresholds may change at every step: they are inputs', async () => {
  const { graph } = encoder();
  const rewrite = rewriteOf(graph, SOME);
  const inputs = rewrite.graph.inputs.map(({ name }) => name);
  const kinds = ['forward', 'gradients', 'parameters'].map((kind) => `dynaprop.threshold.${kind}`);
  expect(inputs).toEqual(['input_ids', 'attention_mask', ...kinds]);
  const fed = rewrite.feeds(3, 10);
  // Per layer: query, key, value, scores, probabilities, context, output, hidden, feed-forward output; and the pooler.
  expect(kinds.map((kind) => fed[kind]!.shape)).toEqual([[19], [19], [14]]);
  expect(kinds.map((kind) => [...new Set(data(fed[kind]))])).toEqual([0.05, 1e-3, 2e-3].map((t) => [Math.fround(t)]));
});

describe('a threshold that follows a sparsity', () => {
  const rule = { sparsity: 0.6 };

  test('prunes nothing at first, then starts from the mean magnitude it saw', () => {
    expect(firstThreshold(rule)).toBe(0);
    expect(nextThreshold(rule, 0, { sparsity: 0, mean: 2 })).toBeCloseTo(-Math.log(0.4) * 2, 12);
    expect(nextThreshold(rule, 0, { sparsity: 1, mean: 0 })).toBe(0);
  });

  test('rises while there are too few zeros, falls while there are too many', () => {
    expect(nextThreshold(rule, 1, { sparsity: 0.5, mean: 1 })).toBeGreaterThan(1);
    expect(nextThreshold(rule, 1, { sparsity: 0.7, mean: 1 })).toBeLessThan(1);
    expect(nextThreshold({ threshold: 1 }, 1, { sparsity: 0.7, mean: 1 })).toBe(1);
  });

  test('gives the wanted sparsity on the mean over the steps, however the gradients grow and shrink', () => {
    const scale = fc.array(fc.double({ min: -1.5, max: 1.5, noNaN: true }), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(scale, fc.double({ min: 0.1, max: 0.9, noNaN: true }), (exponents, sparsity) => {
        let threshold = nextThreshold({ sparsity }, 0, { sparsity: 0, mean: 1e-4 });
        const first = threshold;
        let total = 0;
        for (const exponent of exponents) {
          // Exponentially distributed magnitudes of this step's mean.
          const measured = 1 - Math.exp(-threshold / (1e-4 * 10 ** exponent));
          total += measured;
          threshold = nextThreshold({ sparsity }, threshold, { sparsity: measured, mean: 0 });
        }
        const missed = Math.abs(total / exponents.length - sparsity);
        expect(missed).toBeLessThanOrEqual(Math.abs(Math.log(threshold / first)) / exponents.length + 1e-12);
        expect(missed).toBeLessThan(0.1);
      }),
    );
  });

  test('does so in training, matrix by matrix', async () => {
    const { graph, trainable } = encoder();
    const rewrite = rewriteOf(graph, {
      forward: { sparsity: 0.3 },
      gradients: { sparsity: 0.9 },
      // Zeros of gradients make zeros of parameters' gradients: there are more than half to begin with.
      parameters: { sparsity: 0.8 },
    });
    const shares = await trainedShares(rewrite, trainable, 40);
    const mean = (monitor: string) => sum(shares.slice(10).map((share) => share[monitor]!)) / (shares.length - 10);
    expect(Math.abs(mean('sparsity.activations') - 0.3)).toBeLessThan(0.05);
    expect(Math.abs(mean('sparsity.gradients') - 0.9)).toBeLessThan(0.05);
    expect(Math.abs(mean('sparsity.parameter-gradients') - 0.8)).toBeLessThan(0.05);
  });

  async function trainedShares(rewrite: TrainingRewrite, trainable: readonly string[], steps: number) {
    const groups = [{ match: /./, learningRate: 1e-3, weightDecay: 0 }];
    const trainer = await trainerOf(trainable, rewrite.graph, rewrite, groups);
    const shares: Record<string, number>[] = [];
    let carried: Carried | undefined;
    for (let step = 0; step < steps; step++) {
      const { extras } = await trainer.step({ ...feedsOf([step % 2, 1, 0]), ...rewrite.feeds(step, steps, carried) });
      const next = rewrite.feedback!.next(extras, carried);
      shares.push(next.monitors);
      carried = next.carried;
    }
    await trainer.dispose();
    return shares;
  }
});

describe('the adapted model', () => {
  const feeds = feedsOf();
  const { labels: _, ...texts } = feeds;
  const logits = async (graph: Parameters<typeof run>[0], more = {}) =>
    data((await run(graph, { ...texts, ...more })).logits);

  test('dense: is the model with the weights that training gave', async () => {
    const { graph } = encoder();
    const options = dynaprop.schema.parse({ inference: 'dense' });
    const rewrite = dynaprop.forInference(graph, options, graph.initializers);
    expect(await logits(rewrite.graph, rewrite.feeds)).toEqual(await logits(graph));
  });

  test('pruned: has the zeros that training ended with, matrix by matrix', async () => {
    const { graph } = encoder();
    const options = dynaprop.schema.parse({ forward: { sparsity: 0.4 } });
    const training = rewriteOf(graph, options);
    const carried = training.feedback!.measured.length > 0 ? Array.from({ length: 52 }, (_, i) => 0.01 * (1 + i)) : [];
    const rewrite = dynaprop.forInference(graph, options, training.feedback!.found(carried));
    const trained = withOutputs(training.graph, ['logits']);
    expect(await logits(rewrite.graph, rewrite.feeds)).toEqual(await logits(trained, training.feeds(1, 2, carried)));
    expect(await logits(rewrite.graph, rewrite.feeds)).not.toEqual(await logits(graph));
  });

  test('pruned by one threshold: is DynaTran', async () => {
    const { graph } = encoder();
    const options = dynaprop.schema.parse({ forward: { threshold: 0.1 } });
    const training = rewriteOf(graph, options);
    const rewrite = dynaprop.forInference(graph, options, training.feedback!.found(undefined));
    const trained = withOutputs(training.graph, ['logits']);
    expect(await logits(rewrite.graph, rewrite.feeds)).toEqual(await logits(trained, training.feeds(0, 1)));
  });
});

describe('options', () => {
  test.each([
    { forward: {} },
    { forward: { threshold: 0.1, sparsity: 0.5 } },
    { gradients: { sparsity: 1 } },
    { gradients: { sparsity: 0 } },
    { parameters: { threshold: -1 } },
    { inference: 'sometimes' },
    { gradient: { threshold: 1 } },
  ])('%o are refused', (options) => {
    expect(dynaprop.schema.safeParse(options).success).toBe(false);
  });

  test('a model without attention is refused before it trains', () => {
    const b = new GraphBuilder('plain');
    b.output(b.op('Identity', [b.input('x', 'float32', ['batch', 2])], {}, 'logits'));
    expect(() => rewriteOf(b.finish(), {})).toThrow(expect.objectContaining({ code: 'TANDEM_MODEL_UNSUPPORTED' }));
  });
});
