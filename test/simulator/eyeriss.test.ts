import { describe, expect, test } from 'vitest';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { checkMachine } from '../../src/simulator/conformance.js';
import { eyeriss } from '../../src/simulator/eyeriss.js';
import { eyerissSchema } from '../../src/simulator/eyeriss-config.js';
import type { Machine, Workload } from '../../src/simulator/types.js';
import { ARCHITECTURE_NOTE } from '../../src/trace/matrices.js';
import type { TokenBitsRecord, TraceHeader, TraceRecord } from '../../src/trace/types.js';
import type { GemmLayer } from '../../src/workload/types.js';
import { gaussianHead, header as leopardHeader } from './heads.js';

const bits = (layer: number, widths: readonly number[], sequence = 0): TokenBitsRecord => ({
  kind: 'token-bits',
  sequence,
  layer,
  head: -1,
  bits: Uint8Array.from(widths),
});
const header: TraceHeader = {
  ...leopardHeader,
  technique: 'dtqatten',
  layers: 1,
  headsPerLayer: [2],
  notes: {
    [ARCHITECTURE_NOTE]: JSON.stringify({
      name: 'two heads',
      layers: [{ hidden: 32, heads: [1, 2].map(() => ({ kind: 'sdp', dim: 16 })), feedForward: [64] }],
      vocabulary: 10,
      tokens: 24,
    }),
  },
};
function trace(records: readonly TraceRecord[]): Workload {
  async function* stream() {
    yield* records;
  }
  return { kind: 'trace', header, records: stream() };
}
const gemms = (...layers: GemmLayer[]): Workload => ({ kind: 'gemms', layers });
async function run(workload: Workload, changes: object = {}) {
  const result = await eyeriss.simulate(eyerissSchema.parse(changes), workload, { name: 'test' });
  if (!result.feasible) throw new Error(result.resource);
  return result;
}
const product = (m: number, n: number, k: number): GemmLayer => ({ name: `${m} × ${n} × ${k}`, m, n, k });

test.each([
  ['eyeriss-65nm', () => gemms(product(40, 24, 64), product(7, 100, 3))],
  ['eyeriss-40nm', () => gemms(product(1, 1, 1))],
  ['eyeriss-65nm', () => trace([bits(0, [8, 0, 4, 8])])],
  ['eyeriss-40nm', () => trace([gaussianHead({ tokens: 9, pruned: 0.5, causal: true })])],
])('conformance of %s', async (preset, workload) => {
  const subject = { config: presetConfig(readPreset(preset), eyerissSchema), workload };
  expect(await checkMachine(eyeriss as Machine, subject)).toEqual([]);
});

describe('the energy hierarchy', () => {
  test('counts register files, network, buffer and memory as 1, 2, 6 and 200 MACs', async () => {
    const result = await run(gemms(product(64, 64, 64)));
    const of = (component: string) => result.energy.find((share) => share.component === component)!.dynamicPicojoules;
    const { counts } = result;
    const mac = of('MACs') / counts.macs!;
    expect(of('register files') / mac).toBeCloseTo(4 * counts.macs!, 3);
    expect(of('PE network') / mac).toBeCloseTo(2 * counts.betweenPes!, 3);
    expect(of('global buffer') / mac).toBeCloseTo(6 * (counts.bufferReads! + counts.bufferWrites!), 3);
    expect(of('DRAM') / mac).toBeCloseTo(200 * counts.dramWords!, 3);
  });

  test('a product whose tiles fit fetches and stores each word once', async () => {
    const { counts } = await run(gemms(product(64, 48, 32)));
    expect(counts).toMatchObject({
      macs: 64 * 48 * 32,
      operandsFetched: 64 * 32 + 48 * 32,
      sumsStored: 64 * 48,
      sumsFetched: 0,
    });
  });
});

describe('no straw man', () => {
  test.each([
    [128, 128, 64],
    [128, 64, 128],
    [384, 384, 64],
    [384, 64, 384],
  ])('twelve heads of %i × %i × %i keep nine of ten PEs busy', async (m, n, k) => {
    const heads = Array.from({ length: 12 }, () => product(m, n, k));
    expect((await run(gemms(...heads))).utilisation.PEs).toBeGreaterThan(0.9);
  });

  test('only the first product of a run waits for its filters', async () => {
    const [one, two] = [
      await run(gemms(product(128, 128, 64))),
      await run(gemms(product(128, 128, 64), product(128, 128, 64))),
    ];
    expect(two.cycles).toBeLessThan(2 * one.cycles);
    expect(two.parts[0]!.cycles).toBe(one.cycles);
  });

  test('each objective is best at what it minimises', async () => {
    const workload = () => gemms(product(37, 90, 64));
    const [cycles, energy, both] = await Promise.all(
      ['cycles', 'energy', 'energy-delay'].map((objective) => run(workload(), { objective })),
    );
    for (const other of [energy!, both!]) expect(cycles!.cycles).toBeLessThanOrEqual(other.cycles * 1.05);
    const dynamic = (one: typeof energy) => one!.energy.reduce((sum, share) => sum + share.dynamicPicojoules, 0);
    for (const other of [cycles, both]) expect(dynamic(energy)).toBeLessThanOrEqual(dynamic(other) * (1 + 1e-9));
  });

  test('more buffer, wider networks and faster memory never cost cycles', async () => {
    const { cycles } = await run(gemms(product(200, 150, 80)), { objective: 'cycles' });
    const changes = [{ bufferBytes: 10 * 110592 }, { networkWordsPerCycle: 8 }, { dram: { bytesPerSecond: 1e12 } }];
    for (const change of changes) {
      // The first filters of a run are loaded before anything else, and may be more.
      const better = await run(gemms(product(200, 150, 80)), { objective: 'cycles', ...change });
      expect(better.cycles).toBeLessThanOrEqual(cycles * 1.02);
    }
  });
});

describe('attention of a trace is dense', () => {
  test('with every token, whatever its width, and every head that the architecture names', async () => {
    const { counts, parts } = await run(trace([bits(0, [8, 0, 4, 8]), bits(0, [0, 0, 8], 1)]));
    expect(parts).toHaveLength(1);
    expect(counts.products).toBe(2 * 2 * 2);
    expect(counts.macs).toBe(2 * 2 * 16 * (4 * 4 + 3 * 3));
  });

  test('heads with Q and K count as they are recorded where there are no token bits', async () => {
    const { counts } = await run(trace([gaussianHead({ tokens: 9, pruned: 0.5 })]));
    expect(counts.macs).toBe(2 * 9 * 9 * 64);
  });

  test('an empty trace contradicts itself', async () => {
    await expect(run(trace([]))).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
  });
});

test('a global buffer of less than three words is too small for anything', async () => {
  const config = eyerissSchema.parse({ bufferBytes: 4 });
  const result = await eyeriss.simulate(config, gemms(product(4, 4, 4)), { name: 'tiny' });
  expect(result).toMatchObject({ feasible: false, resource: 'global buffer', demand: 6, bound: 4 });
});

test('40 nm takes the same mapping’s MACs at less energy and area', async () => {
  const at = async (preset: string) => {
    const config = presetConfig(readPreset(preset), eyerissSchema);
    const result = await eyeriss.simulate(config, gemms(product(128, 128, 64)), { name: preset });
    if (!result.feasible) throw new Error(preset);
    return result;
  };
  const [old, scaled] = [await at('eyeriss-65nm'), await at('eyeriss-40nm')];
  expect(scaled.counts.macs).toBe(old.counts.macs);
  expect(scaled.energyPicojoules).toBeLessThan(old.energyPicojoules);
  expect(scaled.areaSquareMicrometres).toBeLessThan(old.areaSquareMicrometres);
});
