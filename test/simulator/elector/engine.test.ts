import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ElectorConfig } from '../../../src/simulator/elector/config.js';
import { BUFFER_BANDWIDTH, memoryCost } from '../../../src/simulator/elector/constants.js';
import { bitsPerCycle, play } from '../../../src/simulator/elector/engine.js';
import { drawnMasks } from '../../../src/simulator/elector/masks.js';
import type { Matrix, Program } from '../../../src/simulator/elector/operations.js';
import type { Played } from '../../../src/simulator/elector/played.js';
import { buildProgram } from '../../../src/simulator/elector/program.js';
import { operand, ProgramBuilder } from '../../../src/simulator/elector/program-builder.js';
import { type OperationCosts, TileCosts } from '../../../src/simulator/elector/tile-costs.js';
import { TileEstimates } from '../../../src/simulator/elector/tile-estimates.js';
import { UnitPool } from '../../../src/simulator/elector/units.js';
import type { TransformerArchitecture } from '../../../src/workload/transformer.js';
import { preset } from './presets.js';
import { violations } from './replay.js';

const edge = preset('elector-edge');
const BITS_PER_MEGABYTE = 8 * 2 ** 20;
const megabytes = (bits: number) => bits / BITS_PER_MEGABYTE;
const rate = bitsPerCycle(memoryCost(edge.memory), 700e6);

const buffers = (activation: number, weight: number, mask = 1e9): ElectorConfig => ({
  ...edge,
  buffers: {
    activationMegabytes: megabytes(activation),
    weightMegabytes: megabytes(weight),
    maskMegabytes: megabytes(mask),
  },
});
const PLENTY = 1e9;

function played(program: Program, config: ElectorConfig, costs = dense(config), embeddingResident = false): Played {
  const found = play(program, config, costs, { embeddingResident });
  if ('demandBits' in found) throw new Error(JSON.stringify(found));
  return found;
}

const dense = (config: ElectorConfig, sequences = 1): OperationCosts =>
  new TileCosts(
    config,
    drawnMasks(sequences, 0, () => 1),
    () => 1,
  );

/** Products of one input with one weight after the other, each into a result of its own. */
function chain(uses: readonly number[], sizes: Readonly<Record<number, number>> = {}): Program {
  const b = new ProgramBuilder(16);
  const embedding = b.weight('embedding', 1, 1, {});
  const input = b.activation('input', 16, {});
  b.pass('gather', 'embedding', -1, [embedding], input);
  const weights = new Map<number, Matrix>();
  for (const use of uses) if (!weights.has(use)) weights.set(use, b.weight(`w${use}`, 16, sizes[use] ?? 16, {}));
  uses.forEach((use, at) => {
    const weight = weights.get(use)!;
    b.product(`p${at}`, 0, operand(input), operand(weight), b.activation(`r${at}`, weight.columns, {}));
  });
  return { matrices: b.matrices, operations: b.operations, embedding };
}

const WEIGHT = 16 * 16 * 20;
const loads = ({ transfers }: Played): string[] =>
  transfers.filter(({ direction }) => direction === 'load').map(({ matrix }) => matrix.name);

describe('by hand', () => {
  test('one product: load, multiply, write', () => {
    const config = buffers(PLENTY, PLENTY);
    const { operations, transfers, cycles } = played(chain([0]), config);
    const [embedding, weight] = [Math.ceil((20 + 1) / rate), Math.ceil((WEIGHT + 256) / rate)];
    expect(transfers.map(({ start, end }) => [start, end])).toEqual([
      [0, embedding],
      [embedding, embedding + weight],
    ]);
    const product = operations[1]!;
    expect(product.ready).toBe(embedding + weight);
    // 16 · 16 · 16 multiplications on one lane of 16; the result is written meanwhile.
    expect(product.dispatch.busy).toBe(256);
    expect(product.done).toBe(product.ready + 256);
    expect(Math.ceil(WEIGHT / bitsPerCycle(BUFFER_BANDWIDTH, 700e6))).toBeLessThan(256);
    expect(cycles).toBe(product.done);
  });

  test('weights come while earlier products run', () => {
    const { operations, cycles } = played(chain([0, 1, 2, 3]), buffers(PLENTY, PLENTY));
    const lastLoad = Math.ceil(21 / rate) + 4 * Math.ceil((WEIGHT + 256) / rate);
    expect(operations.at(-1)!.ready).toBe(lastLoad);
    expect(cycles).toBe(lastLoad + 256);
  });

  test('room goes to what is needed first, and is taken from what is needed last', () => {
    // Three weights have room, and one result, so that products follow each other; weight 2 is needed last when 3 comes.
    const { transfers } = played(chain([0, 1, 2, 3, 0, 1, 2]), buffers(2 * WEIGHT, 20 + 3 * WEIGHT));
    const names = transfers.map(({ direction, matrix }) => `${direction} ${matrix.name}`);
    expect(names).toEqual(['embedding', 'w0', 'w1', 'w2', 'w3', 'w2'].map((name) => `load ${name}`));
  });

  test('the embedding stays, and is not loaded when it lies there already', () => {
    const program = chain([0, 1, 2, 0, 1, 2]);
    const config = buffers(PLENTY, 20 + 2 * WEIGHT);
    expect(loads(played(program, config)).filter((name) => name === 'embedding')).toHaveLength(1);
    const warm = played(program, config, dense(config), true);
    expect(loads(warm)).not.toContain('embedding');
    expect(warm.resident.weight).toBe(20);
  });

  test('weights stay for the next batch where they have room, the one needed last leaving first', () => {
    const program = chain([0, 1, 2]);
    const batch = (config: ElectorConfig, held?: readonly string[]) => {
      const options = { embeddingResident: held !== undefined, held, keepWeights: true };
      return play(program, config, dense(config), options) as Played;
    };
    const wide = buffers(PLENTY, PLENTY);
    const first = batch(wide);
    expect(first.held).toEqual(['embedding', 'w0', 'w1', 'w2']);
    expect(first.resident.weight).toBe(20 + 3 * WEIGHT);
    expect(batch(wide, first.held).transfers).toEqual([]);
    // Two weights have room. w2 takes that of w0, since w1 is in use; in the next batch w0 takes that of w2, needed last.
    const narrow = buffers(PLENTY, 20 + 2 * WEIGHT);
    const before = batch(narrow);
    expect(before.held).toEqual(['embedding', 'w1', 'w2']);
    expect(loads(batch(narrow, before.held))).toEqual(['w0', 'w2']);
  });

  test('a weight larger than its window streams, and streams again for its next user', () => {
    const program = chain([0, 1, 0], { 0: 256 });
    const config = buffers(PLENTY, 20 + 4 * WEIGHT);
    const { operations, transfers, fills } = played(program, config);
    expect(loads({ transfers } as Played)).toEqual(['embedding', 'w0', 'w1', 'w0']);
    const largest = Math.max(...fills.filter(({ buffer }) => buffer === 'weight').map(({ bits }) => bits));
    expect(largest).toBe(2 * WEIGHT);
    const [first, last] = [operations[1]!, transfers.find(({ matrix }) => matrix.name === 'w0')!];
    expect(first.ready).toBeLessThan(last.end);
    expect(first.done).toBeGreaterThanOrEqual(last.end);
    expect(violations(program, config, played(program, config), false)).toEqual([]);
  });

  test('results that are not needed any more give their room back', () => {
    const room = 3 * 16 * 16 * 20;
    const { fills } = played(chain([0, 1, 2, 3, 4, 5]), buffers(room, PLENTY));
    let inside = 0;
    for (const { buffer, bits } of fills) if (buffer === 'activation') inside += bits;
    expect(inside).toBe(0);
  });

  test('results of a buffer are written one after the other', () => {
    // Zeros everywhere on the left: products take a cycle a tile, results are dense.
    const config = { ...buffers(PLENTY, PLENTY), memory: 'hbm-32-1-4' as const };
    const sizes = { 0: 4096, 1: 4096 };
    const costs = new TileCosts(
      config,
      drawnMasks(1, 0, ({ name }) => (name === 'input' ? 0 : 1)),
      () => 1,
    );
    const { operations } = played(chain([0, 1], sizes), config, costs);
    const [first, second] = [operations[1]!, operations[2]!];
    const written = Math.ceil((16 * 4096 * 20) / bitsPerCycle(BUFFER_BANDWIDTH, 700e6));
    expect(first.done - first.dispatch.start).toBe(written);
    expect(second.done).toBeGreaterThanOrEqual(first.done + written);
  });
});

describe('what does not fit', () => {
  const small: TransformerArchitecture = {
    name: 'small',
    layers: [{ hidden: 32, heads: [{ kind: 'sdp', dim: 16 }], feedForward: [64] }],
    vocabulary: 100,
    tokens: 32,
  };
  const largest = (name: 'activation' | 'mask' | 'weight', config: ElectorConfig) => {
    const found = play(buildProgram(small, 'inference', 32), config, dense(config));
    if (!('demandBits' in found)) throw new Error('it fits');
    expect(found.buffer).toBe(name);
    return found;
  };

  test('as much as is asked for is enough, and a bit less is not', () => {
    const program = buildProgram(small, 'inference', 32);
    // feed-forward: the product's result and the non-linearity's, 32 × 64 each
    const { demandBits, boundBits, operation } = largest('activation', buffers(32 * 32 * 20, PLENTY));
    expect({ demandBits, boundBits }).toEqual({ demandBits: 2 * 32 * 64 * 20, boundBits: 32 * 32 * 20 });
    expect(operation).toBe('layer0.ffn.0.activation');
    const enough = buffers(demandBits, PLENTY);
    expect(violations(program, enough, played(program, enough), false)).toEqual([]);
    expect(play(program, buffers(demandBits - 1, PLENTY), dense(edge))).toHaveProperty('demandBits', demandBits);
  });

  test('the embedding alone can be too much', () => {
    const { demandBits, operation } = largest('weight', buffers(PLENTY, 1000));
    expect({ demandBits, operation }).toEqual({ demandBits: 132 * 32 * 20, operation: 'embedding' });
  });
});

const architecture = fc.record({
  name: fc.constant('any'),
  layers: fc.array(
    fc.record({
      hidden: fc.constantFrom(16, 32),
      heads: fc.array(
        fc.constantFrom(
          { kind: 'sdp' as const, dim: 10 },
          { kind: 'wma' as const, dim: 16 },
          { kind: 'dft' as const, dim: 8 },
          { kind: 'conv' as const, dim: 16, kernel: 5 },
        ),
        { minLength: 1, maxLength: 3 },
      ),
      feedForward: fc.array(fc.constantFrom(24, 48), { minLength: 1, maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  vocabulary: fc.constant(20),
  tokens: fc.constantFrom(9, 20),
});
const machines = fc.record({
  pes: fc.integer({ min: 1, max: 4 }),
  lanesPerPe: fc.integer({ min: 1, max: 4 }),
  memory: fc.constantFrom('dram-32-2-1' as const, 'hbm-32-1-4' as const),
  phase: fc.constantFrom('inference' as const, 'training' as const),
});
/** Each buffer as a multiple of what the largest operation needs. */
const tightness = fc.record({
  activation: fc.double({ min: 0, max: 2, noNaN: true }),
  weight: fc.double({ min: 0.2, max: 2, noNaN: true }),
});

/** A machine on which the program runs, the tighter the nearer to 0. */
function tight(
  program: Program,
  config: ElectorConfig,
  { activation, weight }: { activation: number; weight: number },
  costs: () => OperationCosts,
): ElectorConfig {
  const sizes = costs();
  const bits = (matrices: readonly Matrix[]) => matrices.reduce((sum, m) => sum + sizes.nonZeros(m) * 20, 0);
  const needed = program.operations.map(({ touches }) => bits(touches.filter((m) => m.buffer === 'activation')));
  const weights = program.matrices
    .filter((m) => m.buffer === 'weight' && m !== program.embedding)
    .map((m) => bits([m]));
  const { buffers: found } = buffers(
    Math.max(...needed) * (1 + activation),
    bits([program.embedding]) + 2 * Math.max(...weights) * weight,
  );
  return { ...config, buffers: found };
}

describe('whatever the model, the machine, and the room', () => {
  const run = fc.record({
    model: architecture,
    machine: machines,
    room: tightness,
    density: fc.constantFrom(0.1, 0.5, 1),
    resident: fc.boolean(),
    exact: fc.boolean(),
  });
  const setUp = ({ model, machine, room, density, exact }: typeof run extends fc.Arbitrary<infer T> ? T : never) => {
    const program = buildProgram(model, machine.phase, model.tokens);
    const config = { ...edge, ...machine };
    const costsOf = (of: ElectorConfig) => () =>
      exact
        ? new TileCosts(
            of,
            drawnMasks(2, 0, () => density),
            () => 1,
          )
        : new TileEstimates(of, 2, () => density);
    const narrow = tight(program, config, room, costsOf(config));
    const wide = { ...config, buffers: buffers(PLENTY, PLENTY).buffers };
    return { program, narrow, wide, narrowCosts: costsOf(narrow), wideCosts: costsOf(wide) };
  };

  test('the machine does nothing that it cannot', () => {
    fc.assert(
      fc.property(run, (one) => {
        const { program, narrow, narrowCosts } = setUp(one);
        const found = played(program, narrow, narrowCosts(), one.resident);
        expect(violations(program, narrow, found, one.resident)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test('too little room moves more bits, and saves no time worth mentioning', () => {
    fc.assert(
      fc.property(run, (one) => {
        const { program, narrow, wide, narrowCosts, wideCosts } = setUp(one);
        const [cramped, free] = [played(program, narrow, narrowCosts()), played(program, wide, wideCosts())];
        const moved = ({ transfers }: Played) => transfers.reduce((sum, { size }) => sum + size.data + size.mask, 0);
        expect(moved(cramped)).toBeGreaterThanOrEqual(moved(free));
        // Another order of operations on the units may be better by luck (Graham’s anomalies): seen up to 7 %.
        expect(cramped.cycles).toBeGreaterThanOrEqual(free.cycles * 0.9 - 100);
        // With room for all, nothing but gradients leaves, and nothing comes twice.
        expect(new Set(loads(free)).size).toBe(loads(free).length);
        for (const { direction, matrix } of free.transfers) if (direction === 'store') expect(matrix.kept).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test('twice the same is the same', () => {
    fc.assert(
      fc.property(run, (one) => {
        const { program, narrow, narrowCosts } = setUp(one);
        const [first, second] = [played(program, narrow, narrowCosts()), played(program, narrow, narrowCosts())];
        expect(second.cycles).toBe(first.cycles);
        expect(second.operations.map(({ done }) => done)).toEqual(first.operations.map(({ done }) => done));
      }),
      { numRuns: 20 },
    );
  });
});

test('a unit takes one tile at a time, in turn with the others', () => {
  const tile = fc.record({ wait: fc.nat(9), cycles: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 9 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(tile, { maxLength: 9 }), (count, operations) => {
      const pool = new UnitPool(count);
      const free = new Array<number>(count).fill(0);
      let [ready, turn] = [0, 0];
      for (const { wait, cycles } of operations) {
        ready += wait;
        const open = pool.open(ready);
        for (const one of cycles) {
          const unit = pool.take();
          expect(unit).toBe(turn++ % count);
          open.deal(unit, one);
          free[unit] = Math.max(free[unit]!, ready) + one;
        }
        if (cycles.length > 0) expect(open.end).toBeLessThanOrEqual(Math.max(...free));
        expect(open.busy).toBe(cycles.reduce((sum, one) => sum + one, 0));
      }
    }),
  );
});
