/** DTQAtten: which token gets which width, what is quantised, and what a removed token no longer does. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withOutputs } from '../../src/graph/edit.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { floatTensor, type Graph, type Tensor } from '../../src/graph/types.js';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import { buildFlexibert, freshFlexibertWeights } from '../../src/models/flexibert.js';
import { buildUseLite } from '../../src/models/use-lite.js';
import { collate } from '../../src/runtime/collate.js';
import { validateSettings } from '../../src/settings/validate.js';
import { checkTechnique } from '../../src/techniques/conformance.js';
import { dtqatten, dtqattenAt, RATIOS_INPUT } from '../../src/techniques/dtqatten.js';
import { dtqattenOptions, rowsFor } from '../../src/techniques/dtqatten-options.js';
import { nextWidths, quantisedRow, tokensPerWidth } from '../../src/techniques/dtqatten-reference.js';
import { readsFirstToken } from '../../src/techniques/first-token.js';
import { findPruningPoints } from '../../src/techniques/pruning-points.js';
import type { InferenceRewrite } from '../../src/techniques/types.js';
import type { HeadOperation } from '../../src/workload/transformer.js';
import { run, type Values } from '../graph/runtime.js';
import { attentionModel, type Mask, maskOf, rowsOf } from './attention-model.js';
import { exportedEncoder } from './exported-encoder.js';

/** Weights so large that tokens differ in importance. */
const lively =
  (source: ReturnType<typeof freshBertWeights>): ReturnType<typeof freshBertWeights> =>
  (name, shape) => {
    const fresh = source(name, shape);
    if (shape.length < 2) return fresh;
    const larger = (fresh.data as Float32Array).map((element) => element * 15);
    return floatTensor(larger, shape);
  };

const LAYERS = 3;
const sizes = { layers: LAYERS, hidden: 8, heads: 2, intermediate: 16, vocabulary: 12, positions: 12, segments: 2 };
const bertOf = (weights: ReturnType<typeof freshBertWeights>): Graph =>
  buildBert({ ...sizes, epsilon: 1e-12, activation: 'gelu' }, weights, 2).graph;
const bert = bertOf(lively(freshBertWeights(1)));

const head = (kind: HeadOperation['kind'], kernel?: number): HeadOperation =>
  ({ kind, dim: 4, ...(kernel !== undefined && { kernel }) }) as HeadOperation;
/** Heads with and without scores side by side; a layer without any between others. */
const mixed = buildFlexibert(
  {
    name: 'mixed',
    vocabulary: 12,
    tokens: 12,
    layers: [
      { hidden: 8, heads: [head('sdp'), head('sdp'), head('wma'), head('conv', 3)], feedForward: [12] },
      { hidden: 8, heads: [head('dft'), head('dct')], feedForward: [12] },
      { hidden: 12, heads: [head('sdp'), head('wma')], feedForward: [12] },
      { hidden: 12, heads: [head('sdp')], feedForward: [12] },
    ],
  },
  lively(freshFlexibertWeights(2)),
  2,
).graph;

const MODELS: readonly (readonly [string, Graph])[] = [
  ['bert', bert],
  ['flexibert', mixed],
  ['an exported encoder', exportedEncoder()],
];

const ROWS = [[1, 5, 9, 2, 7, 3, 8, 10, 4, 6], [1], [4, 8, 11, 2, 2, 5], [3, 7]];
const LENGTHS = ROWS.map(({ length }) => length);
const RATIOS = [
  [0.5, 0.3, 0.2],
  [0.2, 0.3, 0.5],
];
const WIDTHS = [8, 4, 0];

const adapted = (graph: Graph, options: object = {}): InferenceRewrite =>
  dtqatten.forInference(graph, dtqattenOptions.parse(options));

const fetch = (
  { graph, observed, counts, feeds }: InferenceRewrite,
  rows: readonly number[][],
  names: readonly string[] = [],
): Promise<Values> =>
  run(withOutputs(graph, ['logits', ...observed, counts!.zeros, counts!.elements, ...names]), {
    ...collate(rows),
    ...feeds,
  });

/** Widths by sequence and layer. */
function bitsOf(rewrite: InferenceRewrite, fetched: Values, lengths: readonly number[]): number[][][] {
  const bits: number[][][] = lengths.map(() => []);
  for (const record of rewrite.record(fetched, lengths, 0)) {
    if (record.kind === 'token-bits') bits[record.sequence]!.push([...record.bits]);
  }
  return bits;
}

const texts = fc.array(fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 12 }), {
  minLength: 1,
  maxLength: 4,
});
const row = fc
  .tuple(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: 10 }))
  .map(([a, b]) => [Math.min(a, b) / 10, Math.abs(a - b) / 10, 1 - Math.max(a, b) / 10]);

describe('shares of tokens', () => {
  test.each([
    [10, [0.7, 0.2, 0.1], [7, 2, 1]],
    [10, [0.1, 0.2, 0.7], [1, 2, 7]],
    [7, [0.5, 0.25, 0.25], [4, 2, 1]],
    [1, [0.3, 0.4, 0.3], [1, 0, 0]],
    [2, [0.5, 0.5, 0], [1, 1, 0]],
    [3, [0, 0, 1], [0, 1, 2]],
    [4, [0, 0.5, 0.5], [0, 2, 2]],
  ])('of %i tokens, ratios %j are %j', (tokens, ratios, counts) => {
    expect(tokensPerWidth(tokens, ratios, WIDTHS)).toEqual(counts);
  });

  test('round up to the width above: ⌈r·n⌉', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 512 }), fc.integer({ min: 0, max: 100 }), (tokens, percent) => {
        const [eight] = tokensPerWidth(tokens, [percent / 100, 1 - percent / 100], [8, 4]);
        expect(eight).toBe(Number((BigInt(tokens * percent) + 99n) / 100n));
      }),
    );
  });
});

describe('widths', () => {
  test.each(MODELS.slice(0, 2))('of %s follow rank, layer by layer', async (_, graph) => {
    const blocks = findPruningPoints(graph, findAttention(graph)).blocksPerLayer;
    const keepsFirst = readsFirstToken(graph, findPruningPoints(graph, findAttention(graph)));
    const withScores = blocks.flatMap((found, layer) => (found.length > 0 ? [{ layer, found }] : []));
    const rewrite = adapted(graph, { ratios: RATIOS });
    const names = withScores.flatMap(({ found }) => found.map(({ probabilities }) => probabilities));
    const fetched = await fetch(rewrite, ROWS, names);
    const bits = bitsOf(rewrite, fetched, LENGTHS);
    for (const [text, tokens] of LENGTHS.entries()) {
      let widths = Array<number>(tokens).fill(8);
      const importance = Array<number>(tokens).fill(0);
      for (const [order, { found }] of withScores.entries()) {
        if (order > 0) widths = nextWidths(widths, importance, RATIOS[order - 1]!, { widths: WIDTHS, keepsFirst });
        expect(bits[text]![order]).toEqual(widths);
        for (const { probabilities } of found) addColumns(importance, fetched[probabilities]!, text, widths);
      }
    }
    expect(new Set(bits.flat(2))).toEqual(new Set(WIDTHS));
  });

  test('only fall, have the shares that were asked for, and never count padding', async () => {
    const at = dtqattenAt(bert, { widths: WIDTHS, probabilities: 'token' });
    await fc.assert(
      fc.asyncProperty(texts, fc.tuple(row, row), async (rows, ratios) => {
        const rewrite = at({ ratios });
        const lengths = rows.map(({ length }) => length);
        const bits = bitsOf(rewrite, await fetch(rewrite, rows), lengths);
        for (const [text, tokens] of lengths.entries()) {
          expect(bits[text]!.map(({ length }) => length)).toEqual([tokens, tokens, tokens]);
          let atLeast = [tokens, tokens];
          for (const [layer, ratio] of [[1, 0, 0], ...ratios].entries()) {
            const [eight, four] = tokensPerWidth(tokens, ratio, WIDTHS) as [number, number];
            // As many as asked for, as far as there were so many before.
            atLeast = [Math.min(atLeast[0]!, eight), Math.min(atLeast[1]!, eight + four)];
            const found = bits[text]![layer]!;
            expect(found.filter((width) => width >= 8).length).toBe(atLeast[0]);
            expect(found.filter((width) => width >= 4).length).toBe(atLeast[1]);
            expect(found.every((width, token) => width <= (bits[text]![layer - 1]?.[token] ?? 8))).toBe(true);
          }
        }
      }),
      { numRuns: 25, seed: 3 },
    );
  });

  test('of equally important tokens go by position', async () => {
    const source = lively(freshBertWeights(4));
    const even = bertOf((name, shape) => {
      const weights = source(name, shape);
      const isQuery = /\.query\.weight$/.test(name);
      return isQuery ? floatTensor(new Float32Array(weights.data.length), shape) : weights;
    });
    const rewrite = adapted(even, { ratios: RATIOS });
    const [first] = bitsOf(rewrite, await fetch(rewrite, ROWS), LENGTHS);
    expect(first).toEqual([
      [8, 8, 8, 8, 8, 8, 8, 8, 8, 8],
      [8, 8, 8, 8, 8, 4, 4, 4, 0, 0],
      [8, 8, 4, 4, 4, 0, 0, 0, 0, 0],
    ]);
  });

  test('and predictions do not depend on what else is in the batch', async () => {
    const rewrite = adapted(bert, { ratios: RATIOS });
    const together = await fetch(rewrite, ROWS);
    const bits = bitsOf(rewrite, together, LENGTHS);
    for (const [text, ids] of ROWS.entries()) {
      const alone = await fetch(rewrite, [ids]);
      expect(bitsOf(rewrite, alone, [ids.length])[0]).toEqual(bits[text]);
      for (const label of [0, 1]) {
        expect(alone.logits!.data[label]).toBeCloseTo(together.logits!.data[2 * text + label] as number, 4);
      }
    }
  });

  test('keep the only token of a text, and one of a text that shall lose all', async () => {
    const rewrite = dtqattenAt(bert, { widths: WIDTHS, probabilities: 'token' })({ ratios: [[0, 0, 1]] });
    const bits = bitsOf(rewrite, await fetch(rewrite, ROWS), LENGTHS);
    expect(bits[1]).toEqual([[8], [4], [4]]);
    for (const [text, tokens] of LENGTHS.entries()) {
      for (const layer of [1, 2]) expect(bits[text]![layer]).toEqual([4, ...Array(tokens - 1).fill(0)]);
    }
  });

  test('may be others than 8, 4 and 0, and one alone', async () => {
    const options = { widths: [12, 8, 4], ratios: [[0.2, 0.3, 0.5]] };
    const rewrite = adapted(bert, options);
    const bits = bitsOf(rewrite, await fetch(rewrite, ROWS), LENGTHS);
    expect(bits[0]!.map((widths) => [...widths].sort((a, b) => b - a))).toEqual([
      Array(10).fill(12),
      [12, 12, 8, 8, 8, 4, 4, 4, 4, 4],
      [12, 12, 8, 8, 8, 4, 4, 4, 4, 4],
    ]);
    const alone = adapted(bert, { widths: [8], ratios: [[1]] });
    expect(alone.feeds).toEqual({});
    expect(bitsOf(alone, await fetch(alone, ROWS), LENGTHS).flat(2)).toEqual(Array(3 * 19).fill(8));
  });

  test('the first token is kept where the classifier reads it', () => {
    const reads = (graph: Graph) => readsFirstToken(graph, findPruningPoints(graph, findAttention(graph)));
    expect(reads(bert)).toBe(true);
    expect(reads(mixed)).toBe(true);
    expect(reads(exportedEncoder())).toBe(true);
    expect(reads(useLite())).toBe(false);
  });
});

/** Column sums over the real queries that are left. */
function addColumns(importance: number[], { data, shape }: Tensor, text: number, widths: readonly number[]): void {
  const [, heads, queries, keys] = shape as [number, number, number, number];
  for (let head = 0; head < heads; head++) {
    for (const [query, width] of widths.entries()) {
      if (width === 0) continue;
      const start = ((text * heads + head) * queries + query) * keys;
      for (const key of importance.keys()) importance[key]! += Number(data[start + key]);
    }
  }
}

describe('operands', () => {
  test.each(MODELS)('of %s are each row on the grid of its token, as the reference has it', async (_, graph) => {
    const rewrite = adapted(graph, { ratios: graph === bert || graph === mixed ? RATIOS : undefined });
    const { blocksPerLayer } = findPruningPoints(graph, findAttention(graph));
    const operands = blocksPerLayer.flatMap((blocks, layer) =>
      blocks.flatMap((block, nth) => {
        const made = (part: string) => `layer${layer}.dtqatten.${part}${nth === 0 ? '' : `_${nth}`}`;
        const key = block.keyLayout === 'tokens-dim' ? [[block.key, made('key')] as const] : [];
        const named = (value: string, part: string) => [value, made(part)] as const;
        const rows = [named(block.query, 'query'), ...key, named(block.value, 'value')];
        return [...rows, named(block.contextProbabilities, 'probabilities')].map((pair) => [layer, ...pair] as const);
      }),
    );
    const fetched = await fetch(
      rewrite,
      ROWS,
      operands.flatMap(([, before, after]) => [before, after]),
    );
    const bits = bitsOf(rewrite, fetched, LENGTHS);
    const orders = blocksPerLayer.flatMap((blocks, layer) => (blocks.length > 0 ? [layer] : []));
    for (const [layer, before, after] of operands) {
      const { data, shape } = fetched[before]!;
      const [, heads, padded, dim] = shape as [number, number, number, number];
      for (const [text, tokens] of LENGTHS.entries()) {
        const widths = bits[text]![orders.indexOf(layer)]!;
        for (let head = 0; head < heads; head++) {
          for (let token = 0; token < tokens; token++) {
            const at = ((text * heads + head) * padded + token) * dim;
            const rowOf = (values: unknown) => (values as Float32Array).slice(at, at + dim);
            // −0 is 0.
            const expected = quantisedRow(rowOf(data), widths[token]!).map((x) => x + 0);
            expect(rowOf(fetched[after]!.data).map((x) => x + 0)).toEqual(expected);
          }
        }
      }
    }
  });

  test('at ratios 1, 0, 0 are those of plain 8 bits per token, to the last bit of the prediction', async () => {
    for (const [, graph] of MODELS) {
      const plain = await fetch(adapted(graph, { widths: [8], ratios: [[1]] }), ROWS);
      const all = await fetch(adapted(graph, { ratios: [[1, 0, 0]] }), ROWS);
      expect(all.logits!.data).toEqual(plain.logits!.data);
    }
  });

  test('of 16 bits leave predictions nearly as they were', async () => {
    for (const [, graph] of MODELS) {
      const fine = await fetch(adapted(graph, { widths: [16], ratios: [[1]] }), ROWS);
      const { logits } = await run(graph, collate(ROWS));
      for (const [i, value] of (logits!.data as Float32Array).entries()) {
        expect(fine.logits!.data[i]).toBeCloseTo(value, 2);
      }
    }
  });

  const dims = { batch: 2, heads: 2, tokens: 5, dim: 4 };
  const MASKS: readonly Mask[] = ['none', 'add', 'where', 'causal', 'local'];
  test.each(
    MASKS.flatMap((mask) => (['tokens-dim', 'dim-tokens'] as const).map((keyLayout) => [mask, keyLayout] as const)),
  )('under mask %s, keys %s, attend as quantised attention does', async (mask, keyLayout) => {
    const values = (seed: number) => Array.from({ length: 80 }, (_, i) => Math.sin(seed + i * 1.37) * 2);
    const [q, k, v] = [values(1), values(2), values(3)];
    const graph = attentionModel({ heads: 2, dim: 4, mask, scale: 0.5, keyLayout });
    const rewrite = adapted(graph, { probabilities: 'real' });
    const onGrid = (x: readonly number[]) =>
      x.flatMap((_, i) => (i % 4 === 0 ? [...quantisedRow(Float32Array.from(x.slice(i, i + 4)), 8)] : []));
    const keys = (x: readonly number[]): Tensor => {
      if (keyLayout === 'tokens-dim') return rowsOf(x, dims);
      const at = (i: number) => {
        const [matrix, dim, token] = [Math.floor(i / 20), Math.floor((i % 20) / 5), i % 5];
        return x[matrix * 20 + token * 4 + dim]!;
      };
      return floatTensor(
        x.map((_, i) => at(i)),
        [2, 2, 4, 5],
      );
    };
    const attention_mask = maskOf([5, 3], 5);
    const feeds = (x: (values: readonly number[]) => readonly number[]) => ({
      query: rowsOf(x(q), dims),
      key: keys(x(k)),
      value: rowsOf(x(v), dims),
      attention_mask,
    });
    const { out } = await run(rewrite.graph, { ...feeds((x) => x), ...rewrite.feeds });
    const { out: expected } = await run(graph, feeds(onGrid));
    for (const [i, value] of (expected!.data as Float32Array).entries()) expect(out!.data[i]).toBeCloseTo(value, 5);
  });
});

/** The real sizes with weights that cost nothing to make. */
let built: Graph | undefined;
function useLite(): Graph {
  built ??= buildUseLite(
    (name, shape) => {
      const size = shape.reduce((product, length) => product * length, 1);
      const scale = name.startsWith('embedding') ? 1 : 2 / Math.sqrt(shape[0]!);
      return floatTensor(
        Float32Array.from({ length: size }, (_, i) => (((i * 7919) % 1009) / 504.5 - 1) ** 3 * scale),
        shape,
      );
    },
    2,
    1,
  ).graph;
  return built;
}

describe('removed tokens', () => {
  test('get no attention, and give none', async () => {
    const rewrite = adapted(bert, { ratios: RATIOS });
    const names = [1, 2].flatMap((layer) => [`layer${layer}.probabilities`]);
    const fetched = await fetch(rewrite, ROWS, names);
    const bits = bitsOf(rewrite, fetched, LENGTHS);
    let removed = 0;
    for (const layer of [1, 2]) {
      const { data, shape } = fetched[`layer${layer}.probabilities`]!;
      const [, heads, queries, keys] = shape as [number, number, number, number];
      for (const [text, tokens] of LENGTHS.entries()) {
        for (let line = 0; line < heads * queries; line++) {
          const start = (text * heads * queries + line) * keys;
          for (let key = 0; key < tokens; key++) {
            if (bits[text]![layer]![key] !== 0) continue;
            removed++;
            expect(data[start + key]).toBe(0);
          }
        }
      }
    }
    expect(removed).toBeGreaterThan(0);
  });

  test('keep their residual stream as it is', async () => {
    const rewrite = adapted(useLite(), { ratios: [[0.3, 0.3, 0.4]] });
    const rows = ROWS.map((ids) => ids.map((id) => id * 61 + 6));
    const fetched = await fetch(rewrite, rows, ['layer0.output', 'layer1.output']);
    const bits = bitsOf(rewrite, fetched, LENGTHS);
    const [before, after] = [fetched['layer0.output']!, fetched['layer1.output']!];
    const [, padded, width] = before.shape as [number, number, number];
    const rowsAt = ({ data }: Tensor, text: number, token: number) =>
      (data as Float32Array).slice((text * padded + token) * width, (text * padded + token + 1) * width);
    for (const [text, tokens] of LENGTHS.entries()) {
      for (let token = 0; token < tokens; token++) {
        const [was, is] = [rowsAt(before, text, token), rowsAt(after, text, token)];
        if (bits[text]![1]![token] === 0) expect(is).toEqual(was);
        else expect(is).not.toEqual(was);
      }
    }
  });

  test('are counted: scores of which a query or key is missing', async () => {
    for (const [, graph] of MODELS.slice(0, 2)) {
      const rewrite = adapted(graph, { ratios: RATIOS });
      const fetched = await fetch(rewrite, ROWS);
      const bits = bitsOf(rewrite, fetched, LENGTHS);
      const heads = rewrite.headsPerLayer.filter((count) => count > 0);
      const expected = LENGTHS.flatMap((tokens, text) =>
        bits[text]!.map((widths, order) => {
          const left = widths.filter((width) => width > 0).length;
          return [(tokens ** 2 - left ** 2) * heads[order]!, tokens ** 2 * heads[order]!];
        }),
      );
      expect([...(fetched[rewrite.counts!.zeros]!.data as Float64Array)]).toEqual(expected.map(([zeros]) => zeros));
      expect([...(fetched[rewrite.counts!.elements]!.data as Float64Array)]).toEqual(expected.map(([, all]) => all));
    }
  });
});

test('ratios are an input: one graph serves them all', async () => {
  const at = dtqattenAt(bert, { widths: WIDTHS, probabilities: 'token' });
  const [some, none] = [at({ ratios: RATIOS }), at({ ratios: [[1, 0, 0]] })];
  expect(some.graph).toBe(none.graph);
  expect(Object.keys(some.feeds!)).toEqual([RATIOS_INPUT]);
  expect((await fetch(none, ROWS)).logits!.data).toEqual(
    (await fetch(adapted(bert, { ratios: [[1, 0, 0]] }), ROWS)).logits!.data,
  );
  expect((await fetch(some, ROWS)).logits!.data).not.toEqual((await fetch(none, ROWS)).logits!.data);
});

test('the first layer can have another width, which no deeper layer passes', async () => {
  const rewrite = adapted(bert, { ratios: RATIOS, firstLayer: 4 });
  const all = bitsOf(rewrite, await fetch(rewrite, ROWS), LENGTHS);
  const wide = adapted(bert, { ratios: RATIOS });
  const [first] = bitsOf(wide, await fetch(wide, ROWS), LENGTHS)[0]!;
  expect(new Set(first)).toEqual(new Set([8]));
  for (const [text, [four, ...deeper]] of all.entries()) {
    expect(new Set(four)).toEqual(new Set([4]));
    for (const [layer, bits] of deeper.entries()) {
      const [eights, fours] = tokensPerWidth(LENGTHS[text]!, RATIOS[layer]!, WIDTHS) as [number, number];
      expect(bits.every((width) => width <= 4)).toBe(true);
      expect(bits.filter((width) => width === 4)).toHaveLength(eights + fours);
    }
  }
});

describe('the space of its choices', () => {
  const options = (widths: readonly number[], ratios: readonly (readonly number[])[]) =>
    dtqatten.schema.parse({ widths, ratios });
  const spaces = [
    ['published widths', options([8, 4, 0], [[0.3, 0.4, 0.3]])],
    ['nothing removed', options([8, 4], [[0.5, 0.5]])],
    ['four widths', options([16, 8, 4, 0], [[0.25, 0.25, 0.25, 0.25]])],
    ['one width', options([8], [[1]])],
  ] as const;

  test.each(spaces)('%s: every combination makes options that the schema takes', (_, given) => {
    const space = dtqatten.space(bert, given);
    const point = fc.tuple(...space.dimensions.map(({ values }) => fc.nat(values.length - 1)));
    fc.assert(
      fc.property(point, (chosen) => {
        expect(dtqatten.schema.safeParse(space.options(chosen)).error).toBeUndefined();
        expect(space.rewrite(chosen).graph).toBe(space.rewrite(chosen.map(() => 0)).graph);
      }),
      { numRuns: 50 },
    );
  });

  test('begins with all tokens at the largest width, and says what each choice means', () => {
    const space = dtqatten.space(bert, spaces[0][1]);
    expect(space.dimensions.map(({ name }) => name)).toEqual([
      'first layer, bits',
      'layer 1, kept',
      'layer 1, 8 bits',
      'layer 2, kept',
      'layer 2, 8 bits',
    ]);
    const least = space.options([0, 0, 0, 0, 0]);
    expect([least.firstLayer, least.ratios]).toEqual([
      8,
      [
        [1, 0, 0],
        [1, 0, 0],
      ],
    ]);
    // Half of the tokens stay, half of these at 8 bits; then 0.8 of the half, and all that may at 8 bits do.
    const { ratios } = space.options([0, 5, 2, 2, 0]);
    expect(ratios!.flat().map((share) => Number(share.toFixed(9)))).toEqual([0.25, 0.25, 0.5, 0.25, 0.15, 0.6]);
    expect(space.options([1, 0, 0, 0, 0]).ratios).toEqual([
      [0, 1, 0],
      [0, 1, 0],
    ]);
  });
});

test.each([
  [{}],
  [{ firstLayer: 4 }],
  [{ ratios: RATIOS }],
  [{ widths: [8, 4], ratios: [[0.5, 0.5]] }],
  [{ widths: [4], ratios: [[1]] }],
])('keeps what techniques promise with %j', async (options) => {
  for (const [, graph] of MODELS.slice(0, 2)) {
    const subject = { options, graph, feeds: collate(ROWS), lengths: LENGTHS, run };
    expect(await checkTechnique(dtqatten, subject)).toEqual([]);
  }
});

describe('bad input', () => {
  const place = (path: readonly (string | number)[]) => path.join('.');
  const places = { place, keyPlace: place };
  const failure = (options: object) => {
    try {
      validateSettings(dtqattenOptions, options, places);
    } catch (error) {
      const { code, place, message } = error as { code: string; place: string; message: string };
      return { code, place, message };
    }
    return undefined;
  };
  const invalid = (place: string, message: string) => ({
    code: 'TANDEM_CONFIG_INVALID',
    place,
    message: expect.stringContaining(message),
  });

  test.each<[string, object, string, string]>([
    ['a sum that is not 1', { ratios: [[0.5, 0.3, 0.3]] }, 'ratios.0', 'sum to 1, not 1.1'],
    [
      'a share too few',
      {
        ratios: [
          [1, 0, 0],
          [0.5, 0.5],
        ],
      },
      'ratios.1',
      'one share for each',
    ],
    ['no token left', { ratios: [[0, 0, 1]] }, 'ratios.0', 'leave some tokens'],
    [
      'shares that rise',
      {
        ratios: [
          [0.2, 0.3, 0.5],
          [0.1, 0.5, 0.4],
        ],
      },
      'ratios.1',
      'never rise with depth',
    ],
    ['a width that the machine does not serve', { widths: [8, 6, 0] }, 'widths.1', 'machine serves: 0, 4, 8, 12, 16'],
    ['widths that do not fall', { widths: [4, 8, 0] }, 'widths.1', 'smaller than'],
    ['0 bits for all', { widths: [0], ratios: [[1]] }, 'widths.0', 'no token would be left'],
    ['other widths with the ratios of 8, 4, 0', { widths: [8, 4], ratios: [[1, 0, 0]] }, 'ratios.0', 'widths 8, 4'],
  ])('%s', (_, options, place, message) => {
    expect(failure(options)).toEqual(invalid(place, message));
  });

  test('other widths need no ratios: all tokens have the largest', () => {
    const options = dtqattenOptions.parse({ widths: [12, 4] });
    expect(rowsFor(options, options.widths, 3)).toEqual(new Array(3).fill([1, 0]));
  });

  test('a machine of other multipliers serves other widths', () => {
    expect(failure({ widths: [6, 3, 0], machineWidths: [0, 3, 6] })).toBeUndefined();
  });

  test('more rows of ratios than layers for them', () => {
    const options = dtqattenOptions.parse({ ratios: [...RATIOS, [0.1, 0.1, 0.8]] });
    const error = { code: 'TANDEM_CONFIG_INVALID', place: 'technique.ratios' };
    expect(() => dtqatten.calibrated(bert, options)).toThrow(expect.objectContaining(error));
    expect(() => dtqatten.forInference(bert, options)).toThrow(expect.objectContaining(error));
  });

  test('queries and keys of different sequences', () => {
    const b = new GraphBuilder('cross');
    const weights = (name: string) => b.initializer(name, floatTensor(new Float32Array(16).fill(0.1), [4, 4]));
    const input = (name: string) => b.input(name, 'float32', ['batch', 'tokens', 4]);
    const heads = (x: string, name: string) =>
      b.transpose(b.reshape(b.matmul(x, weights(name)), [0, 0, 2, 2]), [0, 2, 1, 3]);
    const [own, other] = [input('own'), input('other')];
    b.input('attention_mask', 'float32', ['batch', 'tokens']);
    const scores = b.matmul(heads(own, 'q'), b.transpose(heads(other, 'k'), [0, 1, 3, 2]));
    b.output(b.matmul(b.softmax(scores, -1), heads(other, 'v')));
    expect(() => adapted(b.finish())).toThrow(expect.objectContaining({ code: 'TANDEM_MODEL_UNSUPPORTED' }));
  });
});

describe('operands, where they are asked for', () => {
  test.each(MODELS)('are the integers that heads of %s multiply, at their tokens’ widths', async (_, graph) => {
    const rewrite = adapted(graph, { ratios: RATIOS.slice(0, 1), operands: true });
    const fetched = await fetch(rewrite, ROWS);
    const records = [...rewrite.record(fetched, LENGTHS, 0)];
    const operands = records.filter((record) => record.kind === 'token-operands');
    expect(new Set(operands.map(({ layer }) => layer)).size).toBe(
      new Set(records.filter(({ kind }) => kind === 'token-bits').map((record) => (record as { layer: number }).layer))
        .size,
    );
    for (const { sequence, layer, tokens, headDim, valueDim, q, k, v, steps } of operands) {
      const own = records.find(
        (record) => record.kind === 'token-bits' && record.sequence === sequence && record.layer === layer,
      );
      const widths = own?.kind === 'token-bits' ? [...own.bits].filter((bits) => bits > 0) : [];
      expect(tokens).toBe(widths.length);
      for (const [at, [values, dim]] of (
        [
          [q, headDim],
          [k, headDim],
          [v, valueDim],
        ] as const
      ).entries()) {
        for (const [row, bits] of widths.entries()) {
          const largest = Math.max(...values.subarray(row * dim, (row + 1) * dim).map(Math.abs));
          expect(largest).toBe(steps[at * tokens + row] === 0 ? 0 : 2 ** (bits - 1) - 1);
        }
      }
    }
  });

  test('times their steps are what is multiplied', async () => {
    const rewrite = adapted(bert, { operands: true });
    const fetched = await fetch(rewrite, ROWS);
    const [, query] = rewrite.observed;
    const { data, shape } = fetched[query!]!;
    const first = [...rewrite.record(fetched, LENGTHS, 0)].find(({ kind }) => kind === 'token-operands');
    if (first?.kind !== 'token-operands') throw new Error('no operands');
    expect([first.layer, first.head, first.headDim]).toEqual([0, 0, shape[3]]);
    for (let row = 0; row < first.tokens; row++) {
      for (let at = 0; at < first.headDim; at++) {
        const value = first.q[row * first.headDim + at]! * first.steps[row]!;
        expect(value).toBeCloseTo((data as Float32Array)[row * first.headDim + at]!, 4);
      }
    }
  });

  test('are not recorded of decoders', () => {
    expect(dtqattenOptions.safeParse({ operands: true, decoder: true }).success).toBe(false);
  });
});
