/** DTATrans: one pseudo-token for all tokens that DTQAtten removed, held against plain arithmetic. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withOutputs } from '../../src/graph/edit.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { floatTensor, type Graph, type Tensor } from '../../src/graph/types.js';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import { collate } from '../../src/runtime/collate.js';
import { checkTechnique } from '../../src/techniques/conformance.js';
import { dtqatten, dtqattenAt } from '../../src/techniques/dtqatten.js';
import { dtqattenOptions } from '../../src/techniques/dtqatten-options.js';
import { massOf, nextMasses, pseudoValue, quantisedRow } from '../../src/techniques/dtqatten-reference.js';
import { PSEUDO_TOKEN_NOTE } from '../../src/trace/matrices.js';
import { run } from '../graph/runtime.js';

const [LAYERS, HEADS, DIM] = [3, 2, 4];
const fresh = freshBertWeights(1);
const sizes = { hidden: HEADS * DIM, heads: HEADS, intermediate: 16, vocabulary: 12, positions: 12, segments: 2 };
/** Weights so large that tokens differ in importance. */
const bert: Graph = buildBert(
  { ...sizes, layers: LAYERS, epsilon: 1e-12, activation: 'gelu' },
  (name, shape) => {
    const weights = fresh(name, shape);
    return shape.length < 2
      ? weights
      : floatTensor(
          (weights.data as Float32Array).map((x) => 15 * x),
          shape,
        );
  },
  2,
).graph;
const blocks = findAttention(bert);
const WIDTHS = [8, 4, 0];
const with_ = (probabilities: 'token' | 'real') =>
  dtqattenAt(bert, { widths: WIDTHS, probabilities, compensation: true });

const texts = fc.array(fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 12 }), {
  minLength: 1,
  maxLength: 3,
});
const row = fc
  .tuple(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 10 }))
  .map(([a, b]) => [Math.min(a, b) / 10, Math.abs(a - b) / 10, 1 - Math.max(a, b) / 10]);

/** Row `at` of the last axis, of item [text, head]. */
function rowAt({ data, shape }: Tensor, text: number, head: number, at: number): Float32Array {
  const [, heads, rows, columns] = shape as [number, number, number, number];
  const start = ((text * heads + head) * rows + at) * columns;
  return (data as Float32Array).slice(start, start + columns);
}

const pseudoOf = (layer: number) => `layer${layer}.dtqatten.pseudo`;
const massName = (layer: number) => `layer${layer}.dtqatten.mass`;
const observedNames = blocks.flatMap(({ layer, probabilities, value, context }) => [
  ...[probabilities, value, context],
  ...(layer > 0 ? [pseudoOf(layer), massName(layer), `layer${layer}.dtqatten.context`] : []),
]);

/** Everything that the layers computed, and the plain masses, removed tokens and widths of a text. */
async function played(at: ReturnType<typeof with_>, rows: number[][], ratios: number[][]) {
  const rewrite = at({ ratios });
  const names = observedNames.filter((name) => rewrite.graph.types.has(name));
  const fetched = await run(withOutputs(rewrite.graph, ['logits', ...rewrite.observed, ...names]), {
    ...collate(rows),
    ...rewrite.feeds,
  });
  const lengths = rows.map(({ length }) => length);
  const bits = rows.map((): number[][] => []);
  for (const record of rewrite.record(fetched, lengths, 0)) {
    if (record.kind === 'token-bits') bits[record.sequence]!.push([...record.bits]);
  }
  return { fetched, bits };
}

/** Column sums over heads and queries that are left. */
function columns(probabilities: Tensor, text: number, widths: readonly number[]): number[] {
  const sums = widths.map(() => 0);
  for (let head = 0; head < HEADS; head++) {
    for (const [query, width] of widths.entries()) {
      if (width === 0) continue;
      const given = rowAt(probabilities, text, head, query);
      for (const key of sums.keys()) sums[key]! += given[key]!;
    }
  }
  return sums;
}

const closeTo = (found: ArrayLike<number>, expected: ArrayLike<number>, digits: number) => {
  for (let at = 0; at < expected.length; at++) expect(found[at]).toBeCloseTo(expected[at]!, digits);
};

describe('the pseudo-token', () => {
  const at = with_('real');

  test('has the mass and the value of the reference, and queries see it beside the tokens that are left', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.tuple(row, row), async (rows, ratios) => {
        const { fetched, bits } = await played(at, rows, ratios);
        for (const text of rows.keys()) {
          let masses: number[] = [];
          for (const { layer, probabilities, value } of blocks) {
            const widths = bits[text]![layer]!;
            const removed = widths.map((width) => width === 0);
            if (layer > 0) {
              const mass = massOf(masses, removed);
              expect(fetched[massName(layer)]!.data[text]).toBeCloseTo(mass, 6);
              for (let head = 0; head < HEADS; head++) {
                const values = widths.map((_, token) => rowAt(fetched[value]!, text, head, token));
                const pseudo = pseudoValue(values, masses, removed, 4);
                closeTo(rowAt(fetched[pseudoOf(layer)]!, text, head, 0), pseudo, 4);
                const quantised = values.map((one, token) => quantisedRow(one, widths[token]!));
                for (const [query, width] of widths.entries()) {
                  if (width === 0) continue;
                  const p = rowAt(fetched[probabilities]!, text, head, query);
                  const expected = Array.from(pseudo, (x, dim) =>
                    quantised.reduce((sum, one, token) => sum + (1 - mass) * p[token]! * one[dim]!, mass * x),
                  );
                  closeTo(rowAt(fetched[`layer${layer}.dtqatten.context`]!, text, head, query), expected, 3);
                }
              }
            }
            masses = nextMasses(masses, columns(fetched[probabilities]!, text, widths), removed, layer > 0);
            expect(masses.reduce((sum, mass) => sum + mass, 0)).toBeCloseTo(1, 5);
          }
        }
      }),
      { numRuns: 20, seed: 5 },
    );
  });

  test('changes nothing where no token is removed', async () => {
    const plain = dtqattenAt(bert, { widths: WIDTHS, probabilities: 'token' });
    const rows = [[1, 5, 9, 2, 7], [3]];
    const ratios = [[0.4, 0.6, 0]];
    const logits = async (rewrites: typeof plain) => (await played(rewrites, rows, ratios)).fetched.logits!.data;
    expect(await logits(with_('token'))).toEqual(await logits(plain));
  });

  test('is named in the trace, with its width', () => {
    expect(at({ ratios: [[0.5, 0.3, 0.2]] }).notes).toEqual({ [PSEUDO_TOKEN_NOTE]: '4' });
    expect(dtqattenAt(bert, { widths: WIDTHS, probabilities: 'token' })({ ratios: [[1, 0, 0]] }).notes).toBeUndefined();
  });
});

test('a text of one token has nothing to stand for', async () => {
  const { fetched, bits } = await played(with_('token'), [[4]], [[0.2, 0.3, 0.5]]);
  expect(bits).toEqual([[[8], [8], [8]]]);
  expect([1, 2].map((layer) => fetched[massName(layer)]!.data[0])).toEqual([0, 0]);
});

test('compensated models keep what techniques promise', async () => {
  const rows = [[1, 5, 9, 2, 7], [3], [4, 8]];
  const lengths = rows.map(({ length }) => length);
  const subject = { options: { compensation: true }, graph: bert, feeds: collate(rows), lengths, run };
  expect(await checkTechnique(dtqatten, subject)).toEqual([]);
});

test.each([
  ['a decoder', { decoder: true }, 'false for a decoder'],
  ['widths without 0', { widths: [8, 4], ratios: [[0.5, 0.5]] }, 'no token is removed'],
])('%s takes no compensation', (_, options, message) => {
  const { error } = dtqattenOptions.safeParse({ ...options, compensation: true });
  expect(error!.issues).toMatchObject([{ path: ['compensation'], message: expect.stringContaining(message) }]);
});
