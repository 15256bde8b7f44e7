import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BACK_FILLS } from '../../src/simulator/toex-config.js';
import { Controller, type Step, stepsOf } from '../../src/simulator/toex-controller.js';
import { referenceSteps } from '../../src/simulator/toex-reference.js';
import type { TokenExitsRecord } from '../../src/trace/types.js';
import { anyExits, exitsRecord } from './toex-trace.js';

function play(record: TokenExitsRecord, backFill: (typeof BACK_FILLS)[number] = 'lazy', passTokens = 1000) {
  const controller = new Controller(record.layers, backFill, passTokens);
  return { controller, steps: [...stepsOf(record)].map(([tokens, exit]) => controller.step(tokens, exit)) };
}

const total = (step: Step, of: (run: Step['runs'][number]) => number) =>
  step.runs.reduce((sum, run) => sum + of(run), 0);

describe('the example of exits 4, 2, 1, 3, 4 in a decoder of four layers', () => {
  const { steps } = play(exitsRecord(4, [4, 2, 1, 3, 4]));

  test('loads 14 decoders instead of 20', () => {
    expect(steps.reduce((sum, { runs }) => sum + runs.length, 0)).toBe(14);
  });

  test('runs 4, 2, 1, 6, 7 pairs of token and layer: all 20 of them', () => {
    expect(steps.map((step) => total(step, ({ tokens }) => tokens))).toEqual([4, 2, 1, 6, 7]);
  });

  test('back-fills layer 2 for the third token and layer 3 for two in the fourth step, layer 4 for three in the fifth', () => {
    const run = ({ runs }: Step) => runs.map(({ before, tokens }) => [before, tokens]);
    expect(run(steps[3]!)).toEqual([
      [3, 1],
      [2, 2],
      [1, 3],
    ]);
    expect(run(steps[4]!).at(-1)).toEqual([1, 4]);
  });

  test('fetches each pending state once', () => {
    expect(steps.map((step) => total(step, ({ statesRead }) => statesRead))).toEqual([0, 0, 0, 2, 3]);
    expect(steps.map((step) => total(step, ({ statesWritten }) => statesWritten))).toEqual([0, 1, 1, 3, 0]);
  });
});

const anyDecoder = fc.integer({ min: 1, max: 6 }).chain((layers) => anyExits(layers));

test.each(BACK_FILLS)('back-fill %s does, step by step, what the tale of every token says', (backFill) => {
  fc.assert(
    fc.property(anyDecoder, (record) => {
      const counted = play(record, backFill).steps.map((step) => ({
        loads: step.runs.length,
        tokenLayers: total(step, ({ tokens }) => tokens),
        backFilled: total(step, ({ backFilled }) => backFilled),
        keyValueOnly: total(step, ({ keyValueOnly }) => keyValueOnly),
        keysRead: total(step, ({ before }) => before),
        statesRead: total(step, ({ statesRead }) => statesRead),
        statesWritten: total(step, ({ statesWritten }) => statesWritten),
      }));
      expect(counted).toEqual(referenceSteps(record, backFill));
    }),
  );
});

test('never more token-layers than without exits, and depth never rises with position', () => {
  fc.assert(
    fc.property(anyDecoder, (record) => {
      const { controller, steps } = play(record);
      const { layers, exits } = record;
      const ran = steps.reduce((sum, step) => sum + total(step, ({ tokens }) => tokens), 0);
      const done = Array.from({ length: layers }, (_, layer) => controller.done(layer + 1));
      expect(done).toEqual(done.toSorted((a, b) => b - a));
      expect(ran).toBe(done.reduce((sum, tokens) => sum + tokens, 0));
      expect(ran).toBeLessThanOrEqual(layers * exits.length);
      // Completed depth of a token: the largest exit from its own step on.
      exits.forEach((_, token) => {
        const deepest = Math.max(...exits.slice(token));
        expect(done.filter((tokens) => tokens > token)).toHaveLength(deepest);
      });
    }),
  );
});

test('states of a run that the chip does not hold go to memory between layers', () => {
  const { steps } = play(exitsRecord(3, [3, 3, 3, 3, 3], { prompt: 5 }), 'lazy', 4);
  expect(steps[0]!.runs.map(({ statesRead, statesWritten }) => [statesRead, statesWritten])).toEqual([
    [0, 5],
    [5, 5],
    [5, 0],
  ]);
});
