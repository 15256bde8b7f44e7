import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TandemError } from '../../../src/errors.js';
import {
  DESIGN_SPACE_SIZE,
  decodeAccelerator,
  EMBEDDING,
  encodeAccelerator,
} from '../../../src/simulator/elector/embedding.js';
import { preset } from './presets.js';

const embeddings = fc
  .tuple(...EMBEDDING.map(({ values }) => fc.constantFrom(...values)))
  .map((numbers) => numbers.map((value, position) => (position === 2 ? numbers[1]! : value)));
const FIRST = EMBEDDING.map(({ values }) => values[0]!);

function error(action: () => unknown): TandemError {
  try {
    action();
  } catch (cause) {
    if (cause instanceof TandemError) return cause;
  }
  throw new Error('no coded error');
}

describe('the embedding of accelerators', () => {
  test('spans the published number of machines', () => {
    // tile b · tile edge · non-linearity · PEs · lanes · multipliers · softmax · batch · three buffers · memory
    expect(DESIGN_SPACE_SIZE).toBe(2 * 3 * 2 * 5 * 5 * 2 * 6 * 3 * 5 * 5 * 5 * 11);
    expect(DESIGN_SPACE_SIZE).toBe(14_850_000);
  });

  test('comes back from every machine that it decodes to', () => {
    fc.assert(
      fc.property(embeddings, (numbers) => {
        expect(encodeAccelerator(decodeAccelerator(numbers))).toEqual(numbers);
      }),
    );
  });

  test('decodes to what the numbers say, and to fixed values for the rest', () => {
    expect(decodeAccelerator([4, 16, 16, 1024, 32, 16, 2, 4, 16, 64, 2, 8])).toEqual({
      technology: { nodeNanometres: 14, voltage: 0.8, clockHertz: 700e6 },
      mode: 'cycle',
      phase: 'inference',
      tile: { b: 4, x: 16, y: 16 },
      nonLinearity: 'gelu',
      pes: 1024,
      lanesPerPe: 32,
      macsPerLane: 16,
      softmaxPerPe: 2,
      batch: 4,
      buffers: { activationMegabytes: 16, weightMegabytes: 64, maskMegabytes: 2 },
      memory: 'dram-32-2-1',
      loopOrder: 'bijk',
      schedulerBatch: 256,
      sparsity: { activation: 0.5, weight: 0.5, gradient: 0.9 },
      sparsityModules: true,
      powerGating: true,
      mainMemory: { model: 'bandwidth', preset: 'ddr4-3200' },
    });
    expect(decodeAccelerator(FIRST, { mode: 'published-fast', phase: 'training' })).toMatchObject({
      mode: 'published-fast',
      phase: 'training',
    });
  });

  test('names the position of every number that is not allowed, and what is', () => {
    for (const [position, { name, values }] of EMBEDDING.entries()) {
      for (const wrong of [7, -1, 2.5, Number.NaN, '4', null].filter((value) => !values.includes(value as number))) {
        const { code, message, place, remedy } = error(() =>
          decodeAccelerator(FIRST.with(position, wrong as number), {}, 'pairs.jsonl:3'),
        );
        expect(code).toBe('TANDEM_CONFIG_INVALID');
        expect(message).toContain(`Number ${position} of the accelerator, ${name},`);
        expect(place).toBe('pairs.jsonl:3');
        expect(remedy).toContain(values.join(', '));
      }
    }
  });

  test.each([
    ['too few numbers', FIRST.slice(1), /12 numbers, not 11/],
    ['too many', [...FIRST, 1], /12 numbers, not 13/],
    ['an oblong tile', FIRST.with(1, 16), /differ: 16 and 8/],
  ])('refuses %s', (_what, numbers, message) => {
    expect(error(() => decodeAccelerator(numbers)).message).toMatch(message);
  });

  test('is not given to machines that the numbers cannot say', () => {
    const edge = preset('elector-edge');
    expect(error(() => encodeAccelerator(edge)).message).toContain('schedulerBatch = 8');
    expect(error(() => encodeAccelerator({ ...edge, pes: 100 })).message).toContain('Number 3');
    const fitting = { ...edge, schedulerBatch: 16 };
    expect(encodeAccelerator(fitting)).toEqual([1, 16, 16, 64, 16, 16, 4, 4, 4, 8, 1, 8]);
    expect(error(() => encodeAccelerator({ ...fitting, nonLinearity: 'relu' })).place).toBe('nonLinearity');
  });
});
