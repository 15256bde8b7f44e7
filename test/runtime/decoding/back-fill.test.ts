import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { int64Tensor, tensor } from '../../../src/graph/types.js';
import { fixedDepths } from '../../../src/runtime/decoding/policies.js';
import { Sequence } from '../../../src/runtime/decoding/sequence.js';
import { type StepOutcome, step } from '../../../src/runtime/decoding/step.js';
import { config, sessionsWith } from './decoder.js';

const { layers, hidden, vocabulary, context } = config;
const sessions = { 1: await sessionsWith(1), 2: await sessionsWith(2) };

/** A text whose tokens are forced: its prompt, and for every step the token that is chosen and the layers it runs. */
interface Text {
  readonly prompt: readonly number[];
  readonly promptDepth: number;
  readonly steps: readonly { readonly token: number; readonly depth: number }[];
}

/** Every text takes its next token at every step; `depths` false: all layers. */
async function decode(texts: readonly Text[], { threads = 1, exits = true, steps = texts[0]!.steps.length } = {}) {
  const batch = texts.map(({ prompt }) => new Sequence(prompt, config));
  const outcomes: StepOutcome[] = [];
  for (let i = 0; i <= steps; i++) {
    const depth = (text: Text) => (i === 0 ? text.promptDepth : text.steps[i - 1]!.depth);
    const policy = fixedDepths((sequence) => depth(texts[sequence]!));
    outcomes.push(await step(sessions[threads as 1 | 2], batch, exits ? { policy } : {}));
    if (i < steps) for (const [at, sequence] of batch.entries()) sequence.tokens.push(texts[at]!.steps[i]!.token);
  }
  return { batch, outcomes };
}

/** Equal as numbers, every one. */
function expectSame(found: Float32Array, expected: Float32Array): void {
  expect(found.length).toBe(expected.length);
  expect(found.findIndex((value, i) => value !== expected[i])).toBe(-1);
}

/** All that a layer knows of the tokens that it has run equals what a decoder without exits knows. */
function expectExact(lazy: Sequence, full: Sequence): void {
  for (let layer = 0; layer < layers; layer++) {
    const known = lazy.done[layer]! * hidden;
    expectSame(lazy.keys[layer]!.subarray(0, known), full.keys[layer]!.subarray(0, known));
    expectSame(lazy.values[layer]!.subarray(0, known), full.values[layer]!.subarray(0, known));
  }
  const finished = lazy.done.at(-1)! * hidden;
  expectSame(lazy.states.subarray(0, finished), full.states.subarray(0, finished));
}

const token = fc.integer({ min: 0, max: vocabulary - 1 });
const depth = fc.integer({ min: 1, max: layers });
/** Short steps on the whole, so that many tokens wait. */
const shallow = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(1, 2) }, { weight: 1, arbitrary: depth });
const text = (steps: number): fc.Arbitrary<Text> =>
  fc.record({
    prompt: fc.array(token, { minLength: 1, maxLength: context - steps }),
    promptDepth: depth,
    steps: fc.array(fc.record({ token, depth: shallow }), { minLength: steps, maxLength: steps }),
  });

describe('lazy back-fill', () => {
  it.each([1, 2])(
    'gives attention the keys and values of full recomputation, bit for bit, on %i threads',
    async (threads) => {
      await fc.assert(
        fc.asyncProperty(text(12), async (given) => {
          const { batch, outcomes } = await decode([given], { threads });
          const full = await decode([given], { threads, exits: false });
          expectExact(batch[0]!, full.batch[0]!);
          for (const [i, { exits, choices }] of outcomes.entries()) {
            // A token that ran all layers is followed by exactly what would follow it without exits.
            if (exits[0] === layers) expectSame(choices[0]!.logits, full.outcomes[i]!.choices[0]!.logits);
          }
        }),
        { numRuns: 25, seed: 5 },
      );
    },
  );

  it('lets texts of a batch run as they would alone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text(8), { minLength: 2, maxLength: 4 }), async (texts) => {
        const { batch, outcomes } = await decode(texts);
        for (const [at, given] of texts.entries()) {
          expectExact(batch[at]!, (await decode([given], { exits: false })).batch[0]!);
          const alone = await decode([given]);
          for (const [i, { choices }] of alone.outcomes.entries()) {
            expectSame(outcomes[i]!.choices[at]!.logits, choices[0]!.logits);
          }
        }
      }),
      { numRuns: 8, seed: 5 },
    );
  });

  it('never runs more token-layers than decoding without exits, and loads as many layers as the deepest token of a step', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text(6), { minLength: 1, maxLength: 3 }), async (texts) => {
        const { outcomes, batch } = await decode(texts);
        let [run, most] = [0, 0];
        for (const [i, { loads, tokenLayers, exits }] of outcomes.entries()) {
          expect(loads).toBe(Math.max(...exits));
          run += tokenLayers;
          most += layers * texts.reduce((sum, { prompt }) => sum + (i === 0 ? prompt.length : 1), 0);
          expect(run).toBeLessThanOrEqual(most);
        }
        // Each token ran each layer at most once: what ran is what is known.
        expect(run).toBe(batch.reduce((sum, { done }) => sum + done.reduce((a, b) => a + b, 0), 0));
      }),
      { numRuns: 12, seed: 5 },
    );
  });

  it('runs a token as deep as any token after it', async () => {
    // Exits 4, 2, 1, 3, 4 of four layers: 14 loads instead of 20; the third layer first runs for tokens 2, 3 and 4.
    const steps = [2, 1, 3, 4].map((deep, i) => ({ token: i, depth: deep }));
    const given: Text = { prompt: [5], promptDepth: 4, steps };
    const depthsAfter = async (count: number) => {
      const { batch } = await decode([given], { steps: count });
      return batch[0]!.tokens.map((_, at) => batch[0]!.depth(at));
    };
    expect(await depthsAfter(2)).toEqual([4, 2, 1]);
    expect(await depthsAfter(3)).toEqual([4, 3, 3, 3]);
    expect(await depthsAfter(4)).toEqual([4, 4, 4, 4, 4]);
    const { outcomes } = await decode([given]);
    expect(outcomes.map(({ loads }) => loads)).toEqual([4, 2, 1, 3, 4]);
    expect(outcomes.map(({ tokenLayers }) => tokenLayers)).toEqual([4, 2, 1, 6, 7]);
  });

  it('lets tokens that wait in one text use the weights that another text loads', async () => {
    const shallowText: Text = { prompt: [1, 2], promptDepth: 1, steps: [{ token: 3, depth: 1 }] };
    const deepText: Text = { prompt: [4], promptDepth: 1, steps: [{ token: 5, depth: 3 }] };
    const { batch, outcomes } = await decode([shallowText, deepText]);
    expect(batch[0]!.done).toEqual([3, 3, 3, 0]);
    expect(batch[1]!.done).toEqual([2, 2, 2, 0]);
    expect(outcomes[1]!.exits).toEqual([1, 3]);
  });
});

describe('the inexact rivals', () => {
  const given: Text = {
    prompt: [7, 8, 9],
    promptDepth: 1,
    steps: [
      { token: 1, depth: 2 },
      { token: 2, depth: 4 },
    ],
  };
  const last = async (backFill: 'lazy' | 'propagate' | 'none', text = given) => {
    const sequence = new Sequence(text.prompt, config);
    const depths = [text.promptDepth, ...text.steps.map((each) => each.depth)];
    let outcome: StepOutcome | undefined;
    for (const [i, deep] of depths.entries()) {
      outcome = await step(sessions[1], [sequence], { policy: fixedDepths(() => deep), backFill });
      if (i < text.steps.length) sequence.tokens.push(text.steps[i]!.token);
    }
    return { sequence, logits: outcome!.choices[0]!.logits, tokenLayers: outcome!.tokenLayers };
  };

  it('run a layer for the newest token only', async () => {
    expect((await last('propagate')).tokenLayers).toBe(layers);
    expect((await last('none')).tokenLayers).toBe(layers);
  });

  it('take keys from the rows that tokens had when they stopped', async () => {
    const { sequence } = await last('propagate');
    const cache = tensor('float32', [1, 16, hidden], new Float32Array(16 * hidden));
    const outputs = await sessions[1].run(3, sequence.states.slice(0, 3 * hidden), {
      'layer3.entering': int64Tensor([-3], [1]),
      'layer3.whole': int64Tensor([-3], [1]),
      'layer3.keys': cache,
      'layer3.values': cache,
      'layer3.places': int64Tensor([0, 0, 0, 1, 0, 2], [3, 2]),
      'layer3.asked': int64Tensor([-3, -2, -1], [1, 3]),
      'layer3.mask': tensor('float32', [1, 1, 3, 16], new Float32Array(3 * 16)),
      'layer3.answers': int64Tensor([0, 1, 2], [3]),
    });
    const key = outputs['layer3.key']!.data;
    expect(sequence.keys[3]!.subarray(0, 3 * hidden)).toEqual(key);
  });

  it('do without keys that nobody computed, whatever stands in their place', async () => {
    const decoded = async (filling: number) => {
      const sequence = new Sequence([7], config);
      await step(sessions[1], [sequence], { policy: fixedDepths(() => 1), backFill: 'none' });
      for (const cache of [sequence.keys, sequence.values]) {
        for (const layer of cache.slice(1)) layer.fill(filling, 0, hidden);
      }
      sequence.tokens.push(2);
      const { choices } = await step(sessions[1], [sequence], { backFill: 'none' });
      expect(sequence.absent.map((absent) => absent[0])).toEqual([0, 1, 1, 1]);
      return choices[0]!.logits;
    };
    expect(await decoded(3)).toEqual(await decoded(-5));
  });

  it('differ from lazy back-fill where a token stopped early, and from nothing where none did', async () => {
    const exact = (await last('lazy')).logits;
    expect((await last('propagate')).logits).not.toEqual(exact);
    expect((await last('none')).logits).not.toEqual(exact);
    const deep = { ...given, promptDepth: 4, steps: given.steps.map(({ token: id }) => ({ token: id, depth: 4 })) };
    const full = (await last('lazy', deep)).logits;
    expect((await last('propagate', deep)).logits).toEqual(full);
    expect((await last('none', deep)).logits).toEqual(full);
  });
});
