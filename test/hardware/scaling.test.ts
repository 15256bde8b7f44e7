import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { areaFactor, energyFactor, leakageScale, scaleArea, scaleEnergy } from '../../src/hardware/scaling.js';

const nodes = fc.integer({ min: 7, max: 130 });
const corners = fc.record({ nodeNanometres: nodes, voltage: fc.double({ min: 0.85, max: 1.3, noNaN: true }) });

describe('technology scaling', () => {
  // The authors print this example, with these values, in the erratum to their section 4.2.1.
  test('reproduces the worked example of Stillmaker and Baas: 1 pJ at 65 nm, 1.3 V is 0.1755 pJ (they cut digits) at 32 nm, 0.9 V', () => {
    const scaled = scaleEnergy(1, { nodeNanometres: 65, voltage: 1.3 }, { nodeNanometres: 32, voltage: 0.9 });
    expect(scaled).toBeCloseTo(0.1755, 3);
  });

  // Their area table, target node first.
  test.each([
    [180, 130, 0.34],
    [130, 90, 0.44],
    [90, 65, 0.53],
    [65, 45, 0.66],
    [65, 32, 0.31],
    [45, 32, 0.46],
    [32, 20, 0.46],
    [20, 16, 0.89],
    [16, 14, 0.91],
    [65, 14, 0.12],
    [45, 7, 0.059],
    [10, 7, 0.58],
  ])('area from %i nm to %i nm is within 8 %% of the printed factor %f', (from, to, printed) => {
    const factor = areaFactor(to) / areaFactor(from);
    expect(factor / printed).toBeGreaterThan(0.92);
    expect(factor / printed).toBeLessThan(1.08);
  });

  test('scaling to the same corner changes nothing, and there and back is the identity', () => {
    fc.assert(
      fc.property(corners, corners, fc.double({ min: 0.001, max: 1000, noNaN: true }), (a, b, value) => {
        expect(scaleEnergy(value, a, a)).toBeCloseTo(value, 9);
        expect(scaleEnergy(scaleEnergy(value, a, b), b, a) / value).toBeCloseTo(1, 12);
        expect(scaleArea(scaleArea(value, a, b), b, a) / value).toBeCloseTo(1, 12);
      }),
    );
  });

  test('scaling in two steps is scaling in one', () => {
    fc.assert(
      fc.property(corners, corners, corners, (a, b, c) => {
        expect(scaleEnergy(scaleEnergy(1, a, b), b, c) / scaleEnergy(1, a, c)).toBeCloseTo(1, 12);
        expect(scaleArea(scaleArea(1, a, b), b, c) / scaleArea(1, a, c)).toBeCloseTo(1, 12);
      }),
    );
  });

  test('a smaller node never costs more area or energy', () => {
    fc.assert(
      fc.property(nodes, nodes, fc.double({ min: 0.85, max: 1.3, noNaN: true }), (one, other, voltage) => {
        const [small, large] = one < other ? [one, other] : [other, one];
        expect(areaFactor(small)).toBeLessThanOrEqual(areaFactor(large));
        expect(energyFactor({ nodeNanometres: small, voltage })).toBeLessThanOrEqual(
          energyFactor({ nodeNanometres: large, voltage }),
        );
      }),
    );
  });

  test('a higher voltage never costs less energy', () => {
    fc.assert(
      fc.property(
        nodes,
        fc.double({ min: 0.8, max: 2, noNaN: true }),
        fc.double({ min: 0.8, max: 2, noNaN: true }),
        (nodeNanometres, a, b) => {
          const low = energyFactor({ nodeNanometres, voltage: Math.min(a, b) });
          const high = energyFactor({ nodeNanometres, voltage: Math.max(a, b) });
          // Voltages a last digit apart differ by less than rounding.
          expect(low).toBeLessThanOrEqual(high * (1 + 1e-12));
        },
      ),
    );
  });

  test('leakage follows area and voltage', () => {
    const from = { nodeNanometres: 40, voltage: 0.9 };
    expect(leakageScale(from, { nodeNanometres: 40, voltage: 1.8 }).value).toBeCloseTo(2, 12);
    expect(leakageScale(from, { nodeNanometres: 65, voltage: 0.9 }).value).toBeCloseTo(
      areaFactor(65) / areaFactor(40),
      12,
    );
  });

  test('outside the table the answer is an error that says what is allowed', () => {
    expect(() => areaFactor(5)).toThrow(/5 nm/);
    expect(() => areaFactor(250)).toThrow(/250 nm/);
    expect(() => energyFactor({ nodeNanometres: 65, voltage: 0.4 })).toThrow(/0\.4 V/);
    expect(() => energyFactor({ nodeNanometres: 180, voltage: 0.7 })).toThrow(/0\.7 V/);
  });
});
