/** Thresholds looked up in measured curves. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  accuracyAt,
  parseProfile,
  type SparsityProfile,
  sparsityAt,
  thresholdFor,
} from '../../src/techniques/profile.js';

const profileOf = (
  points: readonly (readonly [parameter: number, sparsity: number, accuracy: number, changed: number])[],
): SparsityProfile => ({
  tandemProfile: 1,
  rule: 'dynatran',
  parameter: 'τ',
  model: { name: 'bert', sha256: 'ab' },
  data: { name: 'tsv', split: 'validation', examples: 10, sha256: 'cd' },
  points: points.map(([parameter, sparsity, accuracy, changed]) => ({
    parameter,
    sparsity,
    accuracy,
    changed,
    matrices: [{ layer: 0, matrix: 'query', zeros: 3, elements: 10 }],
  })),
});

const PROFILE = profileOf([
  [0, 0.1, 0.9, 0],
  [0.01, 0.3, 0.91, 0.01],
  [0.02, 0.5, 0.88, 0.04],
  [0.03, 0.7, 0.9, 0.02],
]);

const shares = (most: number) => fc.integer({ min: 0, max: 1000 }).map((thousandth) => (thousandth / 1000) * most);
/**
 * Curves with noise: nothing need be monotone. Of 100 predictions, first 50 right ones and 50 wrong ones, some change at
 * each point: a right one that changes is lost, a wrong one may be gained.
 */
const profiles = fc
  .array(fc.tuple(shares(1), fc.nat(50), fc.nat(50), fc.nat(50)), { minLength: 1, maxLength: 8 })
  .map((points) =>
    profileOf(
      points.map(([sparsity, lost, gained, otherWrong], i) => {
        const [down, up, still] = i === 0 ? [0, 0, 0] : [lost, gained, Math.min(otherWrong, 50 - gained)];
        return [i / 100, sparsity, (50 - down + up) / 100, (down + up + still) / 100];
      }),
    ),
  );

describe('for a sparsity', () => {
  test('lies between the measured points', () => {
    expect(thresholdFor(PROFILE, { sparsity: 0.1 })).toBe(0);
    expect(thresholdFor(PROFILE, { sparsity: 0.3 })).toBe(0.01);
    expect(thresholdFor(PROFILE, { sparsity: 0.4 })).toBeCloseTo(0.015, 12);
    expect(thresholdFor(PROFILE, { sparsity: 0.7 })).toBe(0.03);
  });

  test('gives that sparsity on the curve, and grows with it', () => {
    fc.assert(
      fc.property(profiles, shares(1), shares(1), (profile, a, b) => {
        const all = profile.points.map(({ sparsity }) => sparsity);
        const inRange = (share: number) => all[0]! + share * (Math.max(...all) - all[0]!);
        const [less, more] = [Math.min(a, b), Math.max(a, b)].map(inRange);
        const threshold = thresholdFor(profile, { sparsity: less! });
        expect(sparsityAt(profile, threshold)).toBeCloseTo(less!, 9);
        expect(thresholdFor(profile, { sparsity: more! })).toBeGreaterThanOrEqual(threshold);
      }),
      { seed: 1 },
    );
  });

  test.each([0.05, 0.71])('refuses %d, which was not measured, and says what was', (sparsity) => {
    const wanted = { code: 'TANDEM_TARGET_UNREACHABLE', remedy: expect.stringContaining('10.00 % (τ = 0) to 70.00 %') };
    expect(() => thresholdFor(PROFILE, { sparsity })).toThrow(expect.objectContaining(wanted));
  });
});

describe('for a loss of accuracy', () => {
  test('is the largest measured one up to which no more predictions change', () => {
    expect(thresholdFor(PROFILE, { accuracyLoss: 0 })).toBe(0); // 0.01 loses nothing, but changes predictions
    expect(thresholdFor(PROFILE, { accuracyLoss: 0.01 })).toBe(0.01);
    expect(thresholdFor(PROFILE, { accuracyLoss: 0.02 })).toBe(0.01); // 0.03 changes no more, but 0.02 does
    expect(thresholdFor(PROFILE, { accuracyLoss: 0.04 })).toBe(0.03);
  });

  test('keeps the accuracy at every measured threshold up to it', () => {
    fc.assert(
      fc.property(profiles, shares(0.5), (profile, accuracyLoss) => {
        const threshold = thresholdFor(profile, { accuracyLoss });
        const enough = profile.points[0]!.accuracy - accuracyLoss - 1e-9;
        const kept = profile.points.filter(({ parameter }) => parameter <= threshold);
        expect(kept.every(({ accuracy }) => accuracy >= enough)).toBe(true);
        expect(kept.every(({ changed }) => changed <= accuracyLoss + 1e-9)).toBe(true);
        const next = profile.points[kept.length];
        expect(next === undefined || next.changed > accuracyLoss).toBe(true);
      }),
      { seed: 2 },
    );
  });

  test('is not misled by right and wrong predictions that change alike', () => {
    const lucky = profileOf([
      [0, 0, 0.9, 0],
      [0.01, 0.4, 0.9, 0.3],
    ]);
    expect(thresholdFor(lucky, { accuracyLoss: 0.005 })).toBe(0);
  });

  test('needs the accuracy without pruning', () => {
    const late = { ...PROFILE, points: PROFILE.points.slice(1) };
    const refused = expect.objectContaining({ code: 'TANDEM_TARGET_UNREACHABLE' });
    expect(() => thresholdFor(late, { accuracyLoss: 0.1 })).toThrow(refused);
    expect(() => thresholdFor(PROFILE, { accuracyLoss: -0.1 })).toThrow(refused);
  });
});

describe('what to expect at a threshold', () => {
  test('lies between the measured points', () => {
    expect(sparsityAt(PROFILE, 0.015)).toBeCloseTo(0.4, 12);
    expect(accuracyAt(PROFILE, 0.015)).toBeCloseTo(0.895, 12);
    expect([0, 0.03].map((threshold) => sparsityAt(PROFILE, threshold))).toEqual([0.1, 0.7]);
    expect([0, 0.03].map((threshold) => accuracyAt(PROFILE, threshold))).toEqual([0.9, 0.9]);
  });

  test('zeros do not fall, whatever noise there is in the measurement', () => {
    const noisy = profileOf([
      [0, 0.3, 0.9, 0],
      [0.01, 0.2, 0.9, 0],
      [0.02, 0.5, 0.9, 0],
    ]);
    expect([0, 0.01, 0.02].map((threshold) => sparsityAt(noisy, threshold))).toEqual([0.3, 0.3, 0.5]);
    expect(sparsityAt(noisy, 0.015)).toBeCloseTo(0.4, 12);
  });

  test.each([-0.001, 0.031])('is not known at %d, beyond what was measured', (threshold) => {
    const refused = { code: 'TANDEM_TARGET_UNREACHABLE', remedy: expect.stringContaining('0 to 0.03') };
    expect(() => sparsityAt(PROFILE, threshold)).toThrow(expect.objectContaining(refused));
    expect(() => accuracyAt(PROFILE, threshold)).toThrow(expect.objectContaining(refused));
  });
});

describe('a profile as a file', () => {
  test('comes back as it was', () => {
    expect(parseProfile(JSON.stringify(PROFILE), 'profile.json')).toEqual(PROFILE);
  });

  test.each([
    ['no JSON', '{', 'TANDEM_CONFIG_SYNTAX'],
    ['another file', '{"tandem":1}', 'TANDEM_CONFIG_INVALID'],
    [
      'points out of order',
      JSON.stringify({ ...PROFILE, points: [...PROFILE.points].reverse() }),
      'TANDEM_CONFIG_INVALID',
    ],
  ])('is refused: %s', (_, text, code) => {
    expect(() => parseProfile(text, 'profile.json')).toThrow(expect.objectContaining({ code, place: 'profile.json' }));
  });
});
