import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ElectorConfig, electorSchema, LOOP_ORDERS } from '../../../src/simulator/elector/config.js';
import { drawnMask, type MaskSource, type ZeroMask } from '../../../src/simulator/elector/masks.js';
import type { Convolution, Matrix, Pass, Product } from '../../../src/simulator/elector/operations.js';
import { loopOrderReuse } from '../../../src/simulator/elector/reuse.js';
import { TileCosts } from '../../../src/simulator/elector/tile-costs.js';
import {
  convolutionReference,
  passReference,
  productReference,
  type ReferenceMachine,
  type Values,
} from '../../../src/simulator/elector/tile-costs-reference.js';
import type { Dispatch } from '../../../src/simulator/elector/units.js';
import { preset } from './presets.js';

const edge = preset('elector-edge');
const machine = (change: Partial<ElectorConfig>): ElectorConfig => electorSchema.parse({ ...edge, ...change });

const matrix = (id: number, rows: number, columns: number, shared = false): Matrix => ({
  id,
  name: `m${id}`,
  rows,
  columns,
  shared,
  buffer: 'activation',
  mask: { phase: 'forward', layer: 0, matrix: undefined, firstRow: 0, firstColumn: 0, rowBlock: 0, content: 'dense' },
  stored: false,
  kept: false,
});
const RESULT = matrix(99, 1, 1);

/** Masks by matrix and sequence, drawn once; values for the reference are the masks' bits. */
class Masks implements MaskSource {
  readonly tokens = 0;
  constructor(
    readonly sequences: number,
    readonly density: (matrix: Matrix) => number,
  ) {}
  mask(of: Matrix, sequence: number): ZeroMask {
    return drawnMask(of, sequence, this.density(of));
  }
  values(of: Matrix, transposed = false): Values[] {
    return Array.from({ length: of.shared ? 1 : this.sequences }, (_, sequence) => {
      const { nonZero, columns } = this.mask(of, sequence);
      const at = (row: number, column: number) => nonZero[row * columns + column]!;
      const [height, width] = transposed ? [of.columns, of.rows] : [of.rows, of.columns];
      return Array.from({ length: height }, (_, row) =>
        Array.from({ length: width }, (_, column) => (transposed ? at(column, row) : at(row, column))),
      );
    });
  }
}

const product = (left: Matrix, right: Matrix, leftTransposed = false, rightTransposed = false): Product => ({
  kind: 'product',
  id: 0,
  name: '',
  layer: 0,
  left: { matrix: left, transposed: leftTransposed },
  right: { matrix: right, transposed: rightTransposed },
  reads: [left, right],
  writes: RESULT,
  touches: [left, right, RESULT],
});

const convolution = (finds: Convolution['finds'], input: Matrix, other: Matrix, kernel: number): Convolution => {
  const reads = [input, other];
  return {
    kind: 'convolution',
    id: 0,
    name: '',
    layer: 0,
    finds,
    input,
    other,
    kernel,
    reads,
    writes: RESULT,
    touches: reads,
  };
};

const pass = (kind: Pass['kind'], reads: readonly Matrix[], writes = RESULT): Pass => {
  return { kind, id: 0, name: '', layer: 0, input: reads[0]!, reads, writes, touches: [...reads, writes] };
};

const density = fc.constantFrom(0, 0.05, 0.3, 0.5, 0.9, 1);
// Edges of tiles, one beside them, heads of 10 and 42.
const size = fc.constantFrom(1, 7, 8, 10, 16, 17, 24, 33, 42);
const machines = fc.record({
  tile: fc
    .tuple(fc.constantFrom(1, 4), fc.constantFrom(8, 16))
    .map(([b, side]) => ({ b, x: side, y: side }) as ElectorConfig['tile']),
  pes: fc.integer({ min: 1, max: 3 }),
  lanesPerPe: fc.integer({ min: 1, max: 3 }),
  macsPerLane: fc.constantFrom(1, 16),
  softmaxPerPe: fc.constantFrom(1, 2),
  loopOrder: fc.constantFrom(...LOOP_ORDERS),
});
const sequences = fc.integer({ min: 1, max: 5 });

function reference(config: ElectorConfig, units = config.pes * config.lanesPerPe): ReferenceMachine {
  return { ...config, units: { free: new Array<number>(units).fill(0), next: 0 } };
}

describe('tile by tile as element by element', () => {
  test('products: all loop orders, shared, batched and transposed operands, ragged edges, one after the other', () => {
    const one = fc.record({
      i: size,
      j: size,
      k: size,
      shared: fc.constantFrom([false, false], [true, false], [false, true]),
      transposed: fc.tuple(fc.boolean(), fc.boolean()),
      ready: fc.integer({ min: 0, max: 60 }),
    });
    const run = fc.array(one, { minLength: 1, maxLength: 2 });
    fc.assert(
      fc.property(machines, sequences, density, density, run, (change, batch, p, q, products) => {
        const config = machine(change);
        const masks = new Masks(batch, ({ id }) => (id % 2 === 0 ? p : q));
        const costs = new TileCosts(config, masks, () => 1);
        const expected = reference(config);
        products.forEach(({ i, j, k, shared, transposed, ready }, at) => {
          const left = matrix(2 * at, transposed[0] ? k : i, transposed[0] ? i : k, shared[0]);
          const right = matrix(2 * at + 1, transposed[1] ? j : k, transposed[1] ? k : j, shared[1]);
          const [leftValues, rightValues] = [masks.values(left, transposed[0]), masks.values(right, transposed[1])];
          expect(costs.dispatch(product(left, right, ...transposed), ready)).toEqual(
            productReference(leftValues, rightValues, ready, expected),
          );
        });
      }),
      { numRuns: 120 },
    );
  });

  test('convolutions: output, gradient of the input, gradient of the kernel', () => {
    const finds = fc.constantFrom('output', 'input gradient', 'kernel gradient');
    const taps = fc.constantFrom(1, 2, 4, 5, 9, 13);
    fc.assert(
      fc.property(
        machines,
        sequences,
        finds,
        size,
        size,
        taps,
        density,
        density,
        (change, batch, use, rows, columns, kernel, p, q) => {
          const config = machine(change);
          const masks = new Masks(batch, ({ id }) => (id === 0 ? p : q));
          const slides = use === 'kernel gradient';
          const [input, other] = [matrix(0, rows, columns), matrix(1, slides ? rows : kernel, columns, !slides)];
          const found = new TileCosts(config, masks, () => 1).dispatch(convolution(use, input, other, kernel), 3);
          const expected = convolutionReference(
            use,
            masks.values(input),
            masks.values(other),
            kernel,
            3,
            reference(config),
          );
          expect(found).toEqual(expected);
        },
      ),
      { numRuns: 120 },
    );
  });

  test('softmax, norm and non-linearity, and what they read besides', () => {
    const kind = fc.constantFrom('softmax' as const, 'layer-norm' as const, 'non-linearity' as const);
    fc.assert(
      fc.property(machines, sequences, kind, size, size, density, (change, batch, what, rows, columns, p) => {
        const config = machine(change);
        const masks = new Masks(batch, () => p);
        const [input, besides] = [matrix(0, rows, columns), matrix(1, rows, columns)];
        const units = {
          softmax: config.pes * config.softmaxPerPe,
          'layer-norm': config.pes,
          'non-linearity': config.pes * config.lanesPerPe,
        }[what];
        const costs = new TileCosts(config, masks, () => 1);
        const { rightReads, ...found } = costs.dispatch(pass(what, [input, besides]), 0);
        expect(found).toEqual({
          ...passReference(what, masks.values(input), 0, reference(config, units)),
          dense: 0,
          executed: 0,
        });
        expect(rightReads.words).toBe(costs.nonZeros(besides));
        expect(rightReads.maskBits).toBe(batch * rows * columns);
      }),
      { numRuns: 100 },
    );
  });

  test('rows of the embedding are read as they are written', () => {
    const [table, tokens] = [matrix(0, 500, 24, true), matrix(1, 20, 24)];
    const costs = new TileCosts(edge, new Masks(3, () => 0.5), () => 1);
    const { leftReads, start, end, busy } = costs.dispatch(pass('gather', [table], tokens), 7);
    expect({ start, end, busy }).toEqual({ start: 7, end: 7, busy: 0 });
    expect(leftReads).toEqual({ tiles: 3 * 2 * 2, words: costs.nonZeros(tokens), maskBits: 3 * 20 * 24 });
  });
});

describe('laws of a tile', () => {
  const masked = (config: ElectorConfig, batch: number, p: number, q: number, [i, j, k]: number[]): Dispatch => {
    const masks = new Masks(batch, ({ id }) => (id === 0 ? p : q));
    return new TileCosts(config, masks, () => 1).dispatch(product(matrix(0, i!, k!), matrix(1, k!, j!)), 0);
  };

  test('dense operands whose sizes divide take exactly their multiplications over all multipliers', () => {
    const found = masked(edge, 4, 1, 1, [128, 128, 64]);
    expect(found.executed).toBe(found.dense);
    expect(found.busy).toBe((4 * 128 * 128 * 64) / 16);
    expect(found.end).toBe((4 * 128 * 128 * 64) / (64 * 16 * 16));
  });

  test('operands without non-zeros take a cycle a tile', () => {
    for (const [p, q] of [
      [0, 1],
      [0, 0],
    ]) {
      const { tiles, busy, executed } = masked(
        machine({ macsPerLane: 1, tile: { b: 1, x: 8, y: 8 } }),
        2,
        p!,
        q!,
        [24, 17, 8],
      );
      expect(executed).toBe(0);
      // A tile of 64 words comes through its FIFO in two cycles, whether something meets it or not.
      expect(busy).toBeLessThanOrEqual(tiles * (q === 1 ? 2 : 1));
      expect(busy).toBeGreaterThanOrEqual(tiles);
    }
  });

  test('a further zero never costs a tile more', () => {
    const position = fc.integer({ min: 0, max: 15 });
    fc.assert(
      fc.property(density, density, position, position, fc.boolean(), (p, q, row, column, inLeft) => {
        const [left, right] = [matrix(0, 16, 16), matrix(1, 16, 16)];
        const cost = (thinned: boolean) => {
          const source = new Masks(1, ({ id }) => (id === 0 ? p : q));
          const mask = (of: Matrix, sequence: number) => {
            const made = source.mask(of, sequence);
            if (thinned && (of.id === 0) === inLeft) made.nonZero[row * 16 + column] = 0;
            return made;
          };
          return new TileCosts(edge, { ...source, sequences: 1, mask }, () => 1).dispatch(product(left, right), 0).busy;
        };
        expect(cost(true)).toBeLessThanOrEqual(cost(false));
      }),
    );
  });
});

test.each([
  [64, 64, 64],
  [64, 64, 128],
  [128, 64, 64],
])('four lanes reuse as the corrected study says: %i × %i × %i, all 24 orders', (rows, inner, columns) => {
  for (const loopOrder of LOOP_ORDERS) {
    const config = machine({ pes: 1, lanesPerPe: 4, loopOrder, batch: 4 });
    const study = loopOrderReuse(loopOrder, { batch: 4, rows, inner, columns }, { ...config, lanes: 4 }, 'corrected');
    const costs = new TileCosts(config, new Masks(4, () => 1), () => 1);
    const found = costs.dispatch(product(matrix(0, rows, inner), matrix(1, inner, columns)), 0);
    expect(found.tiles).toBe(study.tiles);
    expect(2 * found.tiles - found.leftReads.tiles - found.rightReads.tiles, loopOrder).toBe(study.reused);
  }
});

test('masks of different matrices and sequences are independent of each other', () => {
  const [p, n] = [0.5, 64 * 64];
  const deviation = Math.sqrt(n * p * p * (1 - p * p));
  let square = 0;
  let pairs = 0;
  for (let id = 0; id < 40; id++) {
    const here = drawnMask(matrix(id, 64, 64), 0, p).nonZero;
    for (const other of [drawnMask(matrix(id, 64, 64), 1, p), drawnMask(matrix(id + 1, 64, 64), 0, p)]) {
      const common = here.reduce((sum, bit, at) => sum + (bit & other.nonZero[at]!), 0);
      square += ((common - n * p * p) / deviation) ** 2;
      pairs++;
    }
  }
  // Mean square of 80 standard normal values: 1 ± 0.16.
  expect(square / pairs).toBeGreaterThan(0.5);
  expect(square / pairs).toBeLessThan(1.5);
});
