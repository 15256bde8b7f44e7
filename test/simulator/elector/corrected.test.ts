import { describe, expect, test } from 'vitest';
import { type ElectorConfig, electorSchema } from '../../../src/simulator/elector/config.js';
import { designPoint } from '../../../src/simulator/elector/corrected.js';
import { elector } from '../../../src/simulator/elector.js';
import type { Infeasible, SimulationResult, Workload } from '../../../src/simulator/types.js';
import { ACTIVATIONS, feedForwardHidden, feedForwardWeight, WEIGHTS } from '../../../src/trace/matrices.js';
import type { MaskRecord } from '../../../src/trace/types.js';
import { type MaskTraceOptions, maskHeader, maskRecords, maskTrace, SMALL } from './mask-trace.js';
import { preset } from './presets.js';

const edge: ElectorConfig = { ...preset('elector-edge'), mode: 'cycle', pes: 4, lanesPerPe: 4 };
const training: ElectorConfig = { ...edge, phase: 'training' };

async function simulate(config: ElectorConfig, workload: Workload): Promise<SimulationResult> {
  const result = await elector.simulate(config, workload, { name: 'test' });
  if (!result.feasible) throw new Error(JSON.stringify(result));
  return result;
}

const transformer = (tokens = SMALL.tokens): Workload => ({
  kind: 'transformer',
  architecture: { ...SMALL, tokens },
});

function traceOf(records: readonly MaskRecord[], sequences: number): Workload {
  async function* stream() {
    yield* records;
  }
  return { kind: 'trace', header: maskHeader(sequences), records: stream() };
}

/** What a result says of the run, without what the machine's configuration adds. */
const essence = ({ cycles, energyPicojoules, counts, parts, overTime }: SimulationResult) => {
  return { cycles, energyPicojoules, counts, parts, overTime };
};

/** Pairs of non-zeros that meet in the forward pass, element by element. */
function forwardMultiplications(records: readonly MaskRecord[]): number {
  const shared = new Map(records.filter(({ matrix }) => matrix.includes('weight')).map((one) => [one.matrix, one]));
  const bit = ({ nonZero, columns }: MaskRecord, row: number, column: number) => {
    const at = row * columns + column;
    return (nonZero[at >> 3]! >> (at & 7)) & 1;
  };
  type At = (row: number, column: number) => number;
  const product = (rows: number, inner: number, columns: number, left: At, right: At) => {
    let sum = 0;
    for (let i = 0; i < rows; i++)
      for (let k = 0; k < inner; k++) for (let j = 0; j < columns; j++) sum += left(i, k) * right(k, j);
    return sum;
  };
  const sequences = [...new Set(records.map(({ sequence }) => sequence))];
  return sequences.reduce((sum, sequence) => {
    const of = (name: string): At => {
      const record = records.find((one) => one.sequence === sequence && one.matrix === name)!;
      return (row, column) => bit(record, row, column);
    };
    const weight = (name: string): At => {
      return (row, column) => bit(shared.get(name)!, row, column);
    };
    const n = records.find((one) => one.sequence === sequence && one.matrix === 'query')!.rows;
    const { query, key, value, input, scores, probabilities, context, feedForwardInput } = ACTIVATIONS;
    expect(scores).toBe('scores');
    let total = 0;
    for (const name of [WEIGHTS.query, WEIGHTS.key, WEIGHTS.value])
      total += product(n, 32, 32, of(input), weight(name));
    for (const head of [0, 1]) {
      const column = 16 * head;
      total += product(
        n,
        16,
        n,
        (i, k) => of(query)(i, column + k),
        (k, j) => of(key)(j, column + k),
      );
      total += product(
        n,
        n,
        16,
        (i, k) => of(probabilities)(n * head + i, k),
        (k, j) => of(value)(k, column + j),
      );
    }
    total += product(n, 32, 32, of(context), weight(WEIGHTS.attention));
    total += product(n, 32, 48, of(feedForwardInput), weight(feedForwardWeight(0)));
    return sum + total + product(n, 48, 32, of(feedForwardHidden(0)), weight(feedForwardWeight(1)));
  }, 0);
}

const forward = (options: MaskTraceOptions) => maskRecords({ ...options, phases: ['forward'] });
/** Weights have few zeros, scores many, and so on. */
const density: MaskTraceOptions['density'] = (matrix) => (matrix.includes('weight') ? 0.8 : 0.1 * matrix.length * 0.5);

describe('zeros of a trace', () => {
  test.each([1, 3, 4])('multiplications are pairs of non-zeros, in batches of %i', async (batch) => {
    const records = forward({ sequences: 4, tokens: 20, density });
    const { counts } = await simulate({ ...edge, batch }, traceOf(records, 4));
    expect(counts.multiplications).toBe(forwardMultiplications(records));
  });

  test('whoever plays the trace of a model without zeros plays a machine without sparsity', async () => {
    const dense = { ...edge, batch: 1, sparsity: { activation: 0, weight: 0, gradient: 0 } };
    const ones = maskTrace({ sequences: 1, tokens: 24, density: () => 1 });
    for (const phase of ['inference', 'training'] as const) {
      const traced = await simulate(
        { ...dense, phase },
        phase === 'training' ? ones : maskTrace({ sequences: 1, tokens: 24, density: () => 1 }),
      );
      const shaped = await simulate({ ...dense, phase }, transformer(24));
      expect(essence(traced)).toEqual(essence(shaped));
      expect(traced.counts.multiplications).toBe(traced.counts.denseMultiplications);
    }
  });

  test('nothing but zeros multiplies nothing, and takes no longer', async () => {
    const zero = await simulate(edge, maskTrace({ sequences: 4, tokens: 24, density: () => 0 }));
    const full = await simulate(edge, maskTrace({ sequences: 4, tokens: 24, density: () => 1 }));
    expect(zero.counts.multiplications).toBe(0);
    expect(zero.cycles).toBeLessThan(full.cycles);
    expect(zero.counts.tiles).toBe(full.counts.tiles);
  });

  test('the order of records within a batch does not matter', async () => {
    for (const config of [edge, training]) {
      const records = maskRecords({ sequences: 4, tokens: 20, density });
      const [straight, reversed] = [traceOf(records, 4), traceOf(records.toReversed(), 4)];
      expect(essence(await simulate(config, straight))).toEqual(essence(await simulate(config, reversed)));
    }
  });

  test('padding costs no multiplication: a batch of texts of different length does what they do one by one', async () => {
    const records = forward({ sequences: 4, tokens: 24, density: () => 0.7 });
    const together = await simulate(edge, traceOf(records, 4));
    const apart = await simulate({ ...edge, batch: 1 }, traceOf(records, 4));
    expect(together.counts.multiplications).toBe(apart.counts.multiplications);
    // 24, 23, 22 and 21 tokens, padded to 24
    expect(together.counts.denseMultiplications).toBeGreaterThan(apart.counts.denseMultiplications!);
  });

  test('the embedding is loaded once, however many batches follow', async () => {
    const bits = async (sequences: number) => {
      const { parts } = await simulate(edge, traceOf(forward({ sequences, tokens: 20 }), sequences));
      return parts.find(({ layer }) => layer === 'embedding')!.counts.loadedBits!;
    };
    const once = await bits(4);
    expect(once).toBeGreaterThan(124 * 32);
    expect(await bits(12)).toBe(once);
  });

  test('weights hold for the batches behind them', async () => {
    const eight = await simulate(edge, traceOf(forward({ sequences: 8, tokens: 20, density: () => 0.3 }), 8));
    const four = forward({ sequences: 8, tokens: 20, density: () => 0.3 });
    expect(eight.counts.multiplications).toBe(forwardMultiplications(four));
  });

  test('steps of a training are batches of their own', async () => {
    const records = maskRecords({ sequences: 4, tokens: 20 });
    const steps = [0, 1, 2].flatMap((step) => records.map((record) => ({ ...record, step })));
    const [one, three] = [await simulate(training, traceOf(records, 4)), await simulate(training, traceOf(steps, 12))];
    expect(three.counts.multiplications).toBe(3 * one.counts.multiplications!);
    expect(three.counts.storedBits).toBe(3 * one.counts.storedBits!);
  });

  test('only layers of the model and the embedding take part', async () => {
    for (const workload of [maskTrace({ sequences: 4, tokens: 20 }), transformer()]) {
      const { parts } = await simulate(training, workload);
      expect(parts.map(({ layer }) => layer)).toEqual(['embedding', 'layer 0']);
    }
  });
});

describe('room', () => {
  const tight = (activationMegabytes: number): ElectorConfig => ({
    ...edge,
    buffers: { ...edge.buffers, activationMegabytes },
  });

  test('a batch without room runs in parts, with the same work', async () => {
    const workload = () => traceOf(forward({ sequences: 4, tokens: 20, density }), 4);
    const [roomy, cramped] = [await simulate(edge, workload()), await simulate(tight(0.012), workload())];
    expect(cramped.remarks.join()).toContain('parts');
    expect(cramped.counts.multiplications).toBe(roomy.counts.multiplications);
    expect(cramped.counts.loadedBits).toBeGreaterThanOrEqual(roomy.counts.loadedBits!);
    expect(cramped.cycles).toBeGreaterThan(roomy.cycles);
  });

  test.each(['cycle', 'fast'] as const)(
    'too little for one sequence is said, with what would be enough: %s',
    async (mode) => {
      const config = { ...tight(1e-4), mode };
      const first = (await elector.simulate(config, transformer(), { name: 'test' })) as Infeasible;
      expect(first.feasible).toBe(false);
      expect(first.bound).toBeLessThan(first.demand);
      const lever = first.levers.map((text) => /^buffers\.activationMegabytes ≥ (.*)$/.exec(text)).find(Boolean)!;
      const enough = { ...config, buffers: { ...config.buffers, activationMegabytes: Number(lever[1]) } };
      expect((await elector.simulate(enough, transformer(), { name: 'test' })).feasible).toBe(true);
    },
  );
});

describe('the closed form', () => {
  test.each(['inference', 'training'] as const)(
    '%s: near the cycles and counts of what it stands for',
    async (phase) => {
      for (const workload of [() => maskTrace({ sequences: 8, tokens: 24 }), () => transformer()]) {
        const exact = await simulate({ ...edge, phase }, workload());
        const fast = await simulate({ ...edge, phase, mode: 'fast' }, workload());
        expect(fast.fidelity).toBe('fast');
        expect(Math.abs(fast.cycles / exact.cycles - 1)).toBeLessThan(0.05);
        expect(Math.abs(fast.cyclesError!)).toBeLessThan(0.1);
        expect(Math.abs(fast.energyPicojoules / exact.energyPicojoules - 1)).toBeLessThan(0.05);
        for (const count of ['tiles', 'denseMultiplications', 'operandTileReads'])
          expect(fast.counts[count], count).toBe(exact.counts[count]);
        for (const count of ['multiplications', 'operandWordsRead', 'loadedBits'])
          expect(Math.abs(fast.counts[count]! / exact.counts[count]! - 1), count).toBeLessThan(0.05);
      }
    },
  );

  test('texts of very different length: padding is not taken for zeros that lie anywhere', async () => {
    const lengths = [24, 3, 9, 2];
    const cut = lengths.flatMap((tokens, sequence) => {
      const own = maskRecords({
        sequences: sequence + 1,
        tokens: tokens + sequence,
        density: () => 0.6,
        seed: sequence,
      });
      return own.filter((one) => one.sequence === sequence && (sequence === 0 || !one.matrix.includes('weight')));
    });
    const config = { ...training, memory: 'hbm-32-1-4' as const };
    const exact = await simulate(config, traceOf(cut, 4));
    const fast = await simulate({ ...config, mode: 'fast' }, traceOf(cut, 4));
    expect(Math.abs(fast.cycles / exact.cycles - 1)).toBeLessThan(0.06);
    expect(Math.abs(fast.counts.multiplications! / exact.counts.multiplications! - 1)).toBeLessThan(0.02);
  });

  test('a design point is what the machine’s mode fast says', async () => {
    const config: ElectorConfig = { ...training, mode: 'fast' };
    const point = designPoint(config, SMALL, 'test');
    const result = await simulate(config, transformer());
    if (!('cycles' in point)) throw new Error('it fits');
    expect(point.cycles).toBe(result.cycles);
    expect(Math.abs(point.energyPicojoules / result.energyPicojoules - 1)).toBeLessThan(1e-9);
    expect(point.utilisation['MAC lanes']).toBeCloseTo(result.utilisation['MAC lanes']!, 12);
  });
});

test('twice the same is the same, evidence included', async () => {
  const run = () => simulate(training, maskTrace({ sequences: 4, tokens: 20, density }));
  expect(await run()).toEqual(await run());
});

test('a trace whose sequences are mixed up is refused: its batches would be played in pieces', async () => {
  const records = maskRecords({ sequences: 8, tokens: 12 });
  const byMatrix = [...records].sort((a, b) => (a.matrix < b.matrix ? -1 : a.matrix > b.matrix ? 1 : 0));
  const played = elector.simulate(edge, traceOf(byMatrix, 8), { name: 'test' });
  await expect(played).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT', remedy: expect.any(String) });
});

test('a simulation can be stopped while it runs', async () => {
  const heads = Array.from({ length: 12 }, () => ({ kind: 'sdp', dim: 64 }) as const);
  const layers = Array.from({ length: 12 }, () => ({ hidden: 768, heads, feedForward: [3072] }));
  const architecture = { name: 'large', layers, vocabulary: 1000, tokens: 128 };
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('stopped')), 20);
  const options = { name: 'test', signal: stop.signal };
  const config: ElectorConfig = { ...preset('elector-server'), mode: 'cycle', phase: 'training' };
  await expect(elector.simulate(config, { kind: 'transformer', architecture }, options)).rejects.toThrow('stopped');
});

test('machines of absurd size are refused by their configuration', () => {
  const sizes = { pes: 1e9, lanesPerPe: 1e6, softmaxPerPe: 1e6, batch: 1e6 };
  for (const [name, size] of Object.entries(sizes)) {
    expect(electorSchema.safeParse({ ...preset('elector-edge'), [name]: size }).success).toBe(false);
  }
});
