/** Thresholds of early exit, chosen offline on a profile. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  calibrate,
  checkedLayers,
  exitsAt,
  fullQuality,
  NO_CHECK,
  qualityOf,
  withFullChecks,
} from '../../src/techniques/toex-calibration.js';
import type { ExitProfile } from '../../src/techniques/toex-profile.js';

/** Few different confidences, so that ties occur; likelihoods that mostly rise with depth. */
const profiles = fc
  .tuple(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 1, max: 40 }))
  .chain(([layers, tokens]) => {
    const of = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: layers * tokens, maxLength: layers * tokens });
    return fc.record({
      layers: fc.constant(layers),
      tokens: fc.constant(tokens),
      confidence: of(fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8)).map((v) => Float32Array.from(v)),
      likelihood: of(fc.double({ min: -6, max: -0.1, noNaN: true })).map((v) => Float32Array.from(v)),
      token: of(fc.integer({ min: 0, max: 2 })).map((v) => Int32Array.from(v)),
      fullToken: of(fc.integer({ min: 0, max: 2 })).map((v) => Int32Array.from(v)),
    });
  })
  .map((profile): ExitProfile => ({ ...profile, fullConfidence: profile.confidence }));

const budgets = fc.record({
  measure: fc.constantFrom('perplexity' as const, 'agreement' as const),
  loss: fc.constantFrom(0.01, 0.1, 0.5),
  confidence: fc.constantFrom(0.5, 0.95),
});

describe('exits', () => {
  it('are the first layer whose confidence reaches its threshold, else the last', () => {
    const profile = {
      layers: 3,
      tokens: 3,
      confidence: Float32Array.of(0.5, 0.9, 0, 0.4, 0.9, 0, 0.4, 0.7, 1),
    } as unknown as ExitProfile;
    expect([...exitsAt(profile, [0.5, 0.8])]).toEqual([1, 2, 3]);
    expect([...exitsAt(profile, [NO_CHECK, NO_CHECK])]).toEqual([3, 3, 3]);
  });

  it('of all tokens at the last layer lose nothing', () => {
    fc.assert(
      fc.property(profiles, (profile) => {
        expect(fullQuality(profile)).toMatchObject({ agreement: 1, meanDecoders: profile.layers });
      }),
    );
  });
});

describe('calibrated thresholds', () => {
  it('keep the budget where they were chosen, and are never dearer than one threshold for all', () => {
    fc.assert(
      fc.property(profiles, budgets, fc.constantFrom(0, 0.3), (profile, budget, checkCost) => {
        const { quality, uniform } = calibrate(profile, { checks: 'all', budget, checkCost, blockTokens: 4 });
        const full = fullQuality(profile);
        // Float32 losses are summed: the last digits may differ.
        if (budget.measure === 'perplexity')
          expect(quality.perplexity).toBeLessThanOrEqual(full.perplexity * (1 + budget.loss) * (1 + 1e-5));
        else expect(quality.agreement).toBeGreaterThanOrEqual(1 - budget.loss - 1e-9);
        if (checkCost === 0) expect(quality.meanDecoders).toBeLessThanOrEqual(uniform.quality.meanDecoders + 1e-9);
      }),
    );
  });

  it('check nowhere else than allowed', () => {
    fc.assert(
      fc.property(profiles, budgets, (profile, budget) => {
        const { thresholds } = calibrate(profile, { checks: [1], budget, checkCost: 0, blockTokens: 4 });
        expect(thresholds).toHaveLength(profile.layers - 1);
        expect(thresholds.slice(1).every((threshold) => threshold === NO_CHECK)).toBe(true);
      }),
    );
  });

  it('differ between layers where confidence means another thing there', () => {
    // Leaving loses nothing after layer 1 with confidence 1, but much with 0.9; after layer 2 nothing with 0.5.
    const tokens = 12;
    const rows = Array.from({ length: tokens }, (_, token) =>
      token % 3 === 0 ? [1, 1, 1] : token % 3 === 1 ? [0.9, 0.5, 1] : [0.25, 0.25, 1],
    );
    const likelihoods = Array.from({ length: tokens }, (_, token) =>
      token % 3 === 0 ? [-1, -1, -1] : token % 3 === 1 ? [-3, -1, -1] : [-3, -3, -1],
    );
    const zeros = new Int32Array(3 * tokens);
    const profile: ExitProfile = {
      layers: 3,
      tokens,
      confidence: Float32Array.from(rows.flat()),
      fullConfidence: Float32Array.from(rows.flat()),
      likelihood: Float32Array.from(likelihoods.flat()),
      token: zeros,
      fullToken: zeros,
    };
    const budget = { measure: 'perplexity', loss: 0.01, confidence: 0.95 } as const;
    const found = calibrate(profile, { checks: 'all', budget, checkCost: 0, blockTokens: 4 });
    expect(found.thresholds).toEqual([1, 0.5]);
    expect(found.quality.meanDecoders).toBe(2);
    expect(found.uniform.quality.meanDecoders).toBeCloseTo(7 / 3, 9);
  });

  it('stand beside the first layer after which all tokens may leave', () => {
    fc.assert(
      fc.property(profiles, budgets, (profile, budget) => {
        const request = {
          checks: 'all',
          budget: { ...budget, confidence: 0.5 },
          checkCost: 0,
          blockTokens: 4,
        } as const;
        const { fixed } = calibrate(profile, request);
        expect(fixed.quality.meanDecoders).toBe(fixed.layer);
        const full = fullQuality(profile);
        const keeps = (layer: number) => {
          const { perplexity, agreement } = qualityOf(profile, new Uint16Array(profile.tokens).fill(layer));
          return budget.measure === 'perplexity'
            ? perplexity <= full.perplexity * (1 + budget.loss) * (1 + 1e-6)
            : agreement >= 1 - budget.loss - 1e-9;
        };
        expect(keeps(fixed.layer)).toBe(true);
        for (let layer = 1; layer < fixed.layer; layer++) expect(keeps(layer)).toBe(false);
      }),
    );
  });

  it('leave out a check that costs more than it saves', () => {
    fc.assert(
      fc.property(profiles, budgets, (profile, budget) => {
        const { thresholds } = calibrate(profile, { checks: 'all', budget, checkCost: 100, blockTokens: 4 });
        expect(thresholds.every((threshold) => threshold === NO_CHECK)).toBe(true);
      }),
    );
  });
});

describe('quality', () => {
  it('counts each token with what its exit says', () => {
    const profile: ExitProfile = {
      layers: 2,
      tokens: 2,
      confidence: new Float32Array(4),
      fullConfidence: new Float32Array(4),
      likelihood: Float32Array.of(-2, -1, -3, -0.5),
      token: Int32Array.of(7, 8, 5, 6),
      fullToken: Int32Array.of(8, 8, 6, 6),
    };
    const quality = qualityOf(profile, Uint16Array.of(1, 2));
    expect(quality).toEqual({ perplexity: Math.exp(2.5 / 2), agreement: 0.5, meanDecoders: 1.5 });
    expect(qualityOf(withFullChecks(profile), Uint16Array.of(1, 2)).agreement).toBe(1);
  });
});

describe('checked layers', () => {
  it('are all before the last, or those named, once each', () => {
    expect(checkedLayers('all', 4)).toEqual([1, 2, 3]);
    expect(checkedLayers([3, 1, 3], 4)).toEqual([1, 3]);
  });

  it('beyond the decoder are refused', () => {
    expect(() => checkedLayers([2, 4], 4)).toThrow(expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID' }));
  });
});
