import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LightEmbedding, largest } from '../../../src/runtime/decoding/light-embedding.js';
import { confidence, confidencePolicy, fixedDepths } from '../../../src/runtime/decoding/policies.js';
import { Sequence } from '../../../src/runtime/decoding/sequence.js';
import { step } from '../../../src/runtime/decoding/step.js';
import { config, sessionsWith, weights } from './decoder.js';

const { layers, hidden, vocabulary } = config;
const sessions = await sessionsWith(1);
const words = weights('embedding.word.weight', [vocabulary, hidden]).data as Float32Array;

describe('the largest values', () => {
  it('are those that sorting puts first, equal ones in their order', () => {
    const few = fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(few, fc.integer({ min: 1, max: 70 }), (values, count) => {
        const sorted = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
        const expected = sorted.slice(0, count).sort((a, b) => a - b);
        expect([...largest(Float32Array.from(values), count)]).toEqual(expected);
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});

describe('the light output embedding', () => {
  const state = Float32Array.from({ length: hidden }, (_, i) => Math.sin(3 * i + 1));

  it('computes the exact logits of its candidates', async () => {
    const { ids, logits } = new LightEmbedding(words, hidden, 9).choices(state);
    const all = await sessions.logits(state);
    expect(ids).toHaveLength(9);
    for (const [i, id] of ids!.entries()) expect(logits[i]).toBeCloseTo(all[id]!, 4);
  });

  it('takes every word where there are no more than candidates', () => {
    expect(new LightEmbedding(words, hidden, 1000).choices(state).ids).toHaveLength(vocabulary);
  });

  it('finds the word whose weights all have the signs of the state', () => {
    const rows = new Float32Array(20 * hidden).map((_, i) => Math.cos(7 * i));
    rows.set(state.map(Math.sign), 13 * hidden);
    expect([...new LightEmbedding(rows, hidden, 1).choices(state).ids!]).toEqual([13]);
  });
});

describe('confidence', () => {
  it('is the lead of the likeliest token over the next, or its probability', () => {
    const logits = Float32Array.from([0.2, 0.5, 0.3], Math.log);
    expect(confidence(logits, 'gap')).toBeCloseTo(0.2, 6);
    expect(confidence(logits, 'probability')).toBeCloseTo(0.5, 6);
    expect(confidence(Float32Array.of(1, 1), 'gap')).toBe(0);
    expect(confidence(Float32Array.of(3), 'gap')).toBe(1);
  });
});

describe('stopping by confidence', () => {
  const light = new LightEmbedding(words, hidden, vocabulary);
  const exitWith = async (thresholds: (number | undefined)[]) => {
    const policy = confidencePolicy(sessions, light, { thresholds, measure: 'gap' });
    return step(sessions, [new Sequence([1, 2, 3], config)], { policy });
  };

  it('stops at the first layer that is checked when nothing is asked for, and nowhere without checks', async () => {
    expect((await exitWith([undefined, 0, 0])).exits).toEqual([2]);
    expect((await exitWith([])).exits).toEqual([layers]);
  });

  it('lets the token that stops choose from the candidates, with the logits of its layer', async () => {
    const { choices } = await exitWith([undefined, 0]);
    const forced = await step(sessions, [new Sequence([1, 2, 3], config)], { policy: fixedDepths(() => 2) });
    for (const [i, id] of choices[0]!.ids!.entries()) {
      expect(choices[0]!.logits[i]).toBeCloseTo(forced.choices[0]!.logits[id]!, 4);
    }
  });

  it.each([-0.1, 1.01, Number.NaN])('refuses the threshold %d', (threshold) => {
    expect(() => confidencePolicy(sessions, light, { thresholds: [0.5, threshold], measure: 'gap' })).toThrow(
      expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', place: 'threshold after layer 2' }),
    );
  });
});
