/** Samplers against random search on problems like ours, and the parts of the Bayesian one against formulas. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectedImprovement, probabilityKept } from '../../src/search/bayesian.js';
import { cholesky, fitted, GaussianProcess, kernel, solveLower } from '../../src/search/gaussian-process.js';
import { samplers } from '../../src/search/registry.js';
import { repeatStudy, runStudy } from '../../src/search/study.js';
import type { Judgement, Point, Space } from '../../src/search/types.js';
import { cascade } from './problem.js';

const NAMES = samplers.names();
const SEEDS = Array.from({ length: 10 }, (_, seed) => seed + 1);

const study = (name: string, space: Space, judge: (point: Point) => Judgement, trials: number, seed = 1) => {
  const sampler = samplers.get(name);
  return runStudy({ space, sampler, options: sampler.schema.parse({}), trials, seed, judge: async (p) => judge(p) });
};

describe.each(NAMES)('%s', (name) => {
  const spaces = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }).map(
    (sizes): Space => ({
      dimensions: sizes.map((size, at) => ({ name: `${at}`, values: Array.from({ length: size }, (_, i) => i) })),
    }),
  );

  test('asks for points of the space, none twice, no more than allowed, whatever it is told', async () => {
    await fc.assert(
      fc.asyncProperty(spaces, fc.nat(20), fc.nat(), async (space, trials, luck) => {
        const judge = (point: Point) => ({
          cost: 1 + ((luck + point.join().length * 7) % 13),
          violation: ((luck ^ Number(point.join(''))) % 5) - 2,
        });
        const { trials: made } = await study(name, space, judge, trials + 2, luck % 1000);
        const all = space.dimensions.reduce((count, { values }) => count * values.length, 1);
        expect(made).toHaveLength(Math.min(trials + 2, all));
        expect(new Set(made.map(({ point }) => point.join())).size).toBe(made.length);
      }),
      { numRuns: 40 },
    );
  });

  test('decides the same with the same seed', async () => {
    const { space, judge } = cascade([0.9, 0.6, 0.3], 1);
    expect(await study(name, space, judge, 20, 5)).toEqual(await study(name, space, judge, 20, 5));
  });

  test('copes where nothing, or everything, keeps the limit', async () => {
    const { space, judge } = cascade([0.9, 0.6, 0.3], 1);
    const always = (violation: number) => (point: Point) => ({ ...judge(point), violation });
    expect((await study(name, space, always(1), 12)).best).toBeUndefined();
    const { best, trials } = await study(name, space, always(-1), 12);
    expect(best!.cost).toBe(Math.min(...trials.map(({ cost }) => cost)));
  });
});

const meanBest = async (name: string, tolerance: readonly number[], task: number, trials: number) => {
  const { space, judge } = cascade(tolerance, task);
  const bests = await Promise.all(SEEDS.map((seed) => study(name, space, judge, trials, seed)));
  return bests.reduce((sum, { best }) => sum + (best?.cost ?? 1), 0) / SEEDS.length;
};

test.each([
  [[0.9, 0.6, 0.3], 24],
  [[0.3, 0.8, 0.5], 24],
  [[0.9, 0.7, 0.5, 0.3, 0.2], 40],
])(
  'greedy and Bayesian search beat random search, mean of ten seeds: layers that need %j, %i trials',
  async (needs, trials) => {
    const random = await meanBest('random', needs, 3, trials);
    expect(await meanBest('bayesian', needs, 3, trials)).toBeLessThan(random);
    expect(await meanBest('greedy', needs, 3, trials)).toBeLessThan(random);
  },
);

test('greedy search finds the optimum where choices do not matter to each other', async () => {
  const space = { dimensions: [5, 4, 3].map((size) => ({ name: 'x', values: [...Array(size).keys()] })) };
  const limits = [3, 1, 2];
  const judge = (point: Point) => ({
    cost: point.reduce((cost, index) => cost - index, 20),
    violation: point.some((index, at) => index > limits[at]!) ? 1 : -1,
  });
  expect((await study('greedy', space, judge, 20)).best!.point).toEqual(limits);
});

describe('studies', () => {
  test('judge equal points once over all seeds, and still count them as trials', async () => {
    const { space, judge } = cascade([0.5, 0.5], 1);
    let judged = 0;
    const sampler = samplers.get('bayesian');
    const request = { space, sampler, options: sampler.schema.parse({}), trials: 10, seeds: SEEDS };
    const counted = async (point: Point) => {
      judged++;
      return judge(point);
    };
    const studies = await repeatStudy({ ...request, judge: counted });
    const points = studies.flatMap(({ trials }) => trials.map(({ point }) => point.join()));
    expect(points).toHaveLength(100);
    expect(judged).toBe(new Set(points).size);
  });

  test('stop between trials, and refuse costs that are none', async () => {
    const { space, judge } = cascade([0.5], 1);
    const sampler = samplers.get('random');
    const request = { space, sampler, options: {}, trials: 5, seed: 1 };
    const signal = AbortSignal.abort();
    await expect(runStudy({ ...request, signal, judge: async (p) => judge(p) })).rejects.toMatchObject({
      code: 'TANDEM_ABORTED',
    });
    const judgeNothing = async () => ({ cost: Number.NaN, violation: 0 });
    await expect(runStudy({ ...request, judge: judgeNothing })).rejects.toMatchObject({ code: 'TANDEM_INTERNAL' });
  });
});

describe('Gaussian processes', () => {
  const settings = { trend: 2, lengthScale: 0.7, noise: 0.1 };

  test('factor their covariance: L·Lᵀ is the matrix, and L·x = b is solved', () => {
    const numbers = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(numbers, (values) => {
        const a = (i: number, k: number) => values[4 * i + k]!;
        const index = [0, 1, 2, 3];
        const dot = (i: number, j: number) => index.reduce((sum, k) => sum + a(i, k) * a(j, k), i === j ? 1 : 0);
        const matrix = index.map((i) => Float64Array.from(index, (j) => dot(i, j)));
        const lower = cholesky(matrix)!;
        for (const i of index) {
          for (const j of index) {
            expect(index.reduce((sum, k) => sum + lower[i]![k]! * lower[j]![k]!, 0)).toBeCloseTo(matrix[i]![j]!, 10);
          }
        }
        const x = solveLower(lower, values.slice(0, 4));
        for (const i of index) {
          expect(index.reduce((sum, k) => sum + lower[i]![k]! * x[k]!, 0)).toBeCloseTo(values[i]!, 10);
        }
      }),
    );
    expect(cholesky([Float64Array.of(1, 2), Float64Array.of(2, 1)])).toBeUndefined();
  });

  test('predict what two points and their closed form say', () => {
    const [a, b, x] = [[0], [1], [0.3]] as const;
    const [values, at] = [[1, -1], (p: readonly number[], q: readonly number[]) => kernel(p, q, settings)] as const;
    const [p, q, r] = [at(a, a) + 0.1, at(a, b), at(b, b) + 0.1];
    const determinant = p * r - q * q;
    const [u, v] = [at(x, a), at(x, b)];
    const weights = [(r * values[0]! - q * values[1]!) / determinant, (p * values[1]! - q * values[0]!) / determinant];
    const explained = (u * (r * u - q * v) + v * (p * v - q * u)) / determinant;
    const { mean, deviation } = new GaussianProcess([a, b], values, settings).predict(x);
    expect(mean).toBeCloseTo(u * weights[0]! + v * weights[1]!, 6);
    expect(deviation).toBeCloseTo(Math.sqrt(at(x, x) - explained), 6);
  });

  test('pass through what they know, in its own unit, and know less further away', () => {
    const points = [[0], [0.25], [0.5], [1]];
    const predict = fitted(points, [1000, 1010, 1030, 1100], 4);
    expect(predict([0.5]).mean).toBeCloseTo(1030, -1);
    expect(predict([0.75]).deviation).toBeGreaterThan(predict([0.5]).deviation);
  });
});

test('expected improvement and the probability of keeping the limit are integrals of the normal density', () => {
  const integral = (of: (value: number) => number, mean: number, deviation: number) => {
    let sum = 0;
    const step = deviation / 500;
    for (let value = mean - 8 * deviation; value < mean + 8 * deviation; value += step) {
      sum += of(value) * Math.exp(-((value - mean) ** 2) / (2 * deviation ** 2)) * step;
    }
    return sum / (deviation * Math.sqrt(2 * Math.PI));
  };
  for (const [mean, deviation] of [
    [0.4, 0.2],
    [-0.3, 0.1],
    [0, 1],
  ] as const) {
    // simple-statistics’ normal probabilities have an error of up to 1e-4.
    expect(expectedImprovement({ mean, deviation }, 0.1)).toBeCloseTo(
      integral((value) => Math.max(0, 0.1 - value), mean, deviation),
      3,
    );
    const kept = integral((value) => (value <= 0 ? 1 : 0), mean, deviation);
    expect(probabilityKept({ mean, deviation })).toBeCloseTo(kept, 2);
  }
  expect(expectedImprovement({ mean: 1, deviation: 0 }, 3)).toBe(2);
});
