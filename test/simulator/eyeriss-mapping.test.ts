import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EyerissConfig, eyerissSchema } from '../../src/simulator/eyeriss-config.js';
import {
  type Dimension,
  holds,
  type Mapping,
  mappingCosts,
  passSizes,
  type Sizes,
} from '../../src/simulator/eyeriss-mapping.js';
import { referenceCounts } from '../../src/simulator/eyeriss-reference.js';
import { bestMapping, objectiveOf, relativeEnergy } from '../../src/simulator/eyeriss-search.js';

const small = (changes: object = {}): EyerissConfig =>
  eyerissSchema.parse({
    array: { rows: 2, columns: 3 },
    registerFile: { inputWords: 2, filterWords: 4, sumWords: 3 },
    bufferBytes: 200,
    ...changes,
  });
const orders = (['images', 'filters', 'channels'] as const).flatMap((one) =>
  (['images', 'filters', 'channels'] as const).flatMap((two) =>
    (['images', 'filters', 'channels'] as const)
      .filter((three) => new Set([one, two, three]).size === 3)
      .map((three): Mapping['order'] => [one, two, three]),
  ),
);
const upTo = (most: number) => fc.integer({ min: 1, max: most });
const sizesOf = fc.record({ images: upTo(9), filters: upTo(9), channels: upTo(9) });

/** Any mapping, whether it fits or not. */
const mappingOf = (sizes: Sizes) =>
  fc
    .record({
      perPe: fc.record({ filters: upTo(3), channels: upTo(3) }),
      spread: fc.record({
        images: upTo(sizes.images),
        filters: upTo(sizes.filters),
        channels: upTo(sizes.channels),
      }),
      tiles: fc.record({ images: upTo(9), filters: upTo(4), channels: upTo(4) }),
      order: fc.constantFrom(...orders),
    })
    .map(({ perPe, spread, tiles, order }): Mapping => {
      const pass = passSizes({ perPe, spread });
      const tile = {
        images: Math.min(sizes.images, tiles.images),
        filters: Math.min(sizes.filters, tiles.filters * pass.filters),
        channels: Math.min(sizes.channels, tiles.channels * pass.channels),
      };
      return { filterOperand: 'b', perPe, spread, tile, order };
    });
const problem = sizesOf.chain((sizes) => fc.tuple(fc.constant(sizes), mappingOf(sizes)));

describe('what a mapping costs', () => {
  test('is what carrying it out loop by loop counts', () => {
    fc.assert(
      fc.property(problem, fc.integer({ min: 1, max: 20 }), upTo(4), ([sizes, mapping], filterWords, network) => {
        const config = small({
          registerFile: { inputWords: 3, filterWords, sumWords: 3 },
          networkWordsPerCycle: network,
        });
        const { cycles, memoryCycles, ...counts } = mappingCosts(config, sizes, mapping);
        expect(counts).toEqual(referenceCounts(config, sizes, mapping));
        expect(cycles).toBeGreaterThanOrEqual(Math.max(counts.passCycles, memoryCycles));
      }),
      { numRuns: 500 },
    );
  });

  test('fetches every operand at least once, and stores every result', () => {
    fc.assert(
      fc.property(problem, ([sizes, mapping]) => {
        const costs = mappingCosts(small(), sizes, mapping);
        expect(costs.inputsFetched).toBeGreaterThanOrEqual(sizes.images * sizes.channels);
        expect(costs.filtersFetched).toBeGreaterThanOrEqual(sizes.filters * sizes.channels);
        expect(costs.sumsStored - costs.sumsFetched).toBe(sizes.images * sizes.filters);
      }),
    );
  });
});

/** Every mapping that fits, one by one. */
function* allMappings(config: EyerissConfig, sizes: Sizes, filterOperand: 'a' | 'b'): Generator<Mapping> {
  const { array, registerFile } = config;
  const most = (dimension: Dimension, bound: number) => Math.min(sizes[dimension], bound);
  for (let channels = 1; channels <= most('channels', array.rows); channels++)
    for (let filters = 1; filters <= most('filters', 6); filters++)
      for (let images = 1; images <= most('images', 6); images++) {
        if (!fitsArray(config, { images, filters, channels })) continue;
        const spread = { images, filters, channels };
        for (let f = 1; f <= registerFile.sumWords; f++)
          for (let c = 1; c <= registerFile.inputWords; c++) {
            if (f * c > registerFile.filterWords) continue;
            const perPe = { filters: f, channels: c };
            const pass = passSizes({ perPe, spread });
            for (let tileImages = 1; tileImages <= sizes.images; tileImages++)
              for (let n = pass.filters; n < sizes.filters + pass.filters; n += pass.filters)
                for (let k = pass.channels; k < sizes.channels + pass.channels; k += pass.channels) {
                  const tile = {
                    images: tileImages,
                    filters: Math.min(n, sizes.filters),
                    channels: Math.min(k, sizes.channels),
                  };
                  if (!holds(config, tile, 1)) continue;
                  for (const order of orders) yield { filterOperand, perPe, spread, tile, order };
                }
          }
      }
}

/** Channels lie along a column; images and filters share what is left of both edges. */
function fitsArray({ array }: EyerissConfig, { images, filters, channels }: Sizes): boolean {
  const down = Math.floor(array.rows / channels);
  for (let filtersDown = 1; filtersDown <= down; filtersDown++) {
    if (filters % filtersDown > 0 || filters / filtersDown > array.columns) continue;
    const across = filters / filtersDown;
    if (images <= Math.floor(down / filtersDown) * Math.floor(array.columns / across)) return true;
  }
  return false;
}

describe('the search', () => {
  const weights = { dram: 200 };

  test.each([
    [{ m: 5, n: 4, k: 6 }, 'energy-delay'],
    [{ m: 7, n: 3, k: 5 }, 'cycles'],
    [{ m: 3, n: 7, k: 4 }, 'energy'],
    [{ m: 6, n: 6, k: 6 }, 'energy-delay'],
    [{ m: 1, n: 8, k: 8 }, 'cycles'],
  ] as const)('of %o finds the best of all mappings by %s', (gemm, objective) => {
    const config = small({ objective });
    const found = bestMapping(config, gemm, weights)!;
    let least = Infinity;
    for (const operand of ['a', 'b'] as const) {
      const [images, filters] = operand === 'b' ? [gemm.m, gemm.n] : [gemm.n, gemm.m];
      const sizes = { images, filters, channels: gemm.k };
      for (const mapping of allMappings(config, sizes, operand)) {
        const costs = mappingCosts(config, sizes, mapping);
        least = Math.min(least, objectiveOf(config, costs.cycles, relativeEnergy(costs, weights)));
      }
    }
    const { costs } = found;
    expect(objectiveOf(config, costs.cycles, relativeEnergy(costs, weights))).toBeLessThanOrEqual(least);
  });

  test('its mapping fits the machine', () => {
    fc.assert(
      fc.property(upTo(60), upTo(60), upTo(60), (m, n, k) => {
        const config = eyerissSchema.parse({});
        const { mapping } = bestMapping(config, { m, n, k }, weights)!;
        const { perPe, spread, tile } = mapping;
        expect(perPe.filters).toBeLessThanOrEqual(24);
        expect(perPe.channels).toBeLessThanOrEqual(12);
        expect(perPe.filters * perPe.channels).toBeLessThanOrEqual(224);
        expect(spread.channels * spread.filters * spread.images).toBeLessThanOrEqual(12 * 14);
        expect(fitsArray(config, spread)).toBe(true);
        expect(holds(config, tile, 1)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test('finds nothing where not even one image fits', () => {
    expect(bestMapping(small({ bufferBytes: 5 }), { m: 4, n: 4, k: 4 }, weights)).toBeUndefined();
  });
});
