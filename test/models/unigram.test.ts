import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { UnigramTokenizer } from '../../src/models/unigram.js';
import { readUseLiteTokenizer } from '../../src/models/use-lite.js';
import { GOLDENS } from './goldens.js';

const vocabulary = [
  ['<unknown>', 0],
  ['▁', -2],
  ['a', -3],
  ['b', -3.5],
  ['ab', -4],
  ['ba', -5],
  ['▁a', -3.2],
  ['▁ab', -7],
  ['aba', -6.3],
] as const;
const tokenizer = new UnigramTokenizer(vocabulary, 1);
const pieceOf = (id: number) => vocabulary[id]![0];

/** Every way to write a word as pieces, with its score. */
function segmentations(word: string): { ids: number[]; score: number }[] {
  if (word === '') return [{ ids: [], score: 0 }];
  return vocabulary.flatMap(([piece, score], id) =>
    id > 0 && word.startsWith(piece)
      ? segmentations(word.slice(piece.length)).map((rest) => ({
          ids: [id, ...rest.ids],
          score: score + rest.score,
        }))
      : [],
  );
}

describe('a unigram tokenizer', () => {
  it('finds a segmentation of the largest total score', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 9 }), (word) => {
        const ids = tokenizer.encode(word, 100);
        expect(ids.map(pieceOf).join('')).toBe(`▁${word}`);
        const score = ids.reduce((sum, id) => sum + vocabulary[id]![1], 0);
        expect(score).toBeCloseTo(Math.max(...segmentations(`▁${word}`).map((way) => way.score)), 9);
      }),
    );
  });

  it('gives, for fewer tokens, a prefix of the ids of the whole text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'x', '\u00a0') }), fc.nat(20), (text, most) => {
        expect(tokenizer.encode(text, most)).toEqual(tokenizer.encode(text, 1000).slice(0, most));
      }),
    );
  });

  it('turns a run of unknown characters into one id 0', () => {
    expect(tokenizer.encode('axya', 10).map(pieceOf)).toEqual(['▁a', '<unknown>', 'a']);
  });

  it('decodes what it encodes, where all characters are known', () => {
    expect(tokenizer.decode(tokenizer.encode('ab ba  a', 100))).toBe('ab ba  a');
    expect(tokenizer.encode('', 10)).toEqual([]);
  });
});

describe('the tokenizer of Universal Sentence Encoder Lite', () => {
  it('gives the original’s ids', async () => {
    const original = await readUseLiteTokenizer();
    expect(original.vocabularySize).toBe(8000);
    for (const { text, ids } of GOLDENS) expect(original.encode(text, Infinity), text).toEqual(ids);
  });

  it('reads long texts only as far as needed', async () => {
    const original = await readUseLiteTokenizer();
    // Every word that is read is normalised.
    const normalised = vi.spyOn(String.prototype, 'normalize');
    onTestFinished(() => normalised.mockRestore());
    expect(original.encode('the quick brown fox '.repeat(200_000), 128)).toHaveLength(128);
    expect(normalised.mock.calls.length).toBeLessThanOrEqual(128);
  });
});
