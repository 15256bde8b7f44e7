import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../src/data/splits.js';
import type { Example } from '../../src/data/types.js';

const facts = { name: 'sample', classes: ['a', 'b', 'c'], source: 'sample.tsv', licence: 'none' };
const examples = (counts: readonly number[]): Example[] =>
  counts.flatMap((count, label) => Array.from({ length: count }, (_, i) => ({ text: `text ${label} ${i}`, label })));
const texts = (part: readonly Example[]) => part.map(({ text }) => text);

describe('assembling a data set', () => {
  it('cuts 20 % of every class for the test and 10 % of the rest for validation', () => {
    const set = assemble(facts, { train: examples([100, 50, 0]) }, { seed: 1, sizes: {} });
    const count = (part: readonly Example[], label: number) => part.filter((example) => example.label === label).length;
    expect([count(set.test, 0), count(set.test, 1)]).toEqual([20, 10]);
    expect([count(set.validation, 0), count(set.validation, 1)]).toEqual([8, 4]);
    expect([count(set.train, 0), count(set.train, 1)]).toEqual([72, 36]);
  });

  it('holds more of the training examples out for validation when more are asked for, but never more than half', () => {
    const all = examples([90, 30]);
    const load = (validation: number) => assemble(facts, { train: all }, { seed: 1, sizes: { validation } });
    const { train, validation, test } = load(40);
    // 24 are the test's; of the other 96, 41 are held out, since classes are rounded, and 40 of these taken.
    expect([train.length + validation.length, validation.length, test.length]).toEqual([95, 40, 24]);
    expect(() => load(49)).toThrow('has 48 validation examples; 49 were asked for');
  });

  it('puts every text into exactly one split, whatever the classes and the seed', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { minLength: 2, maxLength: 3 }), fc.integer(), (counts, seed) => {
        fc.pre(counts.filter((count) => count > 0).length >= 2);
        const all = examples(counts);
        const { train, validation, test } = assemble(facts, { train: all }, { seed, sizes: {} });
        expect(texts([...train, ...validation, ...test]).sort()).toEqual(texts(all).sort());
      }),
    );
  });

  it('gives prefixes for smaller sizes, and the same splits for the same seed', () => {
    const load = (seed: number, sizes = {}) => assemble(facts, { train: examples([200, 100, 30]) }, { seed, sizes });
    const full = load(7);
    const small = load(7, { train: 20, validation: 5, test: 10 });
    expect(small.train).toEqual(full.train.slice(0, 20));
    expect(small.validation).toEqual(full.validation.slice(0, 5));
    expect(small.test).toEqual(full.test.slice(0, 10));
    expect(load(7).sha256).toEqual(full.sha256);
    expect(small.sha256.train).not.toBe(full.sha256.train);
    expect(texts(load(8).test).sort()).not.toEqual(texts(full.test).sort());
  });

  it('mixes the classes of every prefix in proportion, to within one example of each class', () => {
    const { train } = assemble(facts, { train: examples([400, 200, 100]) }, { seed: 3, sizes: {} });
    const share = [4 / 7, 2 / 7, 1 / 7];
    for (let length = 1; length <= train.length; length++) {
      const prefix = train.slice(0, length);
      share.forEach((part, label) => {
        const count = prefix.filter((example) => example.label === label).length;
        expect(Math.abs(count - part * length)).toBeLessThan(2.5);
      });
    }
  });

  it('keeps the source’s own splits and cuts only what is missing', () => {
    const test = [{ text: 'held out', label: 0 }];
    const set = assemble(facts, { train: examples([10, 10, 0]), test }, { seed: 1, sizes: {} });
    expect(set.test).toEqual(test);
    expect([set.train.length, set.validation.length]).toEqual([18, 2]);
  });

  it('drops empty, repeated, contradicting and shared texts, and counts them', () => {
    const train = [
      { text: 'Good  film', label: 1 },
      { text: 'good film ', label: 1 },
      { text: 'so so', label: 0 },
      { text: 'SO SO', label: 1 },
      { text: ' \n ', label: 0 },
      { text: 'in the test', label: 0 },
      { text: 'bad film', label: 0 },
    ];
    const test = [{ text: 'In the test', label: 0 }];
    const set = assemble(facts, { train, test, validation: [] }, { seed: 1, sizes: {} });
    expect(texts(set.train).sort()).toEqual(['Good film', 'bad film']);
    expect(set.remarks).toEqual([
      '1 empty texts dropped',
      '1 repeated texts dropped',
      '2 texts dropped that occur with different labels',
      '1 training or validation texts dropped that a later split holds too',
    ]);
  });

  it('hashes label and text of the examples in order', async () => {
    const { createHash } = await import('node:crypto');
    const set = assemble(facts, { train: examples([5, 5, 0]) }, { seed: 1, sizes: { train: 2 } });
    const bytes = set.train.map(({ text, label }) => `${label}\t${text}\n`).join('');
    expect(set.sha256.train).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('refuses a single class, and sizes beyond what there is', () => {
    expect(() => assemble(facts, { train: examples([5, 0, 0]) }, { seed: 1, sizes: {} })).toThrowError(
      expect.objectContaining({ code: 'TANDEM_DATA_INVALID', message: expect.stringContaining('"a"') }),
    );
    expect(() => assemble(facts, { train: examples([5, 5, 0]) }, { seed: 1, sizes: { test: 3 } })).toThrowError(
      expect.objectContaining({ code: 'TANDEM_CONFIG_INVALID', remedy: expect.stringContaining('at most 2') }),
    );
  });
});
