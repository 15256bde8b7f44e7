import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { leopard } from '../../src/simulator/leopard.js';
import { type LeopardConfig, leopardSchema } from '../../src/simulator/leopard-config.js';
import type { Infeasible, SimulationResult } from '../../src/simulator/types.js';
import type { AttentionHeadRecord } from '../../src/trace/types.js';
import { gaussianHead, traceOf, withSurvivors } from './heads.js';

const preset = (name: string): LeopardConfig => presetConfig(readPreset(name), leopardSchema);
const [AE, HP, BASELINE] = ['leopard-ae', 'leopard-hp', 'leopard-baseline'].map(preset) as [
  LeopardConfig,
  LeopardConfig,
  LeopardConfig,
];
const FILL = AE.frontEnd.fillCycles + AE.backEnd.fillCycles;

/** A changed copy: `front` goes to frontEnd, the rest to the top level. */
const changed = (
  config: LeopardConfig,
  front: Partial<LeopardConfig['frontEnd']>,
  rest: Partial<LeopardConfig> = {},
): LeopardConfig => ({
  ...config,
  frontEnd: { ...config.frontEnd, ...front },
  ...rest,
});

async function run(
  configs: readonly LeopardConfig[],
  records: readonly AttentionHeadRecord[],
  fidelity: 'cycle' | 'fast' = 'cycle',
) {
  const named = configs.map((config, at) => ({ name: `machine ${at}`, config }));
  return leopard.simulateMany!(named, traceOf(records), { fidelity });
}

async function simulated(
  config: LeopardConfig,
  records: readonly AttentionHeadRecord[],
  fidelity: 'cycle' | 'fast' = 'cycle',
) {
  const [result] = await run([config], records, fidelity);
  if (!result!.feasible) throw new Error(JSON.stringify(result));
  return result as SimulationResult;
}

describe('the configuration', () => {
  it('says of every setting what it is, and has defaults for all', () => {
    const undescribed: string[] = [];
    const visit = (schema: { properties?: Record<string, object>; description?: string }, path: string) => {
      const { properties } = schema;
      if (properties === undefined && schema.description === undefined) undescribed.push(path);
      for (const [name, inner] of Object.entries(properties ?? {})) visit(inner, `${path}.${name}`);
    };
    visit(z.toJSONSchema(leopardSchema, { io: 'input' }) as object, '');
    expect(undescribed).toEqual([]);
    expect(leopardSchema.parse({})).toEqual(AE);
  });

  it('names its numbers and says how sure each is', () => {
    const { provenance } = readPreset('leopard-hp');
    expect(provenance.find(({ name }) => name.endsWith('frontEnd.units'))).toMatchObject({
      value: 8,
      certainty: 'assumed',
    });
  });
});

describe('without pruning', () => {
  it('six bit-serial units of six cycles run at the rate of the bit-parallel unit', async () => {
    const head = gaussianHead({ tokens: 96, pruned: 0 });
    const [serial, parallel] = (await run([AE, BASELINE], [head])) as SimulationResult[];
    expect(serial!.counts.frontEndCycles).toBe(96 * 96);
    expect(parallel!.counts.frontEndCycles).toBe(96 * 96);
    // The end: the last round of six survivors, or the last survivor, leaves the back end; then the pipelines empty.
    expect(serial!.cycles).toBe(96 * 96 + 6 + FILL);
    expect(parallel!.cycles).toBe(96 * 96 + 1 + FILL);
  });

  it('looks at visible keys only', async () => {
    const result = await simulated(BASELINE, [gaussianHead({ tokens: 40, pruned: 0, causal: true })]);
    expect(result.counts.scores).toBe((40 * 41) / 2);
    expect(result.cycles).toBe((40 * 41) / 2 + 1 + FILL);
  });
});

describe('with Gaussian scores', () => {
  // Monte-Carlo reconstruction of the published design: 512 tokens, 64 dimensions, 12 bits, 2 bits a cycle.
  it.each([
    { pruned: 0.6, cycles: 4.31, shares: [0.085, 0.36, 0.119, 0.03, 0.406], ae: 1.39, hp: 1.86 },
    { pruned: 0.75, cycles: 3.8, shares: [0.143, 0.451, 0.122, 0.028, 0.257], ae: 1.58, hp: 2.1 },
    { pruned: 0.9, cycles: 2.96, shares: [0.441, 0.38, 0.063, 0.013, 0.103], ae: 2.03, hp: 2.71 },
    { pruned: 0.95, cycles: 2.74, shares: [0.48, 0.409, 0.05, 0.009, 0.052], ae: 2.19, hp: 2.92 },
  ])('$pruned pruned: mean cycles and speed-ups of the design points', async ({ pruned, cycles, shares, ae, hp }) => {
    const results = (await run([BASELINE, AE, HP], [gaussianHead({ tokens: 512, pruned })])) as SimulationResult[];
    const [baseline, area, performance] = results as [SimulationResult, SimulationResult, SimulationResult];
    const scores = area.counts.scores!;
    // The range of the reference's quantiser is unknown (3.6 to 4.4 standard deviations move the means by 3 %), and its
    // speed-ups leave out the wait at the end of each query (0.6 %).
    const near = (value: number, expected: number) => expect(Math.abs(value / expected - 1)).toBeLessThan(0.04);
    near(area.counts.unitSteps! / scores, cycles);
    near(baseline.cycles / area.cycles, ae);
    near(baseline.cycles / performance.cycles, hp);
    const shareAfter = (step: number) =>
      (area.histograms.stopBits!.find(({ bin }) => bin === 2 * step)?.count ?? 0) / scores;
    shares.forEach((share, at) => {
      expect(Math.abs(shareAfter(at + 2) - share)).toBeLessThan(0.09);
    });
    expect(shareAfter(1)).toBeLessThan(1e-4);
    expect(area.energyPicojoules).toBeLessThan(baseline.energyPicojoules);
  });
});

describe('every simulation', () => {
  const record = fc
    .record({
      tokens: fc.integer({ min: 1, max: 20 }),
      headDim: fc.constantFrom(8, 64, 100),
      pruned: fc.constantFrom(0, 0.3, 0.8, 0.97),
      causal: fc.boolean(),
      bits: fc.constantFrom(8, 12),
      head: fc.nat(3),
      sequence: fc.nat(1),
      seed: fc.nat(1000),
    })
    .map(gaussianHead);
  const machine = fc
    .record({
      kind: fc.constantFrom('bit-serial' as const, 'bit-parallel' as const),
      units: fc.integer({ min: 1, max: 9 }),
      bitsPerCycle: fc.integer({ min: 1, max: 5 }),
      depth: fc.integer({ min: 1, max: 20 }),
      tiles: fc.integer({ min: 1, max: 3 }),
      keys: fc.integer({ min: 3, max: 30 }),
      dram: fc.constantFrom('none' as const, 'lpddr4' as const),
    })
    .map(({ kind, units, bitsPerCycle, depth, tiles, keys, dram }) =>
      changed(
        AE,
        { kind, units, bitsPerCycle },
        { fifo: { depth }, tiles, dram, buffers: { keyBytes: 192 * keys, valueBytes: 65536 } },
      ),
    );

  it('keeps the conservation laws', async () => {
    const property = fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 5 }),
      machine,
      async (records, config) => {
        const result = await simulated(config, records);
        expect(result.conservation.length).toBeGreaterThan(8);
        const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
        expect(
          sum(result.energy.map((e) => e.dynamicPicojoules + e.leakagePicojoules)) / result.energyPicojoules,
        ).toBeCloseTo(1, 9);
        expect(sum(result.area.map((a) => a.squareMicrometres)) / result.areaSquareMicrometres).toBeCloseTo(1, 9);
        expect(sum(result.histograms.stopBits!.map(({ count }) => count))).toBe(result.counts.scores);
        expect(sum(result.histograms.survivorsPerRow!.map(({ bin, count }) => bin * count))).toBe(
          result.counts.survivors,
        );
        expect(sum(result.parts.map(({ counts }) => counts.scores!))).toBe(result.counts.scores);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it('never costs cycles to add units, to deepen the FIFO, to enlarge buffers, or to add a tile', async () => {
    const property = fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 4 }),
      machine,
      async (records, config) => {
        const { cycles } = await simulated(config, records);
        const better = [
          changed(config, { units: config.frontEnd.units + 1 }),
          { ...config, fifo: { depth: config.fifo.depth + 1 } },
          { ...config, buffers: { ...config.buffers, keyBytes: 65536 } },
        ];
        for (const one of better) expect((await simulated(one, records)).cycles).toBeLessThanOrEqual(cycles);
        // Twice the tiles split what each had; they share the memory's bandwidth.
        if (config.dram === 'none')
          expect((await simulated({ ...config, tiles: 2 * config.tiles }, records)).cycles).toBeLessThanOrEqual(cycles);
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  it('gives equal results alone and together with others', async () => {
    const records = [0, 1, 2].map((seed) => gaussianHead({ tokens: 24, pruned: 0.8, seed, head: seed }));
    const together = await run([BASELINE, AE, HP], records);
    for (const [at, config] of [BASELINE, AE, HP].entries()) {
      expect({ ...(await simulated(config, records)), name: '' }).toEqual({ ...together[at], name: '' });
    }
  });
});

describe('rows without survivor', () => {
  const head = withSurvivors({ ...gaussianHead({ tokens: 12, pruned: 0 }), threshold: 1e9 });

  it('keep their largest score, at the cost of a second scan', async () => {
    const result = await simulated(AE, [head]);
    expect(result.counts).toMatchObject({ emptyRows: 12, survivors: 12, pruned: 132 });
    expect(result.counts.rescueSteps).toBeGreaterThan(0);
    expect(result.counts.rescueCycles).toBeGreaterThan(0);
  });

  it('attend to nothing when the machine and the model say so', async () => {
    const result = await simulated({ ...AE, emptyRow: 'drop' }, [{ ...head, survivors: new Uint8Array(18) }]);
    expect(result.counts).toMatchObject({ emptyRows: 12, survivors: 0, rescueCycles: 0 });
  });
});

describe('keys beyond the buffers', () => {
  it('come in further passes, each with its fill and the softmax state carried', async () => {
    const records = [gaussianHead({ tokens: 24, pruned: 0 })];
    const whole = await simulated(BASELINE, records);
    const half = await simulated({ ...BASELINE, buffers: { keyBytes: 12 * 96, valueBytes: 65536 } }, records);
    expect(half.counts.carryCycles).toBe(2 * 24);
    expect(half.cycles - whole.cycles).toBe(2 * 24 + FILL + 1);
  });

  it('are infeasible when not one fits', async () => {
    const [result] = await run(
      [{ ...AE, buffers: { keyBytes: 95, valueBytes: 65536 } }],
      [gaussianHead({ tokens: 4, pruned: 0 })],
    );
    expect(result).toEqual({
      feasible: false,
      name: 'machine 0',
      machine: 'leopard',
      resource: 'K buffer',
      demand: 96,
      bound: 95,
      unit: 'bytes',
      levers: ['buffers.keyBytes ≥ 96'],
    } satisfies Infeasible);
  });

  it('are infeasible when operands are wider than the datapath', async () => {
    const [narrow, wide] = await run([changed(AE, { keyBits: 8 }), AE], [gaussianHead({ tokens: 4, pruned: 0 })]);
    expect(narrow).toMatchObject({ feasible: false, resource: 'operand width', demand: 12, bound: 8 });
    expect(wide).toMatchObject({ feasible: true });
  });
});

describe('tiles', () => {
  it('take the heads of a layer in turn, and a layer waits for its slowest tile', async () => {
    const heads = [0, 1, 2].map((head) => gaussianHead({ tokens: 20, pruned: 0.5, seed: head, head }));
    const alone = await Promise.all(heads.map(async (head) => (await simulated(AE, [head])).cycles));
    const two = await simulated({ ...AE, tiles: 2 }, heads);
    expect(two.cycles).toBe(Math.max(alone[0]! + alone[2]!, alone[1]!));
  });
});

describe('a trace whose survivors contradict its values', () => {
  it('is refused with the place', async () => {
    const head = gaussianHead({ tokens: 8, pruned: 0.5, layer: 3, head: 2 });
    const survivors = head.survivors.slice();
    survivors[2]! ^= 4;
    await expect(run([AE], [{ ...head, survivors }])).rejects.toMatchObject({
      code: 'TANDEM_TRACE_INCONSISTENT',
      place: 'sequence 0, layer 3, head 2',
      message: expect.stringContaining('query 2 and key 2'),
    });
  });

  it('needs attention heads at all', async () => {
    await expect(run([AE], [])).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
  });
});

describe('fast fidelity', () => {
  it('carries its measured error, and is near the cycle model', async () => {
    const records = Array.from({ length: 20 }, (_, seed) =>
      gaussianHead({ tokens: 48, pruned: 0.8, seed, head: seed % 4, sequence: seed >> 2 }),
    );
    for (const config of [AE, HP, BASELINE]) {
      const [cycle, fast] = [await simulated(config, records), await simulated(config, records, 'fast')];
      expect(fast.fidelity).toBe('fast');
      expect(Math.abs(fast.cycles / cycle.cycles - 1)).toBeLessThan(0.05);
      expect(Math.abs(fast.cyclesError!)).toBeLessThan(0.05);
      expect(Math.abs(fast.energyPicojoules / cycle.energyPicojoules - 1)).toBeLessThan(0.05);
    }
  });
});

describe('the timeline', () => {
  it('shows every unit and the back end of the first head', async () => {
    const { timeline } = await simulated(AE, [gaussianHead({ tokens: 16, pruned: 0.5 })]);
    expect(timeline.map(({ lane }) => lane)).toEqual(
      [0, 1, 2, 3, 4, 5].map((unit) => `dot-product unit ${unit}`).concat('back end'),
    );
    for (const { busy } of timeline) {
      busy.reduce((end, interval) => {
        expect(interval.start).toBeGreaterThanOrEqual(end);
        return interval.end;
      }, 0);
    }
  });
});
