/** Quantiles of Student's t against printed tables. */
import { describe, expect, it } from 'vitest';
import { studentQuantile, studentWithin } from '../src/student.js';

describe('Student’s t', () => {
  // Any printed table of the distribution.
  it.each([
    [0.95, 1, 6.314],
    [0.975, 1, 12.706],
    [0.975, 2, 4.303],
    [0.975, 3, 3.182],
    [0.95, 7, 1.895],
    [0.975, 10, 2.228],
    [0.995, 4, 4.604],
    [0.9, 25, 1.316],
    [0.975, 30, 2.042],
    [0.975, 1000, 1.962],
  ])('has its %d quantile at %i degrees of freedom at %d', (probability, degrees, quantile) => {
    expect(studentQuantile(probability, degrees)).toBeCloseTo(quantile, 3);
  });

  it('is Cauchy’s with one degree of freedom, and has closed forms with two', () => {
    for (const t of [0, 0.3, 2, 50]) {
      expect(studentWithin(t, 1)).toBeCloseTo((2 / Math.PI) * Math.atan(t), 12);
      expect(studentWithin(t, 2)).toBeCloseTo(t / Math.sqrt(2 + t * t), 12);
    }
  });

  it('has its median at 0', () => {
    expect(studentQuantile(0.5, 6)).toBeCloseTo(0, 12);
  });
});
