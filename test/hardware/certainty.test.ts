import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { certaintyInterval, estimate, exactly, product, sum, widest } from '../../src/hardware/certainty.js';
import type { Certainty, Constant } from '../../src/hardware/types.js';

const constant = (name: string, value: number, certainty: Certainty): Constant => ({
  name,
  value,
  unit: '1',
  source: 'test',
  certainty,
});
const certainties = fc.constantFrom<Certainty>('published', 'derived', 'scaled', 'assumed');
const estimates = fc
  .tuple(fc.double({ min: 0.01, max: 100, noNaN: true }), certainties)
  .map(([value, certainty]) => estimate(constant(`${value}`, value, certainty)));

describe('intervals', () => {
  test('a less certain constant has a wider interval', () => {
    const highs = (['published', 'derived', 'scaled', 'assumed'] as const).map((one) => certaintyInterval(one)[1]);
    expect(highs).toEqual([...highs].sort((a, b) => a - b));
    expect(new Set(highs).size).toBe(4);
  });

  test('factors err independently: two of factor f spread f^√2', () => {
    const both = product(estimate(constant('a', 2, 'assumed')), estimate(constant('b', 3, 'assumed')));
    expect(both.value).toBe(6);
    expect(both.interval[1]).toBeCloseTo(2 ** Math.SQRT2, 12);
    expect(both.interval[0]).toBeCloseTo(2 ** -Math.SQRT2, 12);
  });

  test('terms err together: the interval of a sum is the mean of its terms’, weighted by value', () => {
    const total = sum(estimate(constant('a', 1, 'assumed')), exactly(3));
    expect(total.interval).toEqual([(0.5 + 3) / 4, (2 + 3) / 4]);
  });

  test('exact numbers leave an interval as it is', () => {
    const one = estimate(constant('a', 5, 'scaled'));
    expect(product(one, 7).interval[1]).toBeCloseTo(one.interval[1], 12);
  });

  test('every combination contains its own value', () => {
    fc.assert(
      fc.property(fc.array(estimates, { minLength: 1, maxLength: 6 }), (terms) => {
        for (const { interval } of [sum(...terms), product(...terms)]) {
          expect(interval[0]).toBeLessThanOrEqual(1);
          expect(interval[1]).toBeGreaterThanOrEqual(1);
        }
        const [low, high] = widest(terms.map((term) => term.interval));
        const total = sum(...terms).interval;
        expect(total[0]).toBeGreaterThanOrEqual(low - 1e-12);
        expect(total[1]).toBeLessThanOrEqual(high + 1e-12);
      }),
    );
  });

  test('a constant used twice is listed once', () => {
    const one = estimate(constant('a', 2, 'derived'));
    expect(sum(one, product(one, one)).constants).toHaveLength(1);
  });
});
