import { describe, expect, test } from 'vitest';
import type { ElectorConfig } from '../../../src/simulator/elector/config.js';
import { decodeAccelerator } from '../../../src/simulator/elector/embedding.js';
import {
  embeddingDemand,
  type PublishedFastOptions,
  publishedFast,
} from '../../../src/simulator/elector/published-fast.js';
import { publishedOperations } from '../../../src/simulator/elector/published-generator.js';
import type { ComputeOperation, PublishedOperations } from '../../../src/simulator/elector/published-operations.js';
import { decodeTransformer } from '../../../src/workload/flexibert.js';
import { namedArchitecture } from '../../../src/workload/named-transformers.js';
import type { TransformerArchitecture } from '../../../src/workload/transformer.js';
import { preset } from './presets.js';

const edge = preset('elector-edge');
const server = preset('elector-server');
const training: ElectorConfig = { ...edge, phase: 'training' };

function simulate(config: ElectorConfig, architecture: TransformerArchitecture, options?: PublishedFastOptions) {
  const sizes = { batch: config.batch, tokens: architecture.tokens };
  return publishedFast(config, publishedOperations(architecture, sizes, config.phase), options);
}

const named = (config: ElectorConfig, model: string, options?: PublishedFastOptions) =>
  simulate(config, namedArchitecture(model), options);

/** Published with three decimals. */
const expectAll = (actual: readonly number[], expected: readonly number[]) => {
  for (const [index, value] of expected.entries()) {
    const scale = Math.max(Math.abs(value) * 1e-9, 5.1e-4);
    expect(Math.abs(actual[index]! - value), `${actual[index]} against ${value}`).toBeLessThanOrEqual(scale);
  }
};

describe('named models, against the published simulator', () => {
  test('BERT-Tiny on edge, inference', () => {
    const { cycles, energy, areaSquareMillimetres } = named(edge, 'bert-tiny');
    expect(areaSquareMillimetres).toBeCloseTo(54.06426665, 8);
    expect(cycles).toBe(167_596);
    expectAll([energy.buffer, energy.mainMemory], [4870.662, 165123.382]);
    expectAll(energy.macLanes, [786050.768, 48258.192]);
    expectAll(energy.softmax, [810.6405, 62.4839]);
    expectAll(energy.layerNorm, [1026.055, 60.2767]);
    expectAll(energy.sparsity, [131028.595, 43899.503]);
    expectAll(energy.others, [171682.144, 41218.913]);
  });

  test('BERT-Tiny on edge, training', () => {
    const { cycles, energy, areaSquareMillimetres } = named(training, 'bert-tiny');
    expect(areaSquareMillimetres).toBeCloseTo(54.14520737, 7);
    expect(cycles).toBe(185_388);
    expectAll([energy.buffer, energy.mainMemory], [12313.494, 165123.382]);
    expectAll(energy.macLanes, [912306.524, 56009.44]);
    expectAll(energy.softmax, [810.6405, 62.4839]);
    expectAll(energy.layerNorm, [2052.11, 120.553]);
    expectAll(energy.sparsity, [419291.504, 140478.41]);
    expectAll(energy.others, [550420.987, 132092.86]);
  });

  test('BERT-Base on server', () => {
    const { cycles, energy, areaSquareMillimetres } = named(server, 'bert-base');
    expect(areaSquareMillimetres).toBeCloseTo(1829.696317, 6);
    expect(cycles).toBe(8_049_525);
    expectAll([energy.buffer, energy.mainMemory], [826578.765, 22913289.263]);
    expectAll(energy.macLanes, [937470606.705, 57554343.8]);
    expectAll(energy.softmax, [116732.236, 8997.681]);
    expectAll(energy.layerNorm, [36937.981, 2169.962]);
    expectAll(energy.sparsity, [1698130590.493, 568937559.659]);
    expectAll(energy.others, [1112500293.869, 267098555.514]);
  });

  test('BERT-Tiny on server', () => {
    expect(named(server, 'bert-tiny').cycles).toBe(14_368);
  });

  test('counting the inner tiles once more than halves the cycles', () => {
    expect(named(edge, 'bert-tiny', { innerTilesOnce: true }).cycles).toBe(72_364);
    expect(named(server, 'bert-tiny', { innerTilesOnce: true }).cycles).toBe(8_416);
  });
});

describe('pairs of the design space, against TransCODE’s data set', () => {
  const zeros = Array.from({ length: 30 }, () => 0);
  const transformer = decodeTransformer([0, 0, 204, 14441, 2, 141, 7489, ...zeros]);
  test.each([
    {
      accelerator: [1, 8, 8, 1024, 32, 16, 64, 16, 64, 64, 8, 5],
      area: 2148.943928,
      cycles: 11_621_284,
      expected: [
        454311.006, 800452389.369, 2728783995.676, 167528849.567, 4277.909, 5928.48, 2201647275.15, 1442370365.573,
      ],
    },
    {
      accelerator: [4, 16, 16, 1024, 32, 16, 2, 4, 16, 64, 2, 8],
      area: 931.523012,
      cycles: 2_381_743,
      expected: [56788.876, 7886564.767, 338813174.603, 20800833.43, 1013.301, 2565.138, 8646863.606, 5664840.122],
    },
    {
      accelerator: [4, 32, 32, 512, 64, 16, 64, 4, 32, 128, 8, 4],
      area: 12237.460775,
      cycles: 801_145,
      expected: [80311.598, 5066557.62, 169539379.294, 10408569.243, 30722.394, 4431.872, 731303.346, 239550.242],
    },
    {
      accelerator: [1, 16, 16, 128, 64, 1, 64, 4, 64, 64, 8, 4],
      area: 852.661503,
      cycles: 89_180_993,
      expected: [113577.751, 5066557.62, 699060228.329, 43691329.424, 2026.601, 2565.138, 8646863.606, 2832420.061],
    },
  ])('$accelerator', ({ accelerator, area, cycles, expected }) => {
    const result = simulate(decodeAccelerator(accelerator), transformer);
    const { buffer, mainMemory, macLanes, softmax, layerNorm, sparsity, others } = result.energy;
    expect(result.areaSquareMillimetres).toBeCloseTo(area, 6);
    expect(result.cycles).toBe(cycles);
    expectAll([buffer, mainMemory, ...macLanes, softmax[0], layerNorm[0], sparsity[0], others[0]], expected);
  });

  test('embeddings that exceed the weight buffer are told in bits', () => {
    const config = decodeAccelerator([4, 16, 16, 256, 128, 16, 32, 32, 64, 16, 8, 6]);
    const wide = { ...transformer, layers: transformer.layers.toReversed() };
    expect(wide.layers[0]!.hidden).toBe(512);
    const operations = publishedOperations(wide, { batch: 32, tokens: 128 }, 'inference');
    const { demandBits, boundBits } = embeddingDemand(config, operations);
    expect(demandBits).toBe(512 * 30650 * 10);
    expect(boundBits).toBe(16 * 2 ** 20 * 8);
    expect(demandBits).toBeGreaterThan(boundBits);
  });
});

describe('the published quirks, one at a time', () => {
  const op = (kind: ComputeOperation['kind'], rest: Partial<ComputeOperation> = {}): ComputeOperation => ({
    kind,
    name: 'layer0_x',
    left: [1, 16, 16],
    requires: [],
    backward: false,
    ...rest,
  });
  /** One lane of 16 multipliers, one softmax unit, one layer norm unit. */
  const one: ElectorConfig = { ...edge, pes: 1, lanesPerPe: 1, softmaxPerPe: 1 };
  const cycles = (compute: PublishedOperations['compute'], memory: PublishedOperations['memory'] = []) => {
    const empty = { kind: 'load', name: 'e', dims: [0, 0, 0], buffer: 'weight', overwrite: false } as const;
    return publishedFast(one, { memory: [{ ...empty, pinned: true }, ...memory], compute }).cycles;
  };

  test('the inner dimension is cut twice: an inner size of two tiles costs four times as much', () => {
    const matmul = (inner: number) => cycles([op('matmul', { left: [1, 16, inner], right: [1, inner, 16] })]);
    // 16 · 16 · 16 multiplications on 16 multipliers, half of them with zeros
    expect(matmul(16)).toBe(128);
    expect(matmul(32)).toBe(4 * 128);
  });

  test('a convolution with a kernel beyond the tile gives time back', () => {
    expect(cycles([op('conv', { kernel: 5 })])).toBe(Math.ceil((16 * 11) / 16 / 2));
    expect(cycles([op('conv', { kernel: 128 })])).toBe(Math.ceil((16 * -112) / 16 / 2));
  });

  test('a non-linearity takes the tile count of the norm before it, not its own', () => {
    const norm = op('layer-norm', { left: [1, 64, 64] });
    const alone = cycles([norm]);
    expect(cycles([norm, op('non-linearity', { left: [1, 512, 512] })]) - alone).toBe(16);
  });

  test('a head’s product starts while its own softmax still runs', () => {
    const softmax = op('softmax', { left: [1, 16, 16] });
    const matmul = op('matmul', { left: [1, 16, 16], right: [1, 16, 16] });
    // the softmax takes 16 cycles, the product behind it 128: they should take 144
    expect(cycles([{ heads: [[softmax, matmul]] }])).toBe(128 + 16);
    // a second product waits for the lanes, and then does not wait for the softmax of the same head
    const long = op('softmax', { left: [1, 256, 256] });
    expect(cycles([{ heads: [[matmul, long, matmul], [matmul]] }])).toBe(128 + 256 * 16);
  });

  test('gradients are as sparse as the double 1 − 0.9 says', () => {
    const matmul = op('matmul', { left: [1, 160, 16], right: [1, 16, 16], backward: true });
    expect(cycles([matmul])).toBe(Math.ceil(((10 * 4096) / 16) * (1 - 0.9)));
  });
});
