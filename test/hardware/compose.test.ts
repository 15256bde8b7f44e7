import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adder, dram, register, sram } from '../../src/hardware/components/index.js';
import { Composition } from '../../src/hardware/compose.js';
import type { ComponentCost, Technology } from '../../src/hardware/types.js';

const technology: Technology = { nodeNanometres: 65, voltage: 1, clockHertz: 800e6 };
const round: ComponentCost = {
  energyPicojoules: { act: 3, rest: 1 },
  areaSquareMicrometres: 100,
  leakageMilliwatts: 0.5,
  constants: [],
  interval: [0.5, 2],
};

describe('a composition', () => {
  test('sums area over instances', () => {
    const { squareMicrometres, interval, shares } = new Composition(technology)
      .add('few', round, 2)
      .add('many', { ...round, interval: [1, 1] }, 10)
      .area();
    expect(squareMicrometres).toBe(1200);
    expect(shares.map((share) => share.squareMicrometres)).toEqual([200, 1000]);
    expect(interval[0]).toBeCloseTo(100 + 1000, 9);
    expect(interval[1]).toBeCloseTo(400 + 1000, 9);
  });

  test('prices actions, and leaks for as long as the run takes', () => {
    const bill = new Composition(technology).add('part', round, 4).energy({ part: { act: 10, rest: 5 } }, 800);
    // 4 × 0.5 mW for one microsecond are 2 nJ.
    expect(bill.shares[0]).toMatchObject({ dynamicPicojoules: 35 });
    expect(bill.shares[0]!.leakagePicojoules).toBeCloseTo(2000, 9);
    expect(bill.picojoules).toBeCloseTo(2035, 9);
    expect(bill.interval[0]).toBeCloseTo(2035 / 2, 9);
    expect(bill.interval[1]).toBeCloseTo(2035 * 2, 9);
  });

  test('what is gated leaks only while it works', () => {
    const composition = new Composition(technology).add('gated', round, 4).add('on', round, 2).gate('gated', 'act');
    const bill = composition.energy({ gated: { act: 400, rest: 7 } }, 800);
    // 0.5 mW over a cycle of 1.25 ns are 0.625 pJ.
    expect(composition.leakageOf('gated', 'act')).toBeCloseTo(0.625, 9);
    expect([composition.leakageOf('gated', 'rest'), composition.leakageOf('on', 'act')]).toEqual([0, 0]);
    expect(composition.leakageMilliwatts).toBe(1);
    expect(bill.shares.map(({ dynamicPicojoules }) => dynamicPicojoules)).toEqual([1207, 0]);
    expect(bill.shares[0]!.leakagePicojoules).toBeCloseTo(250, 9);
    expect(bill.shares[1]!.leakagePicojoules).toBeCloseTo(1000, 9);
    expect(() => composition.gate('gated', 'nap')).toThrow('no action "nap"');
  });

  test('shares sum to the total and intervals contain it, whatever happened', () => {
    const composition = new Composition(technology)
      .add('adders', adder.cost({ bits: 16 }, technology), 64)
      .add('buffer', sram.cost({ bytes: 4096, wordBits: 64 }, technology))
      .add('memory', dram.cost({ type: 'ddr4' }, technology));
    const times = fc.integer({ min: 0, max: 1e9 });
    fc.assert(
      fc.property(times, times, times, times, (adds, reads, bits, cycles) => {
        const bill = composition.energy(
          { adders: { add: adds }, buffer: { read: reads }, memory: { write: bits } },
          cycles,
        );
        const shared = bill.shares.reduce((total, one) => total + one.dynamicPicojoules + one.leakagePicojoules, 0);
        expect(Math.abs(shared - bill.picojoules)).toBeLessThanOrEqual(1e-9 * bill.picojoules);
        expect(bill.interval[0]).toBeLessThanOrEqual(bill.picojoules * (1 + 1e-9));
        expect(bill.interval[1]).toBeGreaterThanOrEqual(bill.picojoules * (1 - 1e-9));
        expect(bill.checks).toHaveLength(1);
      }),
    );
  });

  test('lists each constant once', () => {
    const { constants } = new Composition(technology)
      .add('narrow', register.cost({ bits: 8 }, technology))
      .add('wide', register.cost({ bits: 64 }, technology));
    expect(constants.map(({ name }) => name)).toEqual([...new Set(constants.map(({ name }) => name))]);
  });

  test('refuses a component named twice, one that does not exist, an unknown action and a negative count', () => {
    const composition = new Composition(technology).add('part', round);
    expect(() => composition.add('part', round)).toThrow(/twice/);
    expect(() => composition.energy({ other: { act: 1 } }, 1)).toThrow(/no component "other"/);
    expect(() => composition.energy({ part: { fly: 1 } }, 1)).toThrow(/no action "fly"/);
    expect(() => composition.energy({ part: { act: -1 } }, 1)).toThrow(/-1 times/);
  });
});
