import { describe, expect, test } from 'vitest';
import type { TandemError } from '../../../src/errors.js';
import type { ElectorConfig } from '../../../src/simulator/elector/config.js';
import {
  type PublishedCycleRun,
  type PublishedMisfit,
  simulatePublishedCycle,
} from '../../../src/simulator/elector/published-cycle.js';
import { CycleLog } from '../../../src/simulator/elector/published-cycle-log.js';
import { namedArchitecture } from '../../../src/workload/named-transformers.js';
import type { HeadOperation, TransformerArchitecture } from '../../../src/workload/transformer.js';
import { preset } from './presets.js';

const edge: ElectorConfig = { ...preset('elector-edge'), mode: 'published-cycle' };
const tiny = namedArchitecture('bert-tiny', 'model');
const nano = namedArchitecture('nano', 'model');
const sdp: HeadOperation = { kind: 'sdp', dim: 16 };

const withHeads = (...heads: HeadOperation[]): TransformerArchitecture => ({
  ...nano,
  layers: [{ ...nano.layers[0]!, heads }],
});

function run(config: ElectorConfig, architecture: TransformerArchitecture): PublishedCycleRun {
  const result = simulatePublishedCycle(config, architecture);
  if (!result.feasible) throw new Error(result.resource);
  return result;
}

function misfit(config: ElectorConfig, architecture: TransformerArchitecture): PublishedMisfit {
  const result = simulatePublishedCycle(config, architecture);
  if (result.feasible) throw new Error(`runs in ${result.cycles} cycles`);
  return result;
}

/** Outputs of the published program, whose stalls are those of its debug mode; energies in nJ, dynamic and leakage. */
const PUBLISHED = [
  {
    name: 'BERT-Tiny',
    architecture: tiny,
    cycles: 79324,
    operations: 62005,
    processingElements: [85479.455308, 5651.725651],
    activationBuffer: [4870.662083, 2462.186533],
    weightBuffer: [576991.192396, 168309.308251],
    maskBuffer: [579510.439756, 2444.57152],
    stalls: [109642, 12846, 0, 0, 29922, 3510, 1029320],
  },
  {
    name: 'one layer of two attention heads',
    architecture: nano,
    cycles: 15046,
    operations: 2907,
    processingElements: [15119.696147, 1131.324544],
    activationBuffer: [1014.721267, 524.170896],
    weightBuffer: [106407.02308, 31055.729292],
    maskBuffer: [106931.86628, 454.61408],
    stalls: [25740, 2691, 0, 0, 3589, 1255, 218459],
  },
  {
    name: 'one layer, the first head with weighted keys',
    architecture: withHeads({ kind: 'wma', dim: 16 }, sdp),
    cycles: 15057,
    operations: 2941,
    processingElements: [15150.097244, 1133.190965],
    activationBuffer: [1014.721267, 524.170896],
    weightBuffer: [106514.525281, 31089.394039],
    maskBuffer: [107039.368481, 455.29464],
    stalls: [25737, 2691, 0, 0, 3603, 1255, 218603],
  },
  {
    name: 'one layer, the second head a cosine transform',
    architecture: withHeads(sdp, { kind: 'dct', dim: 16 }),
    cycles: 15311,
    operations: 2386,
    processingElements: [8391.363127, 616.522014],
    activationBuffer: [608.83276, 314.502538],
    weightBuffer: [112427.146378, 32803.891522],
    maskBuffer: [112742.052298, 473.66976],
    stalls: [26067, 2805, 0, 0, 2844, 383, 224875],
  },
];
const PARTS = ['processingElements', 'activationBuffer', 'weightBuffer', 'maskBuffer'] as const;
/** The published figures have six digits behind the point. */
const ROUNDING = 0.5e-6;

describe.each(PUBLISHED)('the published program’s numbers on the edge machine: $name', (published) => {
  const result = run(edge, published.architecture);

  test('cycles, operations and stalls are the same', () => {
    expect(result.cycles).toBe(published.cycles);
    expect(result.operations).toBe(published.operations);
    expect(Object.values(result.stalls)).toEqual(published.stalls);
  });

  test.each(PARTS)('energy of %s', (part) => {
    const { dynamic, leakage } = result.energy[part];
    const [publishedDynamic, publishedLeakage] = published[part] as [number, number];
    for (const [ours, theirs] of [
      [dynamic, publishedDynamic],
      [leakage, publishedLeakage],
    ] as const) {
      expect(Math.abs(ours - theirs)).toBeLessThan(theirs * 1e-9 + ROUNDING);
    }
  });
});

test.each([
  ['BERT-Tiny', tiny, [9.6847, 0.36212, 2.58182, 11.9808, 63.3154, 55.4446]],
  ['one layer', nano, [1.75435, 0.2376, 6.8058, 1.21897, 14.6574, 12.2135]],
] as const)('mean utilisation of %s', (_, architecture, percent) => {
  const { macLanes, layerNorm, softmax, activationBuffer, weightBuffer, maskBuffer } = run(
    edge,
    architecture,
  ).utilisation;
  const ours = [macLanes, layerNorm, softmax, activationBuffer, weightBuffer, maskBuffer];
  ours.forEach((share, at) => {
    expect(Math.abs((100 * share) / percent[at]! - 1)).toBeLessThan(2e-5);
  });
});

test.each([
  [nano, 'dram-32-2-1', 12489],
  [tiny, 'dram-32-2-1', 49954],
  [tiny, 'rram-32-2-1', 4996],
] as const)('the embeddings come first: nothing runs before they are there (%#)', (architecture, memory, cycles) => {
  const { overTime } = run({ ...edge, memory }, architecture);
  const lanes = overTime.series.find(({ name }) => name === 'MAC lanes')!.values;
  const firstBusy = lanes.findIndex((share) => share > 0);
  expect((firstBusy + 1) * overTime.cyclesPerSample).toBeGreaterThan(cycles);
  const quiet = Math.floor(cycles / overTime.cyclesPerSample);
  expect(Math.max(...lanes.slice(0, quiet))).toBe(0);
});

describe('what a run reports', () => {
  const result = run(edge, tiny);
  const { series, cyclesPerSample } = result.overTime;

  test('series over time are bounded and agree with the means and the energy', () => {
    const samples = Math.ceil(result.cycles / cyclesPerSample);
    expect(samples).toBeLessThanOrEqual(512);
    const lengths = Array.from({ length: samples }, (_, at) =>
      Math.min(cyclesPerSample, result.cycles - at * cyclesPerSample),
    );
    const mean = (name: string, quantity: string) => {
      const { values } = series.find((one) => one.name === name && one.quantity === quantity)!;
      expect(values).toHaveLength(samples);
      return values.reduce((sum, value, at) => sum + value * lengths[at]!, 0) / result.cycles;
    };
    const shares = Object.entries({
      macLanes: 'MAC lanes',
      layerNorm: 'layer norm',
      softmax: 'softmax',
      activationBuffer: 'activation buffer',
      weightBuffer: 'weight buffer',
      maskBuffer: 'mask buffer',
    } as const);
    for (const [key, name] of shares) {
      expect(mean(name, 'utilisation')).toBeCloseTo(result.utilisation[key as keyof typeof result.utilisation], 12);
    }
    const total = ({ dynamic, leakage }: { dynamic: number; leakage: number }) => dynamic + leakage;
    const { activationBuffer, weightBuffer, maskBuffer, processingElements } = result.energy;
    const buffers = total(activationBuffer) + total(weightBuffer) + total(maskBuffer);
    // mW = nJ / cycle · 700 MHz
    expect((mean('PEs', 'power') * result.cycles) / 700 / total(processingElements)).toBeCloseTo(1, 9);
    expect((mean('buffers and main memory', 'power') * result.cycles) / 700 / buffers).toBeCloseTo(1, 9);
  });

  test('tiles: one factor for the inner dimension, and windows between layers overlap by one', () => {
    const heads = 2 * (3 * (4 * 8 * 4 * 8) + 4 * 8 * 8 * 4 + 4 * 8 * 8 + 4 * 8 * 4 * 8 + 4 * 8 * 8 * 4);
    const norms = 2 * (4 * 8 * 8);
    const feedForward = 2 * (4 * 8 * 8 * 32) + 4 * 8 * 8 + 4 * 8 * 32;
    expect(result.tiles.total).toBe(2 * (heads + norms + feedForward));
    expect(result.tiles.skipped).toBe(0);
    // every eighth operation between layers but the last of each run of one class
    const windows = (2 * (norms + feedForward)) / 8;
    expect(result.tiles.repeated).toBeLessThan(windows);
    expect(result.tiles.repeated).toBeGreaterThan(0.99 * windows);
  });

  test('a scheduler that issues one operation at a time repeats none', () => {
    const { tiles } = run({ ...edge, schedulerBatch: 1 }, nano);
    expect([tiles.repeated, tiles.skipped]).toEqual([0, 0]);
  });

  test('laws hold, and the quirks that mattered are said', () => {
    expect(result.conservation.map(({ law }) => law)).toContain(
      'busy cycles of MAC lanes = cycles of their tile operations up to the end',
    );
    expect(result.remarks.join('\n')).toMatch(/a second time/);
    expect(result.remarks.join('\n')).not.toMatch(/never ran/);
  });

  test('a layer with a single head loses most of it', () => {
    const { tiles, remarks } = run(edge, withHeads(sdp));
    expect(tiles.skipped).toBeGreaterThan(0);
    expect(remarks.join('\n')).toMatch(/passed over .* never ran/);
  });

  test('fewer operations at a time take longer and draw less power at once', () => {
    const lowPower = run({ ...preset('elector-edge-lp'), mode: 'published-cycle' }, tiny);
    expect(lowPower.cycles).toBeGreaterThan(result.cycles);
    const peak = (one: PublishedCycleRun) =>
      Math.max(...one.overTime.series.find(({ name }) => name === 'PEs')!.values);
    expect(peak(lowPower)).toBeLessThan(peak(result));
  });

  test('a small buffer evicts what is not needed any more, without changing what runs', () => {
    const small = { ...edge, buffers: { ...edge.buffers, activationMegabytes: 1 } };
    const squeezed = run(small, tiny);
    expect(squeezed.cycles).toBe(result.cycles);
    const share = (one: PublishedCycleRun) => one.utilisation.activationBuffer;
    expect(share(squeezed)).toBeGreaterThan(share(result));
    expect(share(squeezed)).toBeLessThan(4 * share(result));
  });
});

describe('what the published program cannot do', () => {
  test.each([3, 4])('a layer of %i heads stops it for ever: stores of the last heads are passed over', (heads) => {
    const result = misfit(edge, withHeads(...Array.from({ length: heads }, () => sdp)));
    expect(result.resource).toMatch(/from cycle \d+ on.*waits for ever for layer0_head\d_/);
    expect(result.bound).toBeLessThan(result.demand);
    expect(result.levers).toContain('layers of at most 2 heads');
    expect(result.levers).toContain('mode = cycle');
  });

  test('four heads in the second layer: softmax results of the third and fourth are missing', () => {
    const layer = nano.layers[0]!;
    const four = { ...layer, hidden: 64, heads: [sdp, sdp, sdp, sdp] };
    const { resource } = misfit(edge, { ...nano, layers: [layer, four] });
    expect(resource).toMatch(/layer1_head2_softmax, layer1_head3_softmax$/);
  });

  test('a window that holds its own producers', () => {
    const { resource, levers } = misfit({ ...edge, schedulerBatch: 7 }, nano);
    expect(resource).toMatch(/waits for ever/);
    expect(levers[0]).toMatch(/schedulerBatch/);
  });

  test('a window with more operations than there are units', () => {
    const result = misfit({ ...edge, pes: 8 }, nano);
    expect(result).toMatchObject({ demand: 9, bound: 8, unit: 'tile operations' });
    expect(result.levers[0]).toBe('schedulerBatch < 8');
  });

  test('a window of softmax operations while units are free in too few PEs', () => {
    const result = misfit({ ...edge, pes: 18, schedulerBatch: 8 }, nano);
    expect(result).toMatchObject({ demand: 8, bound: 2, unit: 'PEs' });
  });

  test('a convolution whose tiles take a negative number of cycles', () => {
    const conv = (kernel: number) => withHeads({ kind: 'conv', dim: 16, kernel }, sdp);
    expect(run(edge, conv(9)).feasible).toBe(true);
    expect(misfit(edge, conv(19))).toMatchObject({ demand: -1, bound: 0, unit: 'cycles' });
  });

  test('embeddings larger than the weight buffer', () => {
    const result = misfit({ ...preset('elector-nano'), mode: 'published-cycle' }, nano);
    expect(result).toMatchObject({ resource: 'weight buffer, for embeddings', bound: 0.125, unit: 'MB' });
    expect(result.demand).toBeCloseTo((30650 * 32 * 10) / 8 / 2 ** 20, 9);
    expect(result.levers[0]).toBe('buffers.weightMegabytes ≥ 1.17');
  });

  test('data that may not leave are in the way', () => {
    // the masks of the embeddings fill the mask buffer but for less than a matrix of scores needs
    const masks = (30650 * 32 + 4 * 128 * 128 - 1) / 8 / 2 ** 20;
    const result = misfit({ ...edge, buffers: { ...edge.buffers, maskMegabytes: masks } }, nano);
    expect(result.bound).toBe(masks);
  });

  test('training', () => {
    expect(() => simulatePublishedCycle({ ...edge, phase: 'training' }, nano)).toThrowError(
      expect.objectContaining<Partial<TandemError>>({
        code: 'TANDEM_CONFIG_INVALID',
        place: 'phase',
        remedy: expect.stringMatching(/published-fast or cycle/),
      }),
    );
  });
});

describe('the log by cycle', () => {
  test('keeps sums while samples become longer', () => {
    const log = new CycleLog(['a', 'b']);
    let expected = 0;
    for (let step = 1; step <= 400; step++) {
      log.add(Float64Array.of(step, 1), step % 7);
      expected += step * (step % 7);
    }
    expect(log.total('a')).toBe(expected);
    expect(log.total('b')).toBe(log.cycles);
    expect(log.means('b').every((mean) => mean === 1)).toBe(true);
    expect(log.means('b')).toHaveLength(Math.ceil(log.cycles / log.cyclesPerSample));
  });
});
