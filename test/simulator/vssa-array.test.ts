import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addRuns, NO_RUN, playStream } from '../../src/simulator/vssa-array.js';
import { STALL_RELIEFS, vssaSchema } from '../../src/simulator/vssa-config.js';
import { estimateStream } from '../../src/simulator/vssa-corners.js';
import { estimateTiles } from '../../src/simulator/vssa-fast.js';
import { playTiles } from '../../src/simulator/vssa-head.js';
import { referenceTile, type Tile, total } from '../../src/simulator/vssa-reference.js';
import { headParts, headTiles } from '../../src/simulator/vssa-tiles.js';
import { anyBits, shuffledBits } from './vssa-trace.js';

const uniform = (steps: number): number[] => new Array<number>(steps).fill(1);
const factors = (most: number, maxLength: number) =>
  fc.array(fc.integer({ min: 1, max: most }), { minLength: 1, maxLength });
const anyTile: fc.Arbitrary<Tile> = fc.record({ rows: factors(3, 6), columns: factors(3, 7), steps: factors(3, 12) });

describe('the recurrence', () => {
  test.each([
    ['8- and 4-bit rows and columns', [2, 1], [2, 1], 15],
    ['4-bit operands', [1, 1], [1, 1], 5],
    ['8-bit operands', [2, 2], [2, 2], 20],
  ])('%s, three steps', (_, rows, columns, cycles) => {
    const tile = { rows, columns, steps: uniform(3) };
    expect(referenceTile(tile, 1).cycles).toBe(cycles);
    expect(playStream({ rows: 2, columns: 2, linkDepth: 1 }, [tile]).cycles).toBe(cycles);
  });

  test('hands over as valid and ready allow: each step after its operands, and not before there is room', () => {
    fc.assert(
      fc.property(anyTile, fc.integer({ min: 1, max: 4 }), (tile, depth) => {
        const { start, finish } = referenceTile(tile, depth);
        for (let t = 0; t < tile.steps.length; t++) {
          for (let i = 0; i < tile.rows.length; i++) {
            for (let j = 0; j < tile.columns.length; j++) {
              const begin = start[t]![i]![j]!;
              if (i > 0) expect(begin).toBeGreaterThanOrEqual(finish[t]![i - 1]![j]!);
              if (j > 0) expect(begin).toBeGreaterThanOrEqual(finish[t]![i]![j - 1]!);
              if (t > 0) expect(begin).toBeGreaterThanOrEqual(finish[t - 1]![i]![j]!);
              // Operands that PE (i, j) handed on and its neighbour has not taken yet fit the link.
              const taken = (next: number | undefined) => next === undefined || begin >= next;
              if (t >= depth) expect(taken(start[t - depth]![i]![j + 1])).toBe(true);
              if (t >= depth) expect(taken(start[t - depth]![i + 1]?.[j])).toBe(true);
            }
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('the kernel', () => {
  test('agrees with the reference on any tile, link depth and array, and accounts for every PE-cycle', () => {
    fc.assert(
      fc.property(anyTile, fc.integer({ min: 0, max: 5 }), (tile, linkDepth) => {
        const run = playStream({ rows: 6, columns: 7, linkDepth }, [tile]);
        const { cycles, start } = referenceTile(tile, linkDepth);
        expect(run.cycles).toBe(cycles);
        expect(run.fill).toBe(start[0]!.flat().reduce((sum, first) => sum + first, 0));
        const { busy, fill, operandWait, pressureWait, drain, unused } = run;
        expect(busy + fill + operandWait + pressureWait + drain + unused).toBe(6 * 7 * cycles);
        if (linkDepth === 0) expect(pressureWait).toBe(0);
      }),
    );
  });

  test('deeper links never take longer', () => {
    fc.assert(
      fc.property(anyTile, (tile) => {
        const cycles = [1, 2, 3, 0].map((linkDepth) => playStream({ rows: 6, columns: 7, linkDepth }, [tile]).cycles);
        expect(cycles).toEqual(cycles.toSorted((a, b) => b - a));
      }),
    );
  });

  test('a stream of equal tiles is one long tile', () => {
    const shape = { rows: 3, columns: 4, linkDepth: 1 };
    const tile = { rows: [2, 1, 1], columns: [1, 2, 1, 2] };
    const steps = (count: number) => ({ ...tile, steps: uniform(count) });
    const stream = playStream(shape, [steps(5), steps(9), steps(1)]);
    expect(stream.cycles).toBe(playStream(shape, [steps(15)]).cycles);
  });

  test('a stream takes no longer than its tiles one after the other', () => {
    fc.assert(
      fc.property(fc.array(anyTile, { minLength: 1, maxLength: 5 }), (tiles) => {
        const shape = { rows: 6, columns: 7, linkDepth: 1 };
        const apart = tiles.map((tile) => playStream(shape, [tile])).reduce(addRuns, NO_RUN);
        const stream = playStream(shape, tiles);
        expect(stream.cycles).toBeLessThanOrEqual(apart.cycles);
        expect(stream.busy).toBe(apart.busy);
      }),
    );
  });
});

describe('the closed form', () => {
  const array = { rows: 6, columns: 7, peBits: 4 };

  test('is exact for a tile with equal steps, in any order, whatever the links', () => {
    const factor = factors(2, 7);
    fc.assert(
      fc.property(factor, factor, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 3 }), (...sizes) => {
        const [rows, columns, steps, linkDepth] = sizes;
        const tile = { rows, columns, steps: uniform(steps) };
        const config = { array: { ...array, linkDepth }, stallRelief: 'none' } as const;
        expect(estimateTiles([tile], config)).toBe(referenceTile(tile, linkDepth).cycles);
      }),
    );
  });

  test('is exact for any stream where links are without bound', () => {
    fc.assert(
      fc.property(fc.array(anyTile, { minLength: 1, maxLength: 6 }), (tiles) => {
        expect(estimateStream(tiles, 0)).toBe(playStream({ ...array, linkDepth: 0 }, tiles).cycles);
      }),
    );
  });

  test('is the length of a path through the recurrence where tokens are grouped: never too long, and seldom too short', () => {
    const errors: number[] = [];
    const anyHead = fc.record({
      stallRelief: fc.constantFrom('grouped', 'chained', 'halved'),
      array: fc.record({
        rows: fc.integer({ min: 1, max: 9 }),
        columns: fc.integer({ min: 1, max: 9 }),
        linkDepth: fc.integer({ min: 0, max: 4 }),
      }),
    });
    fc.assert(
      fc.property(anyHead, anyBits(40), fc.integer({ min: 1, max: 20 }), (given, bits, dim) => {
        const config = vssaSchema.parse(given);
        const parts = headParts(bits, config, { queries: 'all' });
        if (parts.keys.length === 0) return;
        const { tiles } = headTiles(config, parts, { headDim: dim, valueDim: dim, pseudoBits: 0 });
        const error = estimateTiles(tiles, config) / playTiles(config, { tiles }).cycles - 1;
        expect(error).toBeLessThanOrEqual(0);
        errors.push(-error);
      }),
      { numRuns: 300, seed: 1 },
    );
    expect(total(errors) / errors.length).toBeLessThan(0.005);
  });
});

test('a head’s tiles hold every product once, and what they move is what each tile takes in', () => {
  const anyConfig = fc.record({
    stallRelief: fc.constantFrom(...STALL_RELIEFS),
    probabilities: fc.constantFrom({ width: 'token' }, { width: 'fixed', bits: 8 }),
    array: fc.record({ rows: fc.integer({ min: 1, max: 9 }), columns: fc.integer({ min: 1, max: 9 }) }),
  });
  const anyPseudo = fc.constantFrom(0, 4, 8);
  fc.assert(
    fc.property(
      anyConfig,
      anyBits(30),
      fc.integer({ min: 1, max: 12 }),
      anyPseudo,
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom('all', 'last'),
      (given, others, dim, pseudoBits, heads, asking) => {
        const config = vssaSchema.parse(given);
        const bits = Uint8Array.of(...others, 8);
        const parts = headParts(bits, config, { queries: asking });
        const plan = headTiles(config, parts, { headDim: dim, valueDim: dim + 1, pseudoBits }, heads);
        const moved = {
          queryParts: 0,
          keyParts: 0,
          probabilityParts: 0,
          valueParts: 0,
          hops: 0,
          sums: 0,
          partProducts: 0,
        };
        plan.tiles.forEach(({ rows, columns, steps }, at) => {
          expect(rows.length).toBeLessThanOrEqual(config.array.rows);
          expect(columns.length).toBeLessThanOrEqual(config.array.columns);
          const left = total(rows) * steps.length;
          const top = total(columns) * total(steps);
          moved[plan.kinds[at] === 'scores' ? 'queryParts' : 'probabilityParts'] += left;
          moved[plan.kinds[at] === 'scores' ? 'keyParts' : 'valueParts'] += top;
          moved.hops += left * columns.length + top * rows.length;
          moved.sums += rows.length * columns.length;
          moved.partProducts += total(rows) * total(columns) * total(steps);
        });
        expect(plan).toMatchObject(moved);
        const [keys, queries] = [total(bits) / 4, asking === 'all' ? total(bits) / 4 : 2];
        const rows = asking === 'all' ? bits.filter(Boolean).length : 1;
        const weights = config.probabilities.width === 'token' ? queries : rows * 2;
        const products = queries * keys * dim + weights * (keys + pseudoBits / 4) * (dim + 1);
        expect(plan.partProducts).toBe(heads * products);
      },
    ),
    { numRuns: 60 },
  );
});

/** 128 tokens on 16 × 32 PEs, 64 elements a head: scores alone, against all tokens at 8 bits. */
describe('scores of 128 tokens, speed-up over 8 bits', () => {
  const cyclesOf = (stallRelief: 'none' | 'grouped' | 'chained' | 'halved', bits: Uint8Array): number => {
    const config = vssaSchema.parse({ stallRelief });
    const plan = headTiles(config, headParts(bits, config, { queries: 'all' }), {
      headDim: 64,
      valueDim: 64,
      pseudoBits: 0,
    });
    return playTiles(config, { tiles: plan.tiles.filter((_, at) => plan.kinds[at] === 'scores') }).cycles;
  };
  const dense = cyclesOf('grouped', new Uint8Array(128).fill(8));

  // The published reconstruction drew widths at random; its ideal of 2.41 and 1.50 gives the number of wide tokens away.
  test.each([
    [0.3, 37, 1.19, 2.04, 2.41],
    [0.6, 81, 1.09, 1.35, 1.5],
  ])('at a share of %d of wide tokens', (_, wide, unsorted, grouped, ideal) => {
    const draws = Array.from({ length: 8 }, (_, seed) => shuffledBits(wide, 128 - wide, 0, seed + 1));
    const gains = draws.map((bits) => dense / cyclesOf('none', bits));
    // A draw may leave a whole tile without wide tokens, so single draws differ by some per cent.
    expect(Math.abs(gains.reduce((sum, gain) => sum + gain, 0) / gains.length - unsorted)).toBeLessThan(0.02);
    expect(dense / cyclesOf('grouped', draws[0]!)).toBeCloseTo(grouped, 1.9);
    expect(4 / ((128 + wide) / 128) ** 2).toBeCloseTo(ideal, 2);
  });

  test('grouping gains 1.2 to 1.75 times over tokens in their order, and an unbroken stream 1.5 times more', () => {
    for (const wide of [37, 81]) {
      const bits = shuffledBits(wide, 128 - wide, 0, 2);
      const gain = cyclesOf('none', bits) / cyclesOf('grouped', bits);
      expect(gain).toBeGreaterThan(1.2);
      expect(gain).toBeLessThan(1.75);
      expect(cyclesOf('grouped', bits) / cyclesOf('chained', bits)).toBeGreaterThan(1.5);
    }
  });
});
