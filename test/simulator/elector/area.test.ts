import { describe, expect, test } from 'vitest';
import type { TandemError } from '../../../src/errors.js';
import { areaSquareMillimetres, electorComposition } from '../../../src/simulator/elector/area.js';
import { laneCost, memoryCost, softmaxCost } from '../../../src/simulator/elector/constants.js';
import { preset } from './presets.js';

const edge = preset('elector-edge');

describe('the area of ELECTOR', () => {
  test.each([
    ['elector-edge', 'inference', 54.06426665],
    ['elector-edge-lp', 'inference', 54.06426665],
    ['elector-edge', 'training', 54.14520737],
    ['elector-server', 'inference', 1829.696317],
  ] as const)('%s for %s is the published simulator’s', (name, phase, expected) => {
    const area = areaSquareMillimetres({ ...preset(name), phase });
    expect(Math.abs(area / expected - 1)).toBeLessThan(1e-9);
  });

  test('grows by the same amount with each PE', () => {
    const area = (pes: number) => areaSquareMillimetres({ ...edge, pes });
    expect(area(3) - area(2)).toBeCloseTo(area(2) - area(1), 9);
    expect(area(65) - area(64)).toBeCloseTo(area(2) - area(1), 9);
  });

  test('sums its modules, and the softmax units of an edge PE are its largest part', () => {
    const { shares, squareMicrometres } = electorComposition(edge).area();
    expect(shares.reduce((sum, share) => sum + share.squareMicrometres, 0)).toBeCloseTo(squareMicrometres, 3);
    const pe = shares.filter(({ component }) => !component.endsWith('buffer'));
    const total = pe.reduce((sum, share) => sum + share.squareMicrometres, 0);
    const percent = (...parts: string[]) =>
      (100 / total) *
      pe.filter((one) => parts.includes(one.component)).reduce((sum, one) => sum + one.squareMicrometres, 0);
    expect(percent('softmax')).toBeCloseTo(44.7, 0);
    expect(percent('MAC lanes')).toBeCloseTo(19.2, 1);
    expect(percent('pre-compute sparsity', 'post-compute sparsity')).toBeCloseTo(15.1, 1);
    expect(percent('layer norm')).toBeCloseTo(10.3, 0);
    expect(percent('dataflow', 'FIFOs', 'DMA')).toBeCloseTo(10.7, 1);
  });

  test('every number of it says where it is from', () => {
    for (const { name, source, certainty } of electorComposition(edge).constants) {
      expect(name).toMatch(/^elector\./);
      expect(source).toContain('AccelTran');
      expect(['published', 'derived']).toContain(certainty);
    }
  });
});

describe('costs that nobody published', () => {
  const error = (action: () => unknown) => {
    try {
      action();
    } catch (cause) {
      return cause as TandemError;
    }
    throw new Error('nothing was thrown');
  };
  test.each([
    ['a tile edge', () => softmaxCost({ tile: { b: 1, x: 12, y: 12 } }), 'tile', /8, 16, 32/],
    ['an oblong tile', () => softmaxCost({ tile: { b: 1, x: 8, y: 16 } }), 'tile', /equal x and y/],
    ['a lane', () => laneCost({ macsPerLane: 4, nonLinearity: 'relu' }), 'macsPerLane', /1 or 16/],
    [
      'a technology',
      () => areaSquareMillimetres({ ...edge, technology: { ...edge.technology, voltage: 0.7 } }),
      'technology.voltage',
      /14 nm, 0.8 V and 700 MHz/,
    ],
  ])('%s: an error that says which are known', (_what, action, place, remedy) => {
    const { code, ...details } = error(action);
    expect(code).toBe('TANDEM_CONFIG_INVALID');
    expect(details.place).toBe(place);
    expect(details.remedy).toMatch(remedy);
  });
});

test('DRAM has a tenth of the bandwidth of memories on the chip', () => {
  const bits = (name: Parameters<typeof memoryCost>[0]) => memoryCost(name).publishedBitsPerCycle.value;
  expect(bits('rram-16-2-2')).toBeCloseTo(10 * bits('dram-16-2-2'), 2);
  expect(bits('hbm-32-1-4')).toBe(bits('rram-1-2-32'));
  // 25.6 GB/s of 2^30 bytes, 20 bits each, at 700 MHz
  expect(bits('dram-32-2-1')).toBeCloseTo((25.6 * 2 ** 30 * 20) / 700e6, 3);
});
