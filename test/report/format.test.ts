import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as format from '../../src/report/format.js';

/** Spaces that do not break are told apart by sight nowhere, so the expectations write them as "_" and "'". */
const visible = (text: string) => text.replaceAll('\u00a0', '_').replaceAll('\u202f', "'");

describe('numbers for people', () => {
  it('count points, one or several', () => {
    expect([0.01, 0.00534, -0.002].map(format.countOfPoints)).toEqual(['1 point', '0.534 points', '−0.2 points']);
  });

  it.each([
    [1.2e-6, 's', '1.20_µs'],
    [0.1474, 's', '147_ms'],
    [204, 's', '204_s'],
    [800e6, 'Hz', '800_MHz'],
    [999.96, 'B', '1.00_kB'],
    [1e-9, 's', '1.00_ns'],
    [0, 's', '0_s'],
    [3e15, 'Hz', '3000_THz'],
    [2e-18, 'J', '0.00200_fJ'],
  ])('writes %d %s as %s', (value, unit, text) => {
    expect(visible(format.quantity(value, unit))).toBe(text);
  });

  it('gives energies and areas the unit that suits their size', () => {
    expect(visible(format.energy(0.42))).toBe('420_fJ');
    expect(visible(format.energy(65.4e6))).toBe('65.4_µJ');
    expect(visible(format.area(1_394_000))).toBe('1.39_mm²');
    expect(visible(format.area(61_000))).toBe("61'000_µm²");
  });

  it('keeps both ends of an interval in the unit of its value', () => {
    expect(visible(format.interval([0.9e6, 1.2e6], format.energyScale(1.1e6)))).toBe('0.900–1.20_µJ');
  });

  it('writes counts exactly below a million and with a prefix above', () => {
    expect(visible(format.count(999_999))).toBe("999'999");
    expect(visible(format.count(8000))).toBe('8000');
    expect(visible(format.count(48_312_093))).toBe('48.31_M');
  });

  it('signs differences of shares and uses a real minus', () => {
    expect(visible(format.points(-0.003))).toBe('\u22120.30_points');
    expect(visible(format.points(0.012))).toBe('+1.20_points');
    expect(visible(format.points(1e-9))).toBe('±0.00_points');
    expect([0.009, -0.5, -1e-9].map((relative) => visible(format.change(relative)))).toEqual([
      '+0.90_%',
      '\u221250.00_%',
      '±0.00_%',
    ]);
  });

  it('says what is not a number', () => {
    expect(format.significant(Number.NaN)).toBe('n/a');
    expect(format.significant(Number.NEGATIVE_INFINITY)).toBe('\u2212∞');
    expect(format.percent(Number.NaN)).toBe('n/a');
    expect(format.change(Number.POSITIVE_INFINITY)).toBe('n/a');
  });

  it('never changes a value by more than half of its last digit', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-14, max: 1e14, noNaN: true }), (value) => {
        const text = visible(format.quantity(value, 'J')).replaceAll("'", '');
        const [, number, prefix] = /^([\d.]+)_?(.?)J$/.exec(text)!;
        const power = { T: 12, G: 9, M: 6, k: 3, '': 0, m: -3, µ: -6, n: -9, p: -12, f: -15 }[prefix!]!;
        expect(Math.abs(Number(number) * 10 ** power - value)).toBeLessThanOrEqual(value * 0.00501);
        expect(Number(number)).toBeLessThan(1000);
      }),
    );
  });

  it("computes Wilson's interval", () => {
    // From the closed form: p = 0.5, n = 100 gives (0.5 + 1.92073/100 ± 1.96·√(0.0025 + 0.9604/10000)) / 1.0384146.
    const [low, high] = format.shareInterval(0.5, 100);
    expect(low).toBeCloseTo(0.4038, 4);
    expect(high).toBeCloseTo(0.5962, 4);
    expect(format.shareInterval(1, 50)[1]).toBeCloseTo(1, 12);
  });
});
