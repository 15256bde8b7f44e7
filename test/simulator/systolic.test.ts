import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { simulateLayer, systolic } from '../../src/simulator/systolic.js';
import { type SystolicConfig, systolicFromScaleSim, systolicSchema } from '../../src/simulator/systolic-config.js';
import { DATAFLOWS, systolicCounts } from '../../src/simulator/systolic-counts.js';
import type { SimulationResult } from '../../src/simulator/types.js';
import type { AttentionHeadRecord, TraceHeader, TraceRecord } from '../../src/trace/types.js';
import type { GemmLayer } from '../../src/workload/types.js';

/** SCALE-Sim's formulas, written out from its own definition: array rows × columns per fold, folds, one cycle less. */
function scaleSim(dataflow: string, rows: number, columns: number, { m, n, k }: GemmLayer) {
  const [spatialRows, spatialColumns, temporal] =
    dataflow === 'os' ? [m, n, k] : dataflow === 'ws' ? [k, n, m] : [k, m, n];
  const folds = Math.ceil(spatialRows / rows) * Math.ceil(spatialColumns / columns);
  const perFold = (dataflow === 'os' ? 0 : rows) + rows + columns + temporal - 2;
  const passes = {
    os: { ifmap: Math.ceil(n / columns), filter: Math.ceil(m / rows), ofmap: 1 },
    ws: { ifmap: Math.ceil(n / columns), filter: 1, ofmap: Math.ceil(k / rows) },
    is: { ifmap: 1, filter: Math.ceil(m / columns), ofmap: Math.ceil(k / rows) },
  }[dataflow]!;
  return {
    cycles: perFold * folds - 1,
    ifmapReads: m * k * passes.ifmap,
    filterReads: k * n * passes.filter,
    ofmapWrites: m * n * passes.ofmap,
  };
}

const dimension = fc.integer({ min: 1, max: 5000 });
const side = fc.integer({ min: 1, max: 512 });
const points = fc.record({
  dataflow: fc.constantFrom(...DATAFLOWS),
  rows: side,
  columns: side,
  layer: fc.record({ name: fc.constant('layer'), m: dimension, n: dimension, k: dimension }),
});

const base = presetConfig(readPreset('systolic-32x32-ws'), systolicSchema);

async function simulate(config: SystolicConfig, layers: readonly GemmLayer[]): Promise<SimulationResult> {
  const result = await systolic.simulate(config, { kind: 'gemms', layers }, { name: 'test' });
  if (!result.feasible) throw new Error('infeasible');
  return result;
}

describe('the closed form', () => {
  test('equals SCALE-Sim’s on 10,000 random points', () => {
    fc.assert(
      fc.property(points, ({ dataflow, rows, columns, layer }) => {
        const counts = systolicCounts({ rows, columns }, dataflow, 'scale-sim', layer);
        const expected = scaleSim(dataflow, rows, columns, layer);
        expect(counts.cycles).toBe(expected.cycles);
        expect(counts.ifmapReads).toBe(expected.ifmapReads);
        expect(counts.filterReads).toBe(expected.filterReads);
        expect(counts.ofmapWrites).toBe(expected.ofmapWrites);
      }),
      { numRuns: 10_000 },
    );
  });

  // Reported by SCALE-Sim itself for these runs.
  test.each([
    [{ m: 128, n: 128, k: 128 }, 32, 3551],
    [{ m: 128, n: 512, k: 128 }, 32, 14207],
    [{ m: 128, n: 128, k: 128 }, 128, 509],
    [{ m: 128, n: 3072, k: 768 }, 32, 511487],
  ])('a %o product on a weight-stationary array of side %i takes %i cycles', (layer, side, cycles) => {
    expect(systolicCounts({ rows: side, columns: side }, 'ws', 'scale-sim', layer).cycles).toBe(cycles);
  });

  test('utilisation is at most one, and one cycle is all that the conventions differ by', () => {
    fc.assert(
      fc.property(points, ({ dataflow, rows, columns, layer }) => {
        const complete = systolicCounts({ rows, columns }, dataflow, 'complete', layer);
        expect(complete.utilisation).toBeGreaterThan(0);
        expect(complete.utilisation).toBeLessThanOrEqual(1);
        expect(systolicCounts({ rows, columns }, dataflow, 'scale-sim', layer).cycles).toBe(complete.cycles - 1);
      }),
    );
  });
});

describe('off-chip traffic', () => {
  const configured = (dataflow: SystolicConfig['dataflow'], kilobytes: number): SystolicConfig => ({
    ...base,
    dataflow,
    sram: { ifmapKilobytes: kilobytes, filterKilobytes: kilobytes, ofmapKilobytes: kilobytes },
  });

  test('is compulsory when everything fits', () => {
    const layer = { name: 'small', m: 64, n: 96, k: 128 };
    const { traffic } = simulateLayer(configured('ws', 1024), layer);
    expect(traffic).toMatchObject({ ifmapFetches: 64 * 128, filterFetches: 96 * 128, spills: 0 });
    expect(traffic.readBits).toBe((64 * 128 + 96 * 128) * 8);
    expect(traffic.writtenBits).toBe(64 * 96 * 8);
  });

  test('a larger buffer never causes more', () => {
    const kilobytes = fc.integer({ min: 1, max: 2000 });
    fc.assert(
      fc.property(points, kilobytes, kilobytes, ({ dataflow, layer }, one, other) => {
        const small = simulateLayer(configured(dataflow, Math.min(one, other)), layer).traffic;
        const large = simulateLayer(configured(dataflow, Math.max(one, other)), layer).traffic;
        expect(large.readBits).toBeLessThanOrEqual(small.readBits);
        expect(large.writtenBits).toBeLessThanOrEqual(small.writtenBits);
      }),
    );
  });
});

describe('a simulation', () => {
  const layers = [
    { name: 'query', m: 128, n: 128, k: 128 },
    { name: 'ffn', m: 128, n: 512, k: 128 },
  ];

  test('adds up its layers', async () => {
    const result = await simulate(base, layers);
    expect(result.cycles).toBe(3551 + 14207);
    expect(result.parts.map((part) => part.layer)).toEqual(['query', 'ffn']);
    expect(result.parts.reduce((sum, part) => sum + part.energyPicojoules, 0)).toBeCloseTo(result.energyPicojoules, 3);
    expect(result.counts.macs).toBe(128 * 128 * 128 * 5);
    expect(result.utilisation.array).toBeCloseTo(result.counts.macs! / (result.cycles * 1024), 12);
    expect(result.conservation.length).toBeGreaterThan(4);
    expect(result.constants.length).toBeGreaterThan(5);
  });

  test('multipliers cost what Horowitz says: 0.2 pJ per 8-bit product at 45 nm, within 2 %', async () => {
    const result = await simulate(base, layers);
    const { dynamicPicojoules } = result.energy.find(({ component }) => component === 'multipliers')!;
    expect(dynamicPicojoules / result.counts.macs!).toBeGreaterThan(0.2 * 0.98);
    expect(dynamicPicojoules / result.counts.macs!).toBeLessThan(0.2 * 1.02);
  });

  test('two equal runs give the same bytes', async () => {
    expect(JSON.stringify(await simulate(base, layers))).toBe(JSON.stringify(await simulate(base, layers)));
  });

  test('says when memory, not the array, bounds the run', async () => {
    const wide = await simulate({ ...base, bandwidthWordsPerCycle: 1e6 }, layers);
    const narrow = await simulate({ ...base, bandwidthWordsPerCycle: 0.01 }, layers);
    expect(wide.remarks.join()).not.toContain('memory bounds');
    expect(narrow.remarks.join()).toContain('memory bounds');
    expect(narrow.cycles).toBe(wide.cycles);
  });

  test('runs the dense attention of a trace, head by head', async () => {
    const head = (sequence: number, index: number): AttentionHeadRecord => ({
      kind: 'attention-head',
      sequence,
      layer: 0,
      head: index,
      queries: 20,
      keys: 30,
      paddedLength: 32,
      headDim: 16,
      valueDim: 8,
      bits: 12,
      valueBits: 16,
      queryStep: 1,
      keyStep: 1,
      threshold: 0,
      causal: false,
      q: new Int16Array(20 * 16),
      k: new Int16Array(30 * 16),
      survivors: new Uint8Array(75),
    });
    async function* records(): AsyncIterable<TraceRecord> {
      for (const sequence of [0, 1]) for (const index of [0, 1]) yield head(sequence, index);
    }
    const header = {} as TraceHeader;
    const result = await systolic.simulate(base, { kind: 'trace', header, records: records() }, { name: 'trace' });
    if (!result.feasible) throw new Error('infeasible');
    expect(result.parts.map(({ layer, head: index }) => [layer, index])).toEqual([
      ['layer 0', 0],
      ['layer 0', 1],
    ]);
    expect(result.counts.macs).toBe(4 * (20 * 30 * 16 + 20 * 8 * 30));
  });

  test('of nothing costs nothing', async () => {
    const result = await simulate(base, []);
    expect(result).toMatchObject({ cycles: 0, energyPicojoules: 0, parts: [], timeline: [] });
  });

  test('stops when asked to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const run = systolic.simulate(base, { kind: 'gemms', layers }, { name: 'test', signal });
    await expect(run).rejects.toThrow('enough');
  });
});

test('a SCALE-Sim architecture becomes a configuration', () => {
  const config = systolicFromScaleSim(
    {
      runName: 'google',
      arrayHeight: 256,
      arrayWidth: 128,
      ifmapSramKilobytes: 8192,
      filterSramKilobytes: 4096,
      ofmapSramKilobytes: 2048,
      dataflow: 'is',
      bandwidthWordsPerCycle: 10,
    },
    base.technology,
  );
  expect(config).toMatchObject({
    array: { rows: 256, columns: 128 },
    dataflow: 'is',
    cycleConvention: 'scale-sim',
    sram: { ifmapKilobytes: 8192, filterKilobytes: 4096, ofmapKilobytes: 2048 },
    bandwidthWordsPerCycle: 10,
  });
});
