import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DATAFLOWS, systolicCounts } from '../../src/simulator/systolic-counts.js';
import { runReference } from '../../src/simulator/systolic-reference.js';

const side = fc.integer({ min: 1, max: 5 });
const dimension = fc.integer({ min: 1, max: 11 });
const problems = fc.record({
  size: fc.record({ rows: side, columns: side }),
  layer: fc.record({ m: dimension, n: dimension, k: dimension }),
  seed: fc.integer({ min: 1, max: 1000 }),
});

/** Small integers, so that products are exact in any order. */
const matrix = (rows: number, columns: number, seed: number) =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => ((i * 7 + j * 13 + seed) % 19) - 9));

describe.each(DATAFLOWS)('%s, register by register', (dataflow) => {
  test('computes the product', () => {
    fc.assert(
      fc.property(problems, ({ size, layer: { m, n, k }, seed }) => {
        const [a, b] = [matrix(m, k, seed), matrix(k, n, seed + 1)];
        const { product } = runReference(size, dataflow, a, b);
        const expected = a.flatMap((row) => b[0]!.map((_, j) => row.reduce((sum, x, t) => sum + x * b[t]![j]!, 0)));
        // Adding zero turns −0 into 0.
        expect([...product].map((x) => x + 0)).toEqual(expected.map((x) => x + 0));
      }),
    );
  });

  test('takes the cycles and makes the accesses of the closed form', () => {
    fc.assert(
      fc.property(problems, ({ size, layer, seed }) => {
        const { product: _, ...counted } = runReference(
          size,
          dataflow,
          matrix(layer.m, layer.k, seed),
          matrix(layer.k, layer.n, seed),
        );
        expect(systolicCounts(size, dataflow, 'complete', layer)).toMatchObject(counted);
      }),
    );
  });
});

test('a 2 × 2 output-stationary array multiplies two 2 × 2 matrices in 4 cycles', () => {
  // PE (0,0) works in cycles 0 and 1, PE (1,1), two steps away, in cycles 2 and 3.
  const run = runReference(
    { rows: 2, columns: 2 },
    'os',
    [
      [1, 2],
      [3, 4],
    ],
    [
      [5, 6],
      [7, 8],
    ],
  );
  expect(run.cycles).toBe(4);
  expect([...run.product]).toEqual([19, 22, 43, 50]);
});
