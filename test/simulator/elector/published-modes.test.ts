import { describe, expect, test } from 'vitest';
import { TandemError } from '../../../src/errors.js';
import { checkMachine } from '../../../src/simulator/conformance.js';
import type { ElectorConfig } from '../../../src/simulator/elector/config.js';
import { elector } from '../../../src/simulator/elector.js';
import type { SimulationResult } from '../../../src/simulator/types.js';
import { namedArchitecture } from '../../../src/workload/named-transformers.js';
import type { TransformerArchitecture } from '../../../src/workload/transformer.js';
import { traceOf } from '../heads.js';
import { preset } from './presets.js';

const edge = preset('elector-edge');
const fast: ElectorConfig = { ...edge, mode: 'published-fast' };
const cycle: ElectorConfig = { ...edge, mode: 'published-cycle' };

const mixed: TransformerArchitecture = {
  name: 'mixed',
  layers: [
    {
      hidden: 32,
      heads: [
        { kind: 'sdp', dim: 16 },
        { kind: 'dct', dim: 16 },
      ],
      feedForward: [64],
    },
    {
      hidden: 48,
      heads: [
        { kind: 'wma', dim: 24 },
        { kind: 'conv', dim: 24, kernel: 5 },
      ],
      feedForward: [64, 32],
    },
  ],
  vocabulary: 300,
  tokens: 24,
};

async function run(config: ElectorConfig, architecture: TransformerArchitecture): Promise<SimulationResult> {
  const result = await elector.simulate(config, { kind: 'transformer', architecture }, { name: 'it' });
  if (!result.feasible) throw new Error(`infeasible: ${result.resource}`);
  return result;
}

describe('the published modes', () => {
  test.each([
    ['fast, inference', fast],
    ['fast, training', { ...fast, phase: 'training' }],
    ['cycle', cycle],
  ] as const)('%s: keeps what machines promise', async (_what, config) => {
    const workload = () => ({ kind: 'transformer', architecture: mixed }) as const;
    expect(await checkMachine(elector, { config, workload })).toEqual([]);
  });

  test('fast: BERT-Tiny on edge, in pJ and µm², by layer', async () => {
    const result = await run(fast, namedArchitecture('bert-tiny'));
    expect(result).toMatchObject({ cycles: 167_596, fidelity: 'fast', clockHertz: 700e6 });
    expect(result.areaSquareMicrometres / 1e6).toBeCloseTo(54.06426665, 8);
    const lanes = result.energy.find(({ component }) => component === 'MAC lanes')!;
    expect(lanes.dynamicPicojoules / 1000).toBeCloseTo(786050.768, 3);
    expect(lanes.leakagePicojoules / 1000).toBeCloseTo(48258.192, 3);
    expect(result.parts.map(({ layer }) => layer)).toEqual(['embeddings', 'layer 0', 'layer 1']);
    // 30650 words of 128 elements, 10 bits each, at 785.365 bits a cycle
    expect(result.parts[0]!.cycles).toBe(49_954);
    expect(result.parts[1]!.cycles).toBe(result.parts[2]!.cycles);
    expect(result.remarks.join(' ')).toContain('as published');
  });

  test('cycle: the micro-model of 15,046 cycles, with stalls and what happened over time', async () => {
    const result = await run(cycle, namedArchitecture('nano'));
    expect(result).toMatchObject({ cycles: 15_046, fidelity: 'cycle' });
    expect(Object.values(result.stalls!)).toEqual([25740, 2691, 0, 0, 3589, 1255, 218459]);
    expect(result.overTime!.series.length).toBeGreaterThan(0);
    const mask = result.energy.find(({ component }) => component.startsWith('mask buffer'))!;
    expect(mask.dynamicPicojoules).toBeCloseTo(106931866.28, 1);
  });

  test('the fidelity that is asked for chooses between the two', async () => {
    const workload = { kind: 'transformer', architecture: mixed } as const;
    const result = await elector.simulate(cycle, workload, { name: 'it', fidelity: 'fast' });
    expect(result).toEqual(await elector.simulate(fast, workload, { name: 'it' }));
  });

  test.each([fast, cycle])('embeddings that do not fit are a result with a way out', async (config) => {
    const architecture = namedArchitecture('nano');
    const small: ElectorConfig = { ...preset('elector-nano'), mode: config.mode };
    const result = await elector.simulate(small, { kind: 'transformer', architecture }, { name: 'it' });
    // 30650 rows of 32 words of 10 bits
    const megabytes = (30650 * 32 * 10) / 8 / 2 ** 20;
    expect(result).toMatchObject({ feasible: false, bound: 0.125, demand: megabytes, unit: 'MB' });
    const lever = !result.feasible && result.levers.find((text) => text.startsWith('buffers.weightMegabytes ≥ '));
    const bigger = { ...small.buffers, weightMegabytes: Number((lever as string).split('≥ ')[1]) };
    expect(bigger.weightMegabytes).toBeGreaterThan(megabytes);
    expect(bigger.weightMegabytes).toBeLessThan(megabytes * 1.01);
  });

  test('convolutions longer than a tile are told of', async () => {
    const conv = { ...mixed.layers[0]!, heads: [{ kind: 'conv', dim: 32, kernel: 9 }] as const };
    const small = { ...fast, tile: { b: 1, x: 8, y: 8 } };
    const { remarks } = await run(small, { ...mixed, layers: [conv] });
    expect(remarks.join(' ')).toContain('kernel of 9');
  });

  test.each([
    ['a trace', traceOf([])],
    ['a list of products', { kind: 'gemms', layers: [] }],
  ] as const)('refuse %s', async (_what, workload) => {
    const refused = elector.simulate(fast, workload, { name: 'it' });
    await expect(refused).rejects.toThrow(TandemError);
    await expect(refused).rejects.toMatchObject({ code: 'TANDEM_CONFIG_INVALID', remedy: expect.any(String) });
  });
});
