import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bitSerialScore } from '../../src/simulator/leopard-reference.js';
import { headStops, KEPT, referenceStops, STEPS } from '../../src/simulator/leopard-stops.js';
import type { AttentionHeadRecord } from '../../src/trace/types.js';

const FORMAT = { bits: 12, bitsPerStep: 2 };

describe('a bit-serial score', () => {
  // Worked by hand from the rule; unseen bits after each step: 1023, 255, 63, 15, 3, 0.
  it.each([
    {
      q: [5, -3, 2047, 0],
      k: [7, 9, -100, 3],
      threshold: 0,
      bounds: [5115, 1275, -130693],
      kept: false,
      score: -204692,
    },
    {
      q: [100, -200, 300, -400],
      k: [50, -60, 70, -80],
      threshold: 60000,
      bounds: [1023000, 255000, 107800, 80600, 72200, 70000],
      kept: true,
      score: 70000,
    },
    {
      q: [100, -200, 300, -400],
      k: [-50, 60, 70, 80],
      threshold: 0,
      bounds: [306900, 76500, 12500, -22700],
      kept: false,
      score: -28000,
    },
  ])('of $q and $k against $threshold stops after $bounds.length steps', ({ q, k, threshold, bounds, kept, score }) => {
    const result = bitSerialScore(q, k, threshold, FORMAT);
    expect(result).toMatchObject({ steps: bounds.length, kept, score, upperBounds: bounds });
  });

  const width = fc.integer({ min: 2, max: 16 });
  const scored = fc.record({ bits: width, bitsPerStep: fc.integer({ min: 1, max: 17 }) }).chain((format) => {
    const value = fc.integer({ min: -(2 ** (format.bits - 1)) + 1, max: 2 ** (format.bits - 1) - 1 });
    return fc.record({
      format: fc.constant(format),
      pairs: fc.array(fc.tuple(value, value), { maxLength: 12 }),
      offset: fc.integer({ min: -3, max: 3 }),
    });
  });

  it('is bounded from both sides, ever more tightly, and known after the last step', () => {
    fc.assert(
      fc.property(scored, ({ format, pairs }) => {
        const [q, k] = [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
        const { upperBounds, lowerBounds, score, steps } = bitSerialScore(q, k, -Infinity, format);
        expect(steps).toBe(Math.ceil(format.bits / format.bitsPerStep));
        for (let step = 0; step < steps; step++) {
          expect(upperBounds[step]!).toBeGreaterThanOrEqual(score);
          expect(lowerBounds[step]!).toBeLessThanOrEqual(score);
          if (step === 0) continue;
          expect(upperBounds[step]!).toBeLessThanOrEqual(upperBounds[step - 1]!);
          expect(lowerBounds[step]!).toBeGreaterThanOrEqual(lowerBounds[step - 1]!);
        }
        expect([upperBounds.at(-1), lowerBounds.at(-1)].map((bound) => bound! + 0)).toEqual([score + 0, score + 0]);
      }),
    );
  });

  it('is kept exactly when it reaches the threshold, after all steps', () => {
    fc.assert(
      fc.property(scored, ({ format, pairs, offset }) => {
        const [q, k] = [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
        const score = pairs.reduce((sum, [a, b]) => sum + a * b, 0);
        const result = bitSerialScore(q, k, score + offset, format);
        expect(result.kept).toBe(offset <= 0);
        if (result.kept) expect(result.steps).toBe(Math.ceil(format.bits / format.bitsPerStep));
      }),
    );
  });
});

/** Records whose values are random, extreme or nearly aligned, with thresholds at, above and below actual scores. */
const head: fc.Arbitrary<AttentionHeadRecord> = fc
  .record({
    bits: fc.integer({ min: 2, max: 16 }),
    queries: fc.integer({ min: 1, max: 6 }),
    keys: fc.integer({ min: 1, max: 9 }),
    headDim: fc.constantFrom(1, 7, 8, 32, 33, 64, 128, 200),
    causal: fc.boolean(),
    style: fc.constantFrom('any', 'extreme', 'small'),
    pick: fc.nat(1000),
    offset: fc.constantFrom(-Infinity, -1, -0.5, 0, 0.5, 1, 1e5, Infinity),
    seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  })
  .map(({ bits, queries, keys, headDim, causal, style, pick, offset, seed }) => {
    const largest = 2 ** (bits - 1) - 1;
    let state = seed;
    const value = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const unit = (state / 2 ** 31 - 1) * (style === 'small' ? 0.05 : 1);
      return style === 'extreme' ? (unit < -0.3 ? -largest : unit > 0.3 ? largest : 0) : Math.round(unit * largest);
    };
    const q = Int16Array.from({ length: queries * headDim }, value);
    const k = Int16Array.from({ length: keys * headDim }, value);
    const score = Array.from(
      { length: headDim },
      (_, i) => q[(pick % queries) * headDim + i]! * k[(pick % keys) * headDim + i]!,
    );
    return {
      kind: 'attention-head',
      sequence: 0,
      layer: 0,
      head: 0,
      queries,
      keys,
      paddedLength: queries,
      headDim,
      valueDim: headDim,
      bits,
      valueBits: 16,
      queryStep: 1,
      keyStep: 1,
      threshold: score.reduce((sum, one) => sum + one, 0) + offset,
      causal,
      q,
      k,
      survivors: new Uint8Array(Math.ceil((queries * keys) / 8)),
    };
  });

describe('the stops of a head', () => {
  it('equal the definition, rescued rows included', () => {
    fc.assert(
      fc.property(head, fc.integer({ min: 1, max: 16 }), (record, bitsPerStep) => {
        const expected = referenceStops(record, { bits: record.bits, bitsPerStep });
        const actual = headStops(record, bitsPerStep);
        expect(actual.rescues).toEqual(expected.rescues);
        for (let query = 0; query < record.queries; query++) {
          const visible = record.causal ? Math.min(record.keys, query + 1) : record.keys;
          const row = (stops: Uint8Array) => [...stops.subarray(query * record.keys, query * record.keys + visible)];
          expect(row(actual.stops)).toEqual(row(expected.stops));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('find the first largest score of a row that has no survivor', () => {
    fc.assert(
      fc.property(head, (record) => {
        const { rescues } = headStops({ ...record, threshold: Infinity }, 2);
        expect(rescues.map(({ query }) => query)).toEqual(Array.from({ length: record.queries }, (_, query) => query));
        for (const { query, key, stops } of rescues) {
          const scores = Array.from(stops, (_, j) => {
            let sum = 0;
            for (let i = 0; i < record.headDim; i++)
              sum += record.q[query * record.headDim + i]! * record.k[j * record.headDim + i]!;
            return sum;
          });
          expect(key).toBe(scores.indexOf(Math.max(...scores)));
          expect(stops[key]! & KEPT).toBe(KEPT);
        }
      }),
    );
  });

  it('never drop a score that reaches the threshold, and run every kept one to the end', () => {
    fc.assert(
      fc.property(head, (record) => {
        const { stops } = headStops({ ...record, causal: false }, 2);
        stops.forEach((stop, at) => {
          const [query, key] = [Math.floor(at / record.keys), at % record.keys];
          let score = 0;
          for (let i = 0; i < record.headDim; i++)
            score += record.q[query * record.headDim + i]! * record.k[key * record.headDim + i]!;
          expect((stop & KEPT) !== 0).toBe(score >= record.threshold);
          if (stop & KEPT) expect(stop & STEPS).toBe(Math.ceil(record.bits / 2));
        });
      }),
    );
  });

  it('refuse values that the width cannot hold', () => {
    const [record] = fc.sample(head, { numRuns: 1, seed: 1 });
    const wide = { ...record!, bits: 12, q: record!.q.slice().fill(-2048) };
    expect(() => headStops(wide, 2)).toThrow(expect.objectContaining({ code: 'TANDEM_TRACE_INCONSISTENT' }));
  });
});
