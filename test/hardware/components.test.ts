import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adderTreeLevels } from '../../src/hardware/components/adder-tree.js';
import * as components from '../../src/hardware/components/index.js';
import type { ComponentCost, Technology } from '../../src/hardware/types.js';

const { adder, adderTree, bitSerialMultiplier, comparator, divider, dram, exponentUnit, fifo, lookupTable, mac } =
  components;
const { multiplier, register, sram } = components;

/** Where Horowitz gives his energies. */
const AT_45: Technology = { nodeNanometres: 45, voltage: 0.9, clockHertz: 1e9 };
/** Where the Aladdin library gives its areas. */
const AT_40: Technology = { nodeNanometres: 40, voltage: 0.9, clockHertz: 1e9 };

const every: Record<string, (technology: Technology) => ComponentCost> = {
  adder: (t) => adder.cost({ bits: 16 }, t),
  'adder tree': (t) => adderTree.cost({ inputs: 64, bits: 14 }, t),
  multiplier: (t) => multiplier.cost({ aBits: 12, bBits: 12 }, t),
  'bit-serial multiplier': (t) => bitSerialMultiplier.cost({ aBits: 12, bitsPerCycle: 2 }, t),
  register: (t) => register.cost({ bits: 12 }, t),
  mac: (t) => mac.cost({ aBits: 16, bBits: 16, accumulatorBits: 40 }, t),
  SRAM: (t) => sram.cost({ bytes: 49152, wordBits: 768 }, t),
  'look-up table': (t) => lookupTable.cost({ entries: 256, wordBits: 16 }, t),
  comparator: (t) => comparator.cost({ bits: 30 }, t),
  FIFO: (t) => fifo.cost({ depth: 8, wordBits: 21 }, t),
  divider: (t) => divider.cost({ bits: 16 }, t),
  'exponent unit': (t) => exponentUnit.cost({ bits: 16 }, t),
};

describe.each(Object.entries(every))('%s', (_name, cost) => {
  test('has positive energies, area and leakage, and says where they come from', () => {
    const result = cost(AT_45);
    for (const energy of Object.values(result.energyPicojoules)) expect(energy).toBeGreaterThan(0);
    expect(result.areaSquareMicrometres).toBeGreaterThan(0);
    expect(result.leakageMilliwatts).toBeGreaterThan(0);
    expect(result.constants.length).toBeGreaterThan(0);
    for (const constant of result.constants) expect(constant.source).not.toBe('');
    expect(new Set(result.constants.map(({ name }) => name)).size).toBe(result.constants.length);
    expect(result.interval[0]).toBeLessThan(1);
    expect(result.interval[1]).toBeGreaterThan(1);
  });

  test('shrinks with the node', () => {
    const [large, small] = [cost({ ...AT_45, nodeNanometres: 65, voltage: 1 }), cost({ ...AT_45, nodeNanometres: 16 })];
    expect(small.areaSquareMicrometres).toBeLessThan(large.areaSquareMicrometres);
    for (const [action, energy] of Object.entries(small.energyPicojoules)) {
      expect(energy).toBeLessThan(large.energyPicojoules[action]!);
    }
  });

  test('is less certain away from the nodes of its sources', () => {
    expect(cost({ ...AT_45, nodeNanometres: 16 }).interval[1]).toBeGreaterThanOrEqual(cost(AT_45).interval[1]);
  });
});

describe('published points', () => {
  test.each([
    [8, 0.03],
    [32, 0.1],
  ])('a %i-bit addition costs %f pJ (Horowitz)', (bits, picojoules) => {
    expect(adder.cost({ bits }, AT_45).energyPicojoules.add).toBeCloseTo(picojoules, 12);
  });

  test.each([
    [8, 0.2],
    [32, 3.1],
  ])('a %i-bit multiplication costs %f pJ within 2 %% (Horowitz)', (bits, picojoules) => {
    const energy = multiplier.cost({ aBits: bits, bBits: bits }, AT_45).energyPicojoules.multiply!;
    expect(Math.abs(energy / picojoules - 1)).toBeLessThan(0.02);
  });

  test.each([
    [8, 10],
    [32, 20],
    [1024, 100],
  ])('reading 64 bits from %i KB costs %f pJ within 9 %% (Horowitz)', (kilobytes, picojoules) => {
    const energy = sram.cost({ bytes: kilobytes * 1024, wordBits: 64 }, AT_45).energyPicojoules.read!;
    expect(Math.abs(energy / picojoules - 1)).toBeLessThan(0.09);
  });

  // CACTI results published with Bit Fusion: 45 nm, 32-bit words, one read and one write port.
  test.each([
    [512, 1.06097],
    [1024, 1.13324],
    [4096, 3.42953],
    [8192, 6.39163],
    [16384, 9.9817],
  ])('reading 32 bits from %i bytes agrees with CACTI’s %f pJ within a factor of 2.2', (bytes, picojoules) => {
    const energy = sram.cost({ bytes, wordBits: 32 }, AT_45).energyPicojoules.read!;
    expect(Math.abs(Math.log2(energy / picojoules))).toBeLessThan(Math.log2(2.2));
  });

  test('SRAM density lies between two published CACTI results: 179 and 409 F² per bit', () => {
    const area = sram.cost({ bytes: 1024, wordBits: 64 }, AT_45).areaSquareMicrometres;
    const squaredFeatures = area / 8192 / 0.045 ** 2;
    expect(squaredFeatures).toBeGreaterThan(179);
    expect(squaredFeatures).toBeLessThan(409);
  });

  test('areas of the library’s 32-bit units come back at its own node (Aladdin, 40 nm)', () => {
    expect(adder.cost({ bits: 32 }, AT_40).areaSquareMicrometres).toBeCloseTo(179.443, 3);
    expect(multiplier.cost({ aBits: 32, bBits: 32 }, AT_40).areaSquareMicrometres).toBeCloseTo(5137.736, 2);
    expect(register.cost({ bits: 1 }, AT_40).areaSquareMicrometres).toBeCloseTo(5.981433, 6);
    expect(register.cost({ bits: 1 }, AT_40).leakageMilliwatts).toBeCloseTo(7.395312e-5, 10);
  });

  test('HBM2 moves a bit for 3.92 pJ at any node of the chip beside it', () => {
    expect(dram.cost({ type: 'hbm2' }, AT_45).energyPicojoules).toEqual({ read: 3.92, write: 3.92 });
    expect(dram.cost({ type: 'hbm2' }, { ...AT_45, nodeNanometres: 7 }).energyPicojoules.read).toBe(3.92);
  });
});

describe('laws of composition', () => {
  test('six steps of 12 × 2 bits cost what one 12 × 12 multiplication does', () => {
    const step = bitSerialMultiplier.cost({ aBits: 12, bitsPerCycle: 2 }, AT_45);
    const whole = multiplier.cost({ aBits: 12, bBits: 12 }, AT_45);
    expect(6 * step.energyPicojoules.step!).toBeCloseTo(whole.energyPicojoules.multiply!, 12);
    expect(6 * step.areaSquareMicrometres).toBeCloseTo(whole.areaSquareMicrometres, 9);
  });

  test('a word read from six slices costs what the undivided word does', () => {
    const whole = sram.cost({ bytes: 49152, wordBits: 768 }, AT_45).energyPicojoules.read!;
    const slice = sram.cost({ bytes: 8192, wordBits: 128 }, AT_45).energyPicojoules.read!;
    expect(6 * slice).toBeCloseTo(whole, 9);
  });

  test('a tree over n inputs has n − 1 adders, and grows a bit per level', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 300 }), fc.integer({ min: 1, max: 40 }), (inputs, bits) => {
        const levels = adderTreeLevels(inputs, bits);
        expect(levels.reduce((total, level) => total + level.adders, 0)).toBe(inputs - 1);
        expect(levels).toHaveLength(Math.ceil(Math.log2(inputs)));
        expect(levels.map((level) => level.bits)).toEqual(levels.map((_, index) => bits + index));
      }),
    );
  });

  test('more bits, bytes or depth never cost less', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), fc.integer({ min: 0, max: 64 }), (size, more) => {
        const grows = (cost: (n: number) => ComponentCost) => {
          const [small, large] = [cost(size), cost(size + more)];
          expect(large.areaSquareMicrometres).toBeGreaterThanOrEqual(small.areaSquareMicrometres);
          for (const [action, energy] of Object.entries(small.energyPicojoules)) {
            expect(large.energyPicojoules[action]).toBeGreaterThanOrEqual(energy * (1 - 1e-12));
          }
        };
        grows((bits) => adder.cost({ bits }, AT_45));
        grows((bits) => multiplier.cost({ aBits: bits, bBits: 8 }, AT_45));
        grows((bits) => register.cost({ bits }, AT_45));
        grows((bits) => divider.cost({ bits }, AT_45));
        grows((inputs) => adderTree.cost({ inputs, bits: 8 }, AT_45));
        grows((kilobytes) => sram.cost({ bytes: kilobytes * 1024, wordBits: 64 }, AT_45));
        grows((bits) => sram.cost({ bytes: 4096, wordBits: bits }, AT_45));
        grows((depth) => fifo.cost({ depth, wordBits: 8 }, AT_45));
      }),
    );
  });

  test('a size that is not a positive number is refused', () => {
    expect(() => adder.cost({ bits: 0 }, AT_45)).toThrow(/bits = 0/);
    expect(() => sram.cost({ bytes: -1, wordBits: 64 }, AT_45)).toThrow(/bytes = -1/);
    expect(() => fifo.cost({ depth: Number.NaN, wordBits: 8 }, AT_45)).toThrow(/NaN/);
  });
});
