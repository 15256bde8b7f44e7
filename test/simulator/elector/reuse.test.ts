import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LOOP_ORDERS } from '../../../src/simulator/elector/config.js';
import { forEachTile, loopOrderReuse } from '../../../src/simulator/elector/reuse.js';
import { preset } from './presets.js';

const config = { ...preset('elector-edge'), lanes: 4 };

/** Energy in nJ and reused tiles by group of loop orders; all orders that are not named are the last group. */
type Groups = readonly (readonly [orders: string, nanojoules: number, reused: number])[];
interface Study {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  readonly cycles: number;
  readonly published: Groups;
  readonly corrected: Groups;
}

const STUDIES: readonly Study[] = [
  {
    rows: 64,
    inner: 64,
    columns: 64,
    cycles: 8256,
    published: [
      ['bijk kijb', 293.94, 432],
      ['bkji ibjk ikjb kbji', 324.39, 384],
      ['bjik kjib', 415.71, 240],
      ['bkij jbik jkib kbij', 446.15, 192],
      ['', 567.92, 0],
    ],
    corrected: [
      ['bijk bjik bkij bkji ibjk ikjb jbik jkib kbij kbji kijb kjib', 446.15, 192],
      ['', 567.92, 0],
    ],
  },
  {
    rows: 64,
    inner: 64,
    columns: 128,
    cycles: 16_512,
    published: [
      ['bijk kijb', 537.15, 944],
      ['bkji ibjk ikjb kbji', 567.6, 896],
      ['bkij kbij', 689.36, 704],
      ['bikj ibkj ikbj kibj', 811.13, 512],
      ['bjik kjib', 821.28, 496],
      ['jbik jkib', 892.31, 384],
      ['', 1135.84, 0],
    ],
    corrected: [
      ['bijk bkji ibjk ikjb kbji kijb', 851.72, 448],
      ['bjik jbik jkib kjib', 892.31, 384],
      ['bikj bkij ibkj ikbj kbij kibj', 973.48, 256],
      ['', 1135.84, 0],
    ],
  },
  {
    rows: 128,
    inner: 64,
    columns: 64,
    cycles: 16_512,
    published: [
      ['bijk kijb', 577.74, 880],
      ['ibjk ikjb', 648.77, 768],
      ['bjik kjib', 821.28, 496],
      ['bkij bkji jbik jkib kbij kbji', 851.72, 448],
      ['bjki jbki jkbi kjbi', 973.48, 256],
      ['', 1135.84, 0],
    ],
    corrected: [
      ['bjik bkij jbik jkib kbij kjib', 851.72, 448],
      ['bijk ibjk ikjb kijb', 892.31, 384],
      ['bjki bkji jbki jkbi kbji kjbi', 973.48, 256],
      ['', 1135.84, 0],
    ],
  },
];

describe.each(STUDIES)('four products of $rows × $inner × $columns on four lanes', ({ cycles, ...study }) => {
  test.each(['published', 'corrected'] as const)('with the %s test of reuse, all 24 orders', (kind) => {
    const groups = study[kind];
    for (const order of LOOP_ORDERS) {
      const [, nanojoules, reused] = groups.find(([orders]) => orders.split(' ').includes(order)) ?? groups.at(-1)!;
      const result = loopOrderReuse(order, { batch: 4, ...study }, config, kind);
      expect(result.reused, order).toBe(reused);
      // published with two decimals
      expect(Math.abs(result.dynamicNanojoules - nanojoules), order).toBeLessThan(0.0051);
      expect(result.cycles).toBe(cycles);
      expect(result.leakageNanojoules).toBeCloseTo((14.9314 * cycles) / 8256, 3);
    }
  });
});

test('every order visits every tile product once, its last loop fastest', () => {
  const count = fc.integer({ min: 1, max: 4 });
  const counts = fc.record({ b: count, i: count, j: count, k: count });
  fc.assert(
    fc.property(fc.constantFrom(...LOOP_ORDERS), counts, (order, sizes) => {
      const visited: string[] = [];
      forEachTile(order, sizes, (b, i, j, k) => {
        const at = { b, i, j, k };
        visited.push([...order].map((loop) => at[loop as keyof typeof at]).join(''));
      });
      expect(new Set(visited).size).toBe(sizes.b * sizes.i * sizes.j * sizes.k);
      expect(visited).toEqual(visited.toSorted());
    }),
  );
});
