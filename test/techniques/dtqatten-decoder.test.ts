/** DTQAtten on decoders: a pass over a text decides as decoding it token by token would. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withOutputs } from '../../src/graph/edit.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import type { Graph } from '../../src/graph/types.js';
import * as blocks from '../../src/models/blocks.js';
import { buildGpt2, freshGpt2Weights } from '../../src/models/gpt2.js';
import { normalWeights } from '../../src/models/weights.js';
import { collate } from '../../src/runtime/collate.js';
import { dtqatten } from '../../src/techniques/dtqatten.js';
import { dtqattenOptions } from '../../src/techniques/dtqatten-options.js';
import { nextWidths, quantisedRow } from '../../src/techniques/dtqatten-reference.js';
import type { TokenBitsRecord } from '../../src/trace/types.js';
import { run, type Values } from '../graph/runtime.js';

const LAYERS = 3;
const HIDDEN = 8;
const HEADS = 2;
const VOCABULARY = 12;

/** Pre-norm-free decoder: embeddings, then causal attention with a residual, three times. Output `logits` [batch, tokens, hidden]. */
function decoder(): Graph {
  const b = new GraphBuilder('decoder');
  const fresh = normalWeights(3, 0.6);
  const weights: blocks.WeightSource = (_, shape) => fresh(shape);
  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);
  const length = b.op('Gather', [b.op('Shape', [mask]), b.scalar('int64', 1)]);
  const places = b.op('Range', [b.scalar('int64', 0), length, b.scalar('int64', 1)]);
  const later = b.op('Greater', [b.op('Unsqueeze', [places, b.ints([0])]), b.op('Unsqueeze', [places, b.ints([1])])]);
  const bias = b.add(blocks.attentionBias(b, mask), b.mul(b.cast(later, 'float32'), b.constant(-1e9)));
  let x = b.op('Gather', [b.initializer('words', fresh([VOCABULARY, HIDDEN])), ids]);
  for (let layer = 0; layer < LAYERS; layer++) {
    const sizes = { from: HIDDEN, heads: HEADS, dim: HIDDEN / HEADS, to: HIDDEN };
    x = b.add(blocks.selfAttention(b, weights, x, bias, sizes, `layer${layer}`), x);
  }
  b.output(b.op('Identity', [x], {}, 'logits'));
  return b.finish();
}

/** GPT-2 of the same sizes. Output `logits` [batch, tokens, vocabulary]. */
function gpt2(): Graph {
  const sizes = { layers: LAYERS, hidden: HIDDEN, heads: HEADS, intermediate: 16, vocabulary: VOCABULARY, context: 12 };
  const wide = normalWeights(3, 0.6);
  const fresh = freshGpt2Weights(1, LAYERS);
  // Wide weights, so that heads attend to some tokens more than to others.
  return buildGpt2({ ...sizes, epsilon: 1e-5, activation: 'gelu' }, (name, shape) =>
    shape.length === 2 ? wide(shape) : fresh(name, shape),
  ).graph;
}

const RATIOS = [
  [0.4, 0.3, 0.3],
  [0.2, 0.3, 0.5],
];
const adaptedOf = (graph: Graph, options: object = {}) =>
  dtqatten.forInference(graph, dtqattenOptions.parse({ decoder: true, ratios: RATIOS, ...options }));
const fetch = (
  rewrite: ReturnType<typeof adaptedOf>,
  rows: readonly (readonly number[])[],
  more: readonly string[] = [],
) =>
  run(
    withOutputs(rewrite.graph, [
      'logits',
      ...rewrite.observed,
      rewrite.counts!.zeros,
      rewrite.counts!.elements,
      ...more,
    ]),
    {
      ...(collate(rows) as Values),
      ...rewrite.feeds,
    },
  );
const text = fc.array(fc.nat(VOCABULARY - 1), { minLength: 1, maxLength: 9 });

describe.each([
  ['bare layers', decoder()],
  ['GPT-2', gpt2()],
])('on %s', (_, graph) => {
  const adapted = (options: object = {}) => adaptedOf(graph, options);

  test('a step knows nothing of later tokens: what it gives is what the text up to it gives', async () => {
    const rewrite = adapted();
    await fc.assert(
      fc.asyncProperty(text, async (tokens) => {
        const { data, shape } = (await fetch(rewrite, [tokens])).logits!;
        const width = shape[2]!;
        for (const step of tokens.keys()) {
          const prefix = (await fetch(rewrite, [tokens.slice(0, step + 1)])).logits!.data as Float32Array;
          const last = prefix.subarray(step * width);
          for (const [at, value] of last.entries()) expect(data[step * width + at]).toBeCloseTo(value, 4);
        }
      }),
      { numRuns: 15 },
    );
  });

  test('at each step tokens rank by what queries so far gave them, the step’s own one first', async () => {
    const rewrite = adapted();
    const probabilities = findAttention(graph).map((block) => block.probabilities);
    await fc.assert(
      fc.asyncProperty(text, async (tokens) => {
        const n = tokens.length;
        const fetched = await fetch(rewrite, [tokens], probabilities);
        for (let step = 0; step < n; step++) {
          let widths = new Array<number>(step + 1).fill(8);
          const importance = new Array<number>(step + 1).fill(0);
          for (const [layer, bits] of rewrite.observed.entries()) {
            if (layer > 0) {
              const ownFirst = importance.map((value, token) => (token === step ? Number.POSITIVE_INFINITY : value));
              const before = [...widths];
              widths = nextWidths(before, ownFirst, RATIOS[layer - 1]!, { widths: [8, 4, 0], keepsFirst: false });
              widths[step] = 8;
            }
            const found = (fetched[bits]!.data as Float32Array).subarray(step * n, step * n + step + 1);
            expect([...found]).toEqual(widths);
            const p = fetched[probabilities[layer]!]!.data as Float32Array;
            for (let head = 0; head < HEADS; head++) {
              for (let query = 0; query <= step; query++) {
                for (let token = 0; token <= query; token++) importance[token]! += p[(head * n + query) * n + token]!;
              }
            }
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test('queries and keys are quantised row by row', async () => {
    const rewrite = adapted({ probabilities: 'real' });
    const tokens = [1, 5, 9, 2, 7, 3, 8];
    const n = tokens.length;
    const dim = HIDDEN / HEADS;
    const found = findAttention(graph);
    const names = found.flatMap(({ query, key }) => [query, key]);
    const fetched = await fetch(rewrite, [tokens], names.slice(0, 2));
    const [q, k] = names.slice(0, 2).map((name) => fetched[name]!.data as Float32Array) as [Float32Array, Float32Array];
    // Of the first layer, where all have 8 bits.
    const probabilities = findAttention(graph)[0]!.probabilities;
    const p = (await fetch(rewrite, [tokens], [probabilities]))[probabilities]!.data as Float32Array;
    const keysTransposed = found[0]!.keyLayout === 'dim-tokens';
    const row = (data: Float32Array, head: number, token: number, transposed = false) =>
      quantisedRow(
        Array.from({ length: dim }, (_, at) =>
          transposed ? data[(head * dim + at) * n + token]! : data[(head * n + token) * dim + at]!,
        ),
        8,
      );
    for (let head = 0; head < HEADS; head++) {
      for (let step = 0; step < n; step++) {
        const query = row(q, head, step);
        const scores = Array.from({ length: step + 1 }, (_, token) => {
          const other = row(k, head, token, keysTransposed);
          return query.reduce((sum, value, at) => sum + value * other[at]!, 0) / Math.sqrt(dim);
        });
        const largest = Math.max(...scores);
        const exponents = scores.map((score) => Math.exp(score - largest));
        const sum = exponents.reduce((a, b) => a + b);
        for (const [token, exponent] of exponents.entries()) {
          expect(p[(head * n + step) * n + token]).toBeCloseTo(exponent / sum, 4);
        }
      }
    }
  });

  describe('its traces and counts', () => {
    const ROWS = [[1, 5, 9, 2, 7, 3, 8, 10], [1], [4, 8, 11]];

    test('hold the widths of every step, without padding or what it does not see', async () => {
      const rewrite = adapted();
      const lengths = ROWS.map(({ length }) => length);
      const together = [...rewrite.record(await fetch(rewrite, ROWS), lengths, 5)];
      const alone = [];
      for (const [text, row] of ROWS.entries()) {
        alone.push(...rewrite.record(await fetch(rewrite, [row]), [row.length], 5 + text));
      }
      expect(together).toEqual(alone);
      const tokens = ROWS.flatMap(({ length }) => Array.from({ length }, (_, step) => step + 1));
      expect(together.map((record) => (record as TokenBitsRecord).bits.length)).toEqual(
        tokens.flatMap((seen) => new Array<number>(LAYERS).fill(seen)),
      );
    });

    test('count the scores of removed tokens among those that steps see', async () => {
      const rewrite = adapted();
      const fetched = await fetch(rewrite, ROWS);
      const zeros = fetched[rewrite.counts!.zeros]!.data as Float64Array;
      const elements = fetched[rewrite.counts!.elements]!.data as Float64Array;
      for (const [text, { length }] of ROWS.entries()) {
        for (const [layer, name] of rewrite.observed.entries()) {
          const { data, shape } = fetched[name]!;
          let removed = 0;
          for (let step = 0; step < length; step++) {
            const start = (text * shape[1]! + step) * shape[2]!;
            removed += [...(data as Float32Array).subarray(start, start + step + 1)].filter(
              (bits) => bits === 0,
            ).length;
          }
          expect(zeros[text * LAYERS + layer]).toBe(HEADS * removed);
          expect(elements[text * LAYERS + layer]).toBe((HEADS * length * (length + 1)) / 2);
        }
      }
    });
  });

  test('with wide numbers and nothing removed it is the model itself', async () => {
    const fine = adapted({ widths: [16], ratios: [[1]] });
    const rows = [[1, 5, 9, 2]];
    const { logits } = await run(graph, collate(rows) as Values);
    const { logits: quantised } = await fetch(fine, rows);
    for (const [at, value] of (logits!.data as Float32Array).entries())
      expect(quantised!.data[at]).toBeCloseTo(value, 2);
  });
});
