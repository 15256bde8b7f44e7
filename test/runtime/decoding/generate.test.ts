import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GeneratedToken, type GenerateOptions, generate } from '../../../src/runtime/decoding/generate.js';
import { fixedDepths } from '../../../src/runtime/decoding/policies.js';
import { choose, seededRandom } from '../../../src/runtime/decoding/sampling.js';
import { config, sessionsWith } from './decoder.js';

const { layers, context, vocabulary } = config;
const sessions = await sessionsWith(1);
const greedy = { tokens: 6, sampling: { temperature: 0 }, seed: 1 };
const sampled = { tokens: 9, sampling: { temperature: 1, topK: 20, topP: 0.95 }, seed: 4 };

async function tokensOf(prompts: readonly number[][], options: GenerateOptions): Promise<GeneratedToken[]> {
  const all: GeneratedToken[] = [];
  for await (const { tokens } of generate(sessions, prompts, options)) all.push(...tokens);
  return all;
}

const ids = (tokens: readonly GeneratedToken[], of = 0) =>
  tokens.filter(({ sequence }) => sequence === of).map(({ id }) => id);

describe('generating', () => {
  it('goes on as greedily as asking again for the whole text after every token', async () => {
    const prompt = [3, 1, 4];
    const generated = ids(await tokensOf([prompt], greedy));
    for (let count = 0; count < generated.length; count++) {
      const again = await tokensOf([[...prompt, ...generated.slice(0, count)]], { ...greedy, tokens: 1 });
      expect(ids(again)).toEqual([generated[count]]);
    }
  });

  it('gives a prompt of a batch what it would get alone, sampled and with tokens that stop early', async () => {
    const policy = fixedDepths((_, token) => 1 + (token % layers));
    const prompts = [[1], [5, 6, 7, 8], [9, 9]];
    const together = await tokensOf(prompts, { ...sampled, policy });
    for (const [at, prompt] of prompts.entries()) {
      const alone = await tokensOf([prompt], { ...sampled, seed: sampled.seed + at, policy });
      expect(ids(together, at)).toEqual(ids(alone));
    }
  });

  it('repeats itself for a seed and differs for another', async () => {
    const first = ids(await tokensOf([[2]], sampled));
    expect(ids(await tokensOf([[2]], sampled))).toEqual(first);
    expect(ids(await tokensOf([[2]], { ...sampled, seed: 5 }))).not.toEqual(first);
  });

  it('says after how many layers each token was chosen', async () => {
    const policy = fixedDepths((_, token) => (token === 3 ? 2 : layers));
    const exits = (await tokensOf([[1, 2, 3]], { ...greedy, tokens: 3, policy })).map(({ exit }) => exit);
    expect(exits).toEqual([layers, 2, layers]);
  });

  it('ends with the end of the text, after which others of the batch go on', async () => {
    const [endOfText] = ids(await tokensOf([[1, 2]], { ...greedy, tokens: 1 }));
    const all = await tokensOf([[1, 2], [7]], { ...greedy, endOfText: endOfText! });
    expect(all.filter(({ sequence }) => sequence === 0)).toEqual([
      { sequence: 0, id: endOfText, exit: layers, end: 'end-of-text' },
    ]);
    expect(ids(all, 1).length).toBeGreaterThan(0);
    expect(all.at(-1)!.end).toMatch(/tokens|end-of-text/);
  });

  it('fills the context to the last place, and a prompt may fill it alone', async () => {
    const all = await tokensOf([[1, 2]], { ...greedy, tokens: 1000 });
    expect(all).toHaveLength(context - 2 + 1);
    expect(all.at(-1)!.end).toBe('context');
    const full = await tokensOf([Array.from({ length: context }, (_, i) => i % vocabulary)], greedy);
    expect(full.map(({ end }) => end)).toEqual(['context']);
  });

  it.each([
    ['an empty prompt', []],
    ['a prompt longer than the context', Array(context + 1).fill(1)],
    ['a token beyond the vocabulary', [1, vocabulary]],
  ])('refuses %s', async (_, prompt: number[]) => {
    await expect(tokensOf([[1], prompt], greedy)).rejects.toMatchObject({
      code: 'TANDEM_PROMPT_INVALID',
      place: 'prompt 2',
    });
  });
});

describe('choosing a token', () => {
  const probabilities = [0.1, 0.4, 0.2, 0.3];
  const logits = Float32Array.from(probabilities, Math.log);
  /** How often each token comes in so many draws. */
  const frequencies = (sampling: Parameters<typeof choose>[1], draws = 4000) => {
    const random = seededRandom(11);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < draws; i++) counts[choose({ logits }, sampling, random)]!++;
    return counts.map((count) => count / draws);
  };
  const expectNear = (found: number[], expected: number[]) => {
    for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(0.03);
  };

  it('draws by probability, sharpened by a temperature below 1', () => {
    expectNear(frequencies({ temperature: 1 }), probabilities);
    const squared = probabilities.map((p) => p * p);
    const sum = squared.reduce((a, b) => a + b);
    expectNear(
      frequencies({ temperature: 0.5 }),
      squared.map((p) => p / sum),
    );
  });

  it('draws among the k likeliest, and among the fewest that reach p', () => {
    expectNear(frequencies({ temperature: 1, topK: 2 }), [0, 4 / 7, 0, 3 / 7]);
    expectNear(frequencies({ temperature: 1, topP: 0.6 }), [0, 4 / 7, 0, 3 / 7]);
    expectNear(frequencies({ temperature: 1, topP: 0.71 }), [0, 4 / 9, 2 / 9, 3 / 9]);
    expect(frequencies({ temperature: 1, topP: 0 })).toEqual([0, 1, 0, 0]);
  });

  it('takes the first of the likeliest at temperature 0, by the ids that it may choose from', () => {
    const choices = { ids: Int32Array.of(5, 8, 9), logits: Float32Array.of(1, 3, 3) };
    expect(choose(choices, { temperature: 0 }, () => 0)).toBe(8);
  });

  it('always gives one of the choices', () => {
    const some = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 9 });
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        some,
        share,
        share,
        fc.double({ min: 0, max: 3, noNaN: true }),
        (values, topP, drawn, temperature) => {
          const id = choose({ logits: Float32Array.from(values) }, { temperature, topP }, () => drawn * 0.999999);
          expect(id).toBeGreaterThanOrEqual(0);
          expect(id).toBeLessThan(values.length);
        },
      ),
      { seed: 7 },
    );
  });
});
