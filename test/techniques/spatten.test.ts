/** SpAtten: which tokens, heads and values are left, and when low bits of keys are read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withOutputs } from '../../src/graph/edit.js';
import type { Graph } from '../../src/graph/types.js';
import { floatTensor } from '../../src/graph/types.js';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import { collate } from '../../src/runtime/collate.js';
import { checkTechnique } from '../../src/techniques/conformance.js';
import { nextWidths } from '../../src/techniques/dtqatten-reference.js';
import { spatten } from '../../src/techniques/spatten.js';
import { spattenOptions } from '../../src/techniques/spatten-options.js';
import type { InferenceRewrite, Ranges } from '../../src/techniques/types.js';
import type { AttentionHeadRecord, TokenBitsRecord } from '../../src/trace/types.js';
import { run, type Values } from '../graph/runtime.js';
import { attentionModel, maskOf, rowsOf } from './attention-model.js';

const HEADS = 4;
const LAYERS = 3;
const fresh = freshBertWeights(1);
const bert: Graph = buildBert(
  {
    ...{ layers: LAYERS, hidden: 16, heads: HEADS, intermediate: 16, vocabulary: 12, positions: 12, segments: 2 },
    ...{ epsilon: 1e-12, activation: 'gelu' },
  },
  (name, shape) => {
    const weights = fresh(name, shape);
    if (shape.length < 2) return weights;
    const larger = (weights.data as Float32Array).map((element) => element * 12);
    return floatTensor(larger, shape);
  },
  2,
).graph;

const ROWS = [[1, 5, 9, 2, 7, 3, 8, 10, 4, 6], [1], [4, 8, 11, 2, 2, 5]];
const LENGTHS = ROWS.map(({ length }) => length);
const KEEP_ALL = { tokenShares: [1], headShares: [1], valueShare: 1 };

async function adapted(options: object, graph = bert, feeds: Values = collate(ROWS)): Promise<InferenceRewrite> {
  const parsed = spattenOptions.parse(options);
  const values = await run(withOutputs(graph, spatten.calibrated(graph, parsed)), feeds);
  const ranges: Ranges = new Map(
    Object.entries(values).map(([name, { data }]) => [name, Math.max(...Array.from(data as Float32Array, Math.abs))]),
  );
  return spatten.forInference(graph, parsed, new Map(), ranges);
}

const fetch = (
  { graph, observed, feeds }: InferenceRewrite,
  rows: readonly number[][],
  names: readonly string[] = [],
) => run(withOutputs(graph, ['logits', ...observed, ...names]), { ...collate(rows), ...feeds });

function recordsOf(rewrite: InferenceRewrite, fetched: Values, lengths: readonly number[]) {
  const all = [...rewrite.record(fetched, lengths, 0)];
  const bits = all.filter((record): record is TokenBitsRecord => record.kind === 'token-bits');
  const heads = all.filter((record): record is AttentionHeadRecord => record.kind === 'attention-head');
  return { bits, heads };
}

test('keeps nearly the prediction where nothing is removed and operands are wide', async () => {
  const rewrite = await adapted({ ...KEEP_ALL, queryBits: 16, keyBits: 12, valueBits: 16 });
  const { logits } = await fetch(rewrite, ROWS);
  const { logits: plain } = await run(bert, collate(ROWS));
  for (const [i, value] of (plain!.data as Float32Array).entries()) expect(logits!.data[i]).toBeCloseTo(value, 1);
});

test('removes tokens by accumulated column sums, in a cascade', async () => {
  const shares = [0.6, 0.3];
  const rewrite = await adapted({ ...KEEP_ALL, tokenShares: shares });
  const names = [0, 1, 2].map((layer) => `layer${layer}.probabilities`);
  const fetched = await fetch(rewrite, ROWS, names);
  const { bits } = recordsOf(rewrite, fetched, LENGTHS);
  for (const [text, tokens] of LENGTHS.entries()) {
    let expected = Array<number>(tokens).fill(12);
    const importance = Array<number>(tokens).fill(0);
    for (let layer = 0; layer < LAYERS; layer++) {
      const ratios = [shares[layer - 1] ?? 1, 0];
      if (layer > 0) expected = nextWidths(expected, importance, ratios, { widths: [12, 0], keepsFirst: true });
      const found = bits.filter((record) => record.sequence === text && record.layer === layer);
      expect(found.map((record) => [...record.bits])).toEqual(Array(HEADS).fill(expected));
      const { data, shape } = fetched[names[layer]!]!;
      const padded = shape[3]!;
      for (let line = 0; line < HEADS * padded; line++) {
        if (!expected[line % padded]) continue;
        for (const key of importance.keys()) {
          importance[key]! += Number(data[(text * HEADS * padded + line) * padded + key]);
        }
      }
    }
  }
});

test('removes heads by accumulated magnitude, in a cascade; one always stays', async () => {
  const rewrite = await adapted({ ...KEEP_ALL, headShares: [0.5, 0.01] });
  const contexts = [0, 1, 2].map((layer) => `layer${layer}.spatten.context`);
  const fetched = await fetch(rewrite, ROWS, contexts);
  const { bits, heads } = recordsOf(rewrite, fetched, LENGTHS);
  for (const [text, tokens] of LENGTHS.entries()) {
    let left = [0, 1, 2, 3];
    const importance = Array<number>(HEADS).fill(0);
    for (const [layer, count] of [4, 2, 1].entries()) {
      left = [...left]
        .sort((a, b) => importance[b]! - importance[a]! || a - b)
        .slice(0, count)
        .sort((a, b) => a - b);
      const here = <R extends { sequence: number; layer: number }>(record: R) =>
        record.sequence === text && record.layer === layer;
      expect(heads.filter(here).map(({ head }) => head)).toEqual(left);
      expect(bits.filter(here).map((record) => [...record.bits])).toEqual(
        [0, 1, 2, 3].map((head) => Array(tokens).fill(left.includes(head) ? 12 : 0)),
      );
      const { data, shape } = fetched[contexts[layer]!]!;
      const [, , padded, dim] = shape as [number, number, number, number];
      for (const head of left) {
        const start = (text * HEADS + head) * padded * dim;
        for (let i = 0; i < tokens * dim; i++) importance[head]! += Math.abs(Number(data[start + i]));
      }
    }
  }
});

test('uses the values of the ⌈share·n⌉ largest probabilities of a row', async () => {
  const rewrite = await adapted({ ...KEEP_ALL, valueShare: 0.3 });
  const names = [0, 1, 2].map((layer) => `layer${layer}.probabilities`);
  const fetched = await fetch(rewrite, ROWS, names);
  const { heads } = recordsOf(rewrite, fetched, LENGTHS);
  for (const { sequence, layer, head, queries, keys, survivors } of heads) {
    const { data, shape } = fetched[names[layer]!]!;
    for (let query = 0; query < queries; query++) {
      const kept = (key: number) => ((survivors[(query * keys + key) >> 3]! >> ((query * keys + key) & 7)) & 1) === 1;
      const all = Array.from({ length: keys }, (_, key) => key);
      expect(all.filter(kept).length).toBe(Math.ceil((keys * 3) / 10));
      const start = ((sequence * HEADS + head) * shape[2]! + query) * shape[3]!;
      const probability = (key: number) => Number(data[start + key]);
      const least = Math.min(...all.filter(kept).map(probability));
      for (const key of all) if (!kept(key)) expect(probability(key)).toBeLessThanOrEqual(least);
    }
  }
});

describe('low bits of keys', () => {
  const sizes = { batch: 1, heads: 1, tokens: 4, dim: 2 };
  // Query 0 is sure of key 3; query 1 is not sure of any: its scores are small.
  const feeds = {
    query: rowsOf([8, 0, 0.01, 0, 8, 0, 0, 0], sizes),
    key: rowsOf([0.3, 1, 0.7, 1, 0.1, 1, 1.9, 1], sizes),
    value: rowsOf([1, 0, 0, 1, 2, 0, 0, 2], sizes),
    attention_mask: maskOf([4], 4),
  };
  const scores = async (options: object) => {
    const graph = attentionModel({ heads: 1, dim: 2 });
    const rewrite = await adapted({ ...KEEP_ALL, ...options }, graph, feeds);
    const names = ['layer0.spatten.scores', 'layer0.spatten.flat', ...rewrite.observed];
    return { rewrite, fetched: await run(withOutputs(rewrite.graph, names), feeds) };
  };

  test('are read by rows whose largest probability lies below the threshold', async () => {
    const { rewrite, fetched } = await scores({ keyBits: 4, lowBits: 4, flatThreshold: 0.5 });
    expect([...(fetched['layer0.spatten.flat']!.data as Uint8Array)]).toEqual([0, 1, 0, 1]);
    const [record] = recordsOf(rewrite, fetched, [4]).heads;
    const { q, k, queryStep, keyStep } = record!;
    for (let query = 0; query < 4; query++) {
      for (let key = 0; key < 4; key++) {
        const isFlat = query % 2 === 1;
        const read = (bits: number) => (isFlat ? bits : Math.floor(bits / 16) * 16);
        const score = q[2 * query]! * read(k[2 * key]!) + q[2 * query + 1]! * read(k[2 * key + 1]!);
        expect(fetched['layer0.spatten.scores']!.data[4 * query + key]).toBeCloseTo(score * queryStep * keyStep, 4);
      }
    }
  });

  test('are read by no row at threshold 0, by every one at 1', async () => {
    const flat = async (flatThreshold: number) => [
      ...((await scores({ flatThreshold })).fetched['layer0.spatten.flat']!.data as Uint8Array),
    ];
    expect(await flat(0)).toEqual([0, 0, 0, 0]);
    expect(await flat(1)).toEqual([1, 1, 1, 1]);
  });
});

test('counts the values that no row uses: of removed tokens and heads, and those that are pruned', async () => {
  const rewrite = await adapted({});
  const { zeros, elements } = rewrite.counts!;
  const fetched = await fetch(rewrite, ROWS, [zeros, elements]);
  const { heads } = recordsOf(rewrite, fetched, LENGTHS);
  for (const [text, tokens] of LENGTHS.entries()) {
    for (let layer = 0; layer < LAYERS; layer++) {
      const own = heads.filter((record) => record.sequence === text && record.layer === layer);
      const used = own.reduce(
        (sum, { survivors }) => sum + survivors.reduce((ones, byte) => ones + bitsIn(byte), 0),
        0,
      );
      const all = HEADS * tokens ** 2;
      expect(fetched[elements]!.data[text * LAYERS + layer]).toBe(all);
      expect(fetched[zeros]!.data[text * LAYERS + layer]).toBe(all - used);
    }
  }
});

const bitsIn = (byte: number): number => byte.toString(2).replaceAll('0', '').length;

test('its shares are a space: every combination makes options that the schema takes, from keeping all on', () => {
  const options = spatten.schema.parse({});
  const ranges = new Map(spatten.calibrated(bert, options).map((value) => [value, 1]));
  const space = spatten.space(bert, options, ranges);
  const point = fc.tuple(...space.dimensions.map(({ values }) => fc.nat(values.length - 1)));
  fc.assert(
    fc.property(point, (chosen) => {
      expect(spatten.schema.safeParse(space.options(chosen)).error).toBeUndefined();
    }),
  );
  const all = { tokenShares: [1, 1], headShares: [1, 1], valueShare: 1 };
  expect(space.options(space.dimensions.map(() => 0))).toMatchObject(all);
  const [, ...dimensions] = space.dimensions;
  expect(dimensions.map(({ name }) => name)).toEqual([
    'layer 1, tokens kept',
    'layer 1, heads kept',
    'layer 2, tokens kept',
    'layer 2, heads kept',
  ]);
  expect(space.options([0, 5, 1, 5, 0])).toMatchObject({ tokenShares: [0.5, 0.25], headShares: [0.75, 0.75] });
});

test('decides the same for a text whatever else is in the batch', async () => {
  const rewrite = await adapted({});
  const together = recordsOf(rewrite, await fetch(rewrite, ROWS), LENGTHS);
  for (const [text, ids] of ROWS.entries()) {
    const alone = recordsOf(rewrite, await fetch(rewrite, [ids]), [ids.length]);
    const own = together.bits.filter(({ sequence }) => sequence === text);
    expect(alone.bits.map(({ bits }) => [...bits])).toEqual(own.map(({ bits }) => [...bits]));
  }
});

test.each([[{}], [{ lowBits: 0 }], [KEEP_ALL]])('keeps what techniques promise with %j', async (options) => {
  const subject = { options, graph: bert, feeds: collate(ROWS), lengths: LENGTHS, run };
  expect(await checkTechnique(spatten, subject)).toEqual([]);
});

test('shares that rise with depth, or are more than there are layers, are refused', async () => {
  expect(spattenOptions.safeParse({ tokenShares: [0.5, 0.6] }).error!.issues[0]).toMatchObject({
    path: ['tokenShares', 1],
    message: expect.stringContaining('must not exceed'),
  });
  expect(spattenOptions.safeParse({ headShares: [0] }).success).toBe(false);
  await expect(adapted({ headShares: [1, 1, 1] })).rejects.toMatchObject({
    code: 'TANDEM_CONFIG_INVALID',
    place: 'technique.headShares',
  });
});
