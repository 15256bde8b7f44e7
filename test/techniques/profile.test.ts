/** Thresholds looked up in measured curves. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseProfile, type SparsityProfile, thresholdFor } from '../../src/techniques/profile.js';

const profileOf = (
  points: readonly (readonly [parameter: number, sparsity: number, accuracy: number])[],
): SparsityProfile => ({
  tandemProfile: 1,
  rule: 'dynatran',
  parameter: 'τ',
  model: { name: 'bert', sha256: 'ab' },
  data: { name: 'tsv', split: 'validation', examples: 10, sha256: 'cd' },
  points: points.map(([parameter, sparsity, accuracy]) => ({
    parameter,
    sparsity,
    accuracy,
    matrices: [{ layer: 0, matrix: 'query', zeros: 3, elements: 10 }],
  })),
});

const PROFILE = profileOf([
  [0, 0.1, 0.9],
  [0.01, 0.3, 0.91],
  [0.02, 0.5, 0.88],
  [0.03, 0.7, 0.9],
]);

const shares = (most: number) => fc.integer({ min: 0, max: 1000 }).map((thousandth) => (thousandth / 1000) * most);
/** Curves with noise: neither sparsity nor accuracy need be monotone. */
const profiles = fc
  .array(fc.tuple(shares(1), shares(1)), { minLength: 1, maxLength: 8 })
  .map((points) => profileOf(points.map(([sparsity, accuracy], i) => [i / 100, sparsity, accuracy])));

/** ρ made non-decreasing, between points linear. */
function sparsityAt({ points }: SparsityProfile, threshold: number): number {
  const monotone = points.map((_, i) => Math.max(...points.slice(0, i + 1).map(({ sparsity }) => sparsity)));
  const next = points.findIndex(({ parameter }) => parameter >= threshold);
  if (next <= 0) return monotone[0]!;
  const [a, b] = [points[next - 1]!.parameter, points[next]!.parameter];
  return monotone[next - 1]! + ((threshold - a) / (b - a)) * (monotone[next]! - monotone[next - 1]!);
}

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
  test('is the largest measured one below which all keep it', () => {
    expect(thresholdFor(PROFILE, { accuracyLoss: 0 })).toBe(0.01); // 0.03 keeps it too, but 0.02 does not
    expect(thresholdFor(PROFILE, { accuracyLoss: 0.02 })).toBe(0.03);
  });

  test('keeps the accuracy at every measured threshold up to it', () => {
    fc.assert(
      fc.property(profiles, shares(0.5), (profile, accuracyLoss) => {
        const threshold = thresholdFor(profile, { accuracyLoss });
        const enough = profile.points[0]!.accuracy - accuracyLoss - 1e-9;
        const kept = profile.points.filter(({ parameter }) => parameter <= threshold);
        expect(kept.every(({ accuracy }) => accuracy >= enough)).toBe(true);
        const next = profile.points[kept.length];
        expect(next === undefined || next.accuracy < enough + 2e-9).toBe(true);
      }),
      { seed: 2 },
    );
  });

  test('needs the accuracy without pruning', () => {
    const late = { ...PROFILE, points: PROFILE.points.slice(1) };
    const refused = expect.objectContaining({ code: 'TANDEM_TARGET_UNREACHABLE' });
    expect(() => thresholdFor(late, { accuracyLoss: 0.1 })).toThrow(refused);
    expect(() => thresholdFor(PROFILE, { accuracyLoss: -0.1 })).toThrow(refused);
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
