import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LightScores } from '../../src/runtime/kernels/light-embedding.js';
import { LARGEST, lightScoresReference, quantised } from '../../src/runtime/kernels/light-embedding-reference.js';

const float = fc.float({ min: -4, max: 4, noNaN: true });
const floats = (length: number) =>
  fc.array(float, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));
const integers = (length: number) =>
  fc
    .array(fc.oneof(fc.integer({ min: -LARGEST, max: LARGEST }), fc.constantFrom(-LARGEST, LARGEST)), {
      minLength: length,
      maxLength: length,
    })
    .map((values) => Int16Array.from(values));

describe('scores under the signs of the output embedding', () => {
  it('are those of the plain sum, whatever the sizes', () => {
    const problem = fc
      .record({ vocabulary: fc.integer({ min: 1, max: 40 }), hidden: fc.integer({ min: 1, max: 40 }) })
      .chain(({ vocabulary, hidden }) => fc.tuple(floats(vocabulary * hidden), integers(hidden)));
    fc.assert(
      fc.property(problem, ([words, values]) => {
        expect(new LightScores(words, values.length).of(values)).toEqual(lightScoresReference(words, values));
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  it('do not overflow where all values are largest, in as many dimensions as GPT-2 XL has', () => {
    const hidden = 1600;
    const words = new Float32Array(17 * hidden).fill(1).fill(-1, 16 * hidden);
    const scores = new LightScores(words, hidden).of(new Int16Array(hidden).fill(LARGEST));
    expect([...scores]).toEqual([...Array(16).fill(hidden * LARGEST), -hidden * LARGEST]);
    expect([...new LightScores(words, hidden).of(new Int16Array(hidden).fill(-LARGEST))]).toEqual([
      ...Array(16).fill(-hidden * LARGEST),
      hidden * LARGEST,
    ]);
  });

  it('count a weight of 0 as positive, and keep nothing of an earlier state', () => {
    const scores = new LightScores(Float32Array.of(0, -0, 2, -2), 2);
    scores.of(Int16Array.of(5, 7));
    expect([...scores.of(Int16Array.of(3, 1))]).toEqual([0, 2 * 2]);
  });

  it('see states to 14 bits', () => {
    const { values, step } = quantised(Float32Array.of(0.5, -1, 0.25));
    expect([...values]).toEqual([4096, -8191, 2048]);
    expect(step).toBeCloseTo(1 / 8191, 12);
    expect(quantised(new Float32Array(2))).toEqual({ values: new Int16Array(2), step: 0 });
  });
});
