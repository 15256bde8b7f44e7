import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOOP_ORDERS } from '../../../src/simulator/elector/config.js';
import { forEachTile } from '../../../src/simulator/elector/reuse.js';
import { SegmentPool } from '../../../src/simulator/elector/segments.js';
import { countReused, expectedCeiling, largestOf } from '../../../src/simulator/elector/tile-statistics.js';
import { UnitPool } from '../../../src/simulator/elector/units.js';

test('reused operands: in closed form as by walking through the tiles', () => {
  const count = fc.integer({ min: 1, max: 6 });
  const sizes = fc.record({ b: count, i: count, j: count, k: count });
  const changing = fc.subarray(['b', 'i', 'j', 'k'] as const);
  const lanes = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(fc.constantFrom(...LOOP_ORDERS), sizes, changing, lanes, (order, tiles, loops, units) => {
      const seen: string[] = [];
      forEachTile(order, tiles, (b, i, j, k) => seen.push(loops.map((loop) => ({ b, i, j, k })[loop]).join()));
      const reused = seen.filter((operand, at) => at >= units && seen[at - units] === operand).length;
      const names = [...order] as (keyof typeof tiles)[];
      const fixed = names.map((name) => loops.includes(name));
      expect(
        countReused(
          names.map((name) => tiles[name]),
          units,
          fixed,
        ),
      ).toBe(reused);
    }),
    { numRuns: 500 },
  );
});

/** Probabilities of 0 … n successes. */
function binomial(n: number, p: number): number[] {
  let odds = [1];
  for (let trial = 0; trial < n; trial++)
    odds = Array.from({ length: odds.length + 1 }, (_, k) => (odds[k] ?? 0) * (1 - p) + (odds[k - 1] ?? 0) * p);
  return odds;
}

describe('the mean of a rounded-up cost', () => {
  test.each([
    [64, 0.5, 16],
    [256, 0.25, 16],
    [512, 0.05, 16],
    [512, 0.9, 16],
    [128, 0.5, 8],
    [100, 0.98, 16],
  ])('of %i multiplications, each with probability %f, by %i multipliers', (n, p, macs) => {
    const exact = binomial(n, p).reduce((sum, odds, k) => sum + odds * Math.ceil(k / macs), 0);
    const found = expectedCeiling((n * p) / macs, Math.sqrt(n * p * (1 - p)) / macs, 1 / macs);
    expect(Math.abs(found / exact - 1)).toBeLessThan(0.01);
  });

  test('what does not vary is rounded up', () => {
    expect(expectedCeiling(3.25, 0, 1 / 16)).toBe(4);
    expect(expectedCeiling(3, 0, 1 / 16)).toBe(3);
    expect(expectedCeiling(0, 0, 1 / 16)).toBeCloseTo(0);
  });
});

/** ∫ x d(Φ(x)^n), with Φ by summing the density. */
function exactLargest(n: number): number {
  const step = 1e-3;
  let [below, sum] = [0, 0];
  for (let x = -8; x < 8; x += step) {
    const next = below + (Math.exp(-((x + step / 2) ** 2) / 2) / Math.sqrt(2 * Math.PI)) * step;
    sum += (x + step / 2) * (next ** n - below ** n);
    below = next;
  }
  return sum;
}

test.each([1, 2, 3, 4, 10, 64, 1000, 16_384])('the mean of the largest of %i standard normal values', (n) => {
  expect(Math.abs(largestOf(n) - exactLargest(n))).toBeLessThan(0.04);
});

test('units in ranges and one by one: the same start and end for tiles of one cost', () => {
  const operation = fc.record({
    tiles: fc.integer({ min: 1, max: 60 }),
    cycles: fc.integer({ min: 1, max: 9 }),
    wait: fc.integer({ min: 0, max: 20 }),
    oneByOne: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(operation, { maxLength: 12 }), (units, operations) => {
      const [ranges, each] = [new SegmentPool(units), new UnitPool(units)];
      let ready = 0;
      for (const { tiles, cycles, wait, oneByOne } of operations) {
        ready += wait;
        const open = each.open(ready);
        for (let tile = 0; tile < tiles; tile++) open.deal(each.take(), cycles);
        const share = (unit: number) => (Math.floor(tiles / units) + (unit < tiles % units ? 1 : 0)) * cycles;
        const sums = oneByOne
          ? Float64Array.from({ length: Math.min(units, tiles) }, (_, unit) => share(unit))
          : undefined;
        expect(ranges.deal(ready, { tiles, cycles, sums })).toEqual({ start: open.start, end: open.end });
      }
    }),
    { numRuns: 300 },
  );
});
