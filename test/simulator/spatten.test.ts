import { describe, expect, test } from 'vitest';
import { readPreset } from '../../src/hardware/preset-files.js';
import { presetConfig } from '../../src/hardware/presets.js';
import { checkMachine } from '../../src/simulator/conformance.js';
import { spatten } from '../../src/simulator/spatten.js';
import { type SpattenConfig, spattenSchema } from '../../src/simulator/spatten-config.js';
import { decideHead } from '../../src/simulator/spatten-probabilities.js';
import { PUBLISHED_PARAMETERS, publishedCycles } from '../../src/simulator/spatten-published.js';
import type { Machine, SimulationResult, Workload } from '../../src/simulator/types.js';
import { ARCHITECTURE_NOTE } from '../../src/trace/matrices.js';
import { integerScore } from '../../src/trace/statistics.js';
import type { TokenBitsRecord, TraceHeader, TraceRecord } from '../../src/trace/types.js';
import { gaussianHead, header as leopardHeader } from './heads.js';

const bitsOf = (kept: number, tokens: number) =>
  Uint8Array.from({ length: tokens }, (_, token) => (token < kept ? 8 : 0));
const tokenBits = (layer: number, bits: Uint8Array, head = -1, sequence = 0): TokenBitsRecord => ({
  kind: 'token-bits',
  sequence,
  layer,
  head,
  bits,
});

/** Two layers of three heads of width 64. */
const header: TraceHeader = {
  ...leopardHeader,
  technique: 'dtqatten',
  layers: 2,
  headsPerLayer: [3, 3],
  notes: {
    [ARCHITECTURE_NOTE]: JSON.stringify({
      name: 'three heads',
      layers: [1, 2].map(() => ({
        hidden: 192,
        heads: [1, 2, 3].map(() => ({ kind: 'sdp', dim: 64 })),
        feedForward: [64],
      })),
      vocabulary: 10,
      tokens: 96,
    }),
  },
};
function trace(records: readonly TraceRecord[], changes: Partial<TraceHeader> = {}): Workload {
  async function* stream() {
    yield* records;
  }
  return { kind: 'trace', header: { ...header, ...changes }, records: stream() };
}
const config = (changes: object = {}): SpattenConfig => spattenSchema.parse(changes);
async function run(records: readonly TraceRecord[], changes: object = {}, head: Partial<TraceHeader> = {}) {
  const result = await spatten.simulate(config(changes), trace(records, head), { name: 'test' });
  if (!result.feasible) throw new Error(result.resource);
  return result;
}
const microjoules = (result: SimulationResult) => result.energyPicojoules / 1e6;

describe('conformance', () => {
  const cascade = [tokenBits(0, bitsOf(96, 96)), tokenBits(1, bitsOf(40, 96))];
  const records = [tokenBits(0, bitsOf(12, 20)), gaussianHead({ tokens: 20, pruned: 0.5 })];
  test.each([
    ['the full size', 'spatten', cascade],
    ['an eighth', 'spatten-1-8', cascade],
    ['actual probabilities', 'spatten-1-8', records],
    ['a causal head', 'spatten', [gaussianHead({ tokens: 9, pruned: 0.5, causal: true })]],
  ])('%s', async (_, preset, given) => {
    const subject = { config: presetConfig(readPreset(preset), spattenSchema), workload: () => trace(given) };
    expect(await checkMachine(spatten as Machine, subject)).toEqual([]);
  });
});

describe('what is left of tokens and heads', () => {
  test('sets rows, keys and fetched bits', async () => {
    const result = await run([tokenBits(0, bitsOf(96, 96)), tokenBits(1, bitsOf(40, 96))]);
    const [first, second] = result.parts;
    expect(first!.counts).toMatchObject({
      rows: 3 * 96,
      scores: 3 * 96 * 96,
      keyHighBits: 3 * 96 * 64 * 8,
      keptTokens: 96,
    });
    expect(second!.counts).toMatchObject({
      rows: 3 * 40,
      scores: 3 * 40 * 40,
      keyHighBits: 3 * 40 * 64 * 8,
      keptTokens: 40,
    });
  });

  test('a head without tokens is no work; the top-k engine picked it away after the layer before', async () => {
    const all = await run([tokenBits(0, bitsOf(96, 96)), tokenBits(1, bitsOf(96, 96))]);
    const none = tokenBits(1, bitsOf(0, 96), 2);
    const pruned = await run([
      tokenBits(0, bitsOf(96, 96)),
      ...[0, 1].map((head) => tokenBits(1, bitsOf(96, 96), head)),
      none,
    ]);
    expect(pruned.parts[1]!.counts.keptHeads).toBe(2);
    expect(pruned.parts[1]!.counts.scores).toBe((2 / 3) * all.parts[1]!.counts.scores!);
    expect(all.parts[0]!.counts.globalTopKCycles).toBe(0);
    expect(pruned.parts[0]!.counts.globalTopKCycles).toBeGreaterThan(0);
  });

  test('fewer tokens never take more cycles or energy', async () => {
    let before: SimulationResult | undefined;
    for (const kept of [96, 64, 33, 8, 1]) {
      const result = await run([tokenBits(0, bitsOf(kept, 96))]);
      if (before) {
        expect(result.cycles).toBeLessThanOrEqual(before.cycles);
        expect(microjoules(result)).toBeLessThan(microjoules(before));
      }
      before = result;
    }
  });

  test('widths other than 0 make no difference to it', async () => {
    const narrow = await run([tokenBits(0, new Uint8Array(32).fill(4))]);
    expect(narrow.cycles).toBe((await run([tokenBits(0, new Uint8Array(32).fill(8))])).cycles);
  });

  test('dense rows pass at the pace of the arrays: one batch of keys a cycle', async () => {
    const result = await run([tokenBits(0, bitsOf(96, 96))], { dram: { bytesPerCycle: 4096 } });
    // 96 keys at 8 a cycle; the pipeline fills and drains in less than two rows more, and memory adds little.
    const busy = 3 * 96 * 12;
    expect(result.counts.keyArrayCycles).toBe(busy);
    expect(result.cycles).toBeGreaterThanOrEqual(busy + 103);
    expect(result.cycles).toBeLessThan(busy + 103 + 3 * 12 + 10);
  });
});

describe('progressive quantisation', () => {
  const head = gaussianHead({ tokens: 24, pruned: 0 });

  test('flat rows are those whose largest softmax of high bits lies below the threshold', () => {
    const threshold = 0.25;
    const { flat } = decideHead(head, undefined, {
      lowBits: 4,
      flatThreshold: threshold,
      valueShare: 1,
      survivorsAreValues: false,
    });
    // A look at 8 of the 12 bits of K.
    const high = { ...head, k: head.k.map((element) => 16 * Math.floor(element / 16)) };
    for (const [row, one] of flat.entries()) {
      const scores = Array.from(
        { length: 24 },
        (_, key) => (integerScore(high, row, key) * head.queryStep * head.keyStep) / 8,
      );
      const exponents = scores.map(Math.exp);
      expect(one).toBe(Math.max(...exponents) / exponents.reduce((a, b) => a + b) < threshold);
    }
    expect(new Set(flat).size).toBe(2);
  });

  test('fetches low bits once for a head with flat rows, and computes those again', async () => {
    const never = await run([head], { fetch: { flatThreshold: 0 } }, { headsPerLayer: [1, 1] });
    const always = await run([head], { fetch: { flatThreshold: 1 } }, { headsPerLayer: [1, 1] });
    expect(never.counts).toMatchObject({ flatRows: 0, scoresAgain: 0, keyLowBits: 0 });
    expect(always.counts).toMatchObject({ flatRows: 24, scoresAgain: 24 * 24, keyLowBits: 24 * 64 * 4 });
    expect(always.cycles).toBeGreaterThan(never.cycles);
  });

  test('without Q and K, takes the configured share', async () => {
    const result = await run([tokenBits(0, bitsOf(40, 96))], { fetch: { flatShare: 0.25 } });
    expect(result.counts.flatRows).toBe(3 * 10);
    expect(result.remarks.join(' ')).toContain('25.0 %');
  });
});

test('local value pruning uses the values of the largest probabilities', async () => {
  const head = gaussianHead({ tokens: 24, pruned: 0 });
  const rule = { lowBits: 0, flatThreshold: 0, valueShare: 0.25, survivorsAreValues: false };
  expect(decideHead(head, undefined, rule).values).toEqual(new Array(24).fill(6));
  const result = await run([head], { valueShare: 0.25 }, { headsPerLayer: [1, 1] });
  expect(result.counts).toMatchObject({ values: 24 * 6, valueMacs: 24 * 6 * 64 });
  expect(result.counts.localTopKCycles).toBeGreaterThan(0);
});

test('the published closed form stands beside the cycles', async () => {
  const result = await run([tokenBits(0, bitsOf(96, 96))]);
  const heads = [1, 2, 3].map(() => ({ headWidth: 64, sentenceLength: 96, keys: 96, keyBits: 8, valueBits: 8 }));
  expect(result.counts.closedFormCycles).toBe(publishedCycles(PUBLISHED_PARAMETERS, heads).total);
  expect(result.remarks.join(' ')).toContain('closed form');
});

test('with memory out of the way and nothing flat, closed form and cycles differ by filling the stages once', async () => {
  const fast = { dram: { bytesPerCycle: 4096 }, fetch: { flatShare: 0 } };
  const result = await run([tokenBits(0, bitsOf(96, 96), 0)], fast, { headsPerLayer: [1, 1], notes: {} });
  const head = { headWidth: 64, sentenceLength: 96, keys: 96, keyBits: 8, valueBits: 8 };
  const { fill, drain } = publishedCycles(PUBLISHED_PARAMETERS, [head]);
  const batches = 12;
  expect(fill).toBe(96 * batches);
  // Q and K, a cycle each; the first row waits for nothing else; the last row's softmax and P·V; results, a cycle.
  expect(result.cycles).toBe(2 + fill + 2 * batches + 1 + 103);
  expect(result.cycles - (fill + drain)).toBe(batches + 3);
});

test('a query against many keys is bound by memory, which the closed form adds to the arithmetic', async () => {
  const long = gaussianHead({ tokens: 1000, pruned: 0, headDim: 64, causal: false });
  const query = { ...long, queries: 1, q: long.q.subarray(0, 64), survivors: new Uint8Array(125).fill(255) };
  const result = await run([query], { fetch: { flatThreshold: 0 } }, { headsPerLayer: [1, 1], notes: {} });
  // 1000 keys of 64 bytes are 2000 transactions, 125 on each channel; V likewise; Q and results a cycle each.
  expect(result.counts.memoryCycles).toBe(1 + 125 + 125 + 1);
  expect(result.counts.keyArrayCycles).toBe(125);
  const head = { headWidth: 64, sentenceLength: 1, keys: 1000, keyBits: 8, valueBits: 8 };
  expect(publishedCycles(PUBLISHED_PARAMETERS, [head])).toMatchObject({ dram: 250, fill: 125, drain: 103 + 125 });
});

describe('heads wider than the arrays', () => {
  test('take several passes a key: as many as the multipliers go into a head', async () => {
    const cyclesAt = async (multipliers: number) =>
      (await run([tokenBits(0, bitsOf(40, 40))], { multipliers })).counts.keyArrayCycles!;
    const rows = 3 * 40;
    expect(await cyclesAt(64)).toBe(rows * 40);
    expect(await cyclesAt(32)).toBe(rows * 40 * 2);
    expect(await cyclesAt(28)).toBe(rows * 40 * 3);
  });

  test('the closed form follows: a head in two passes takes the array as long as two of half its width', () => {
    const parameters = { ...PUBLISHED_PARAMETERS, multipliers: 64 };
    const head = (headWidth: number) => ({ headWidth, sentenceLength: 10, keys: 30, keyBits: 8, valueBits: 8 });
    const [wide, narrow] = [
      publishedCycles(parameters, [head(128)]),
      publishedCycles(parameters, [head(64), head(64)]),
    ];
    expect(wide.fill).toBe(narrow.fill);
    expect(wide.drain).toBe(narrow.drain + 30);
  });
});

describe('what does not fit', () => {
  test('long sequences name the buffer', async () => {
    const long = await spatten.simulate(config(), trace([tokenBits(0, bitsOf(2049, 2049))]), { name: 'long' });
    expect(long).toMatchObject({ feasible: false, resource: 'K buffer', bound: 196608, demand: 2049 * 96 });
  });

  test.each([
    ['a token that comes back', [tokenBits(0, bitsOf(3, 8)), tokenBits(1, bitsOf(4, 8))]],
    ['a layer recorded twice', [tokenBits(0, bitsOf(3, 8)), tokenBits(0, bitsOf(3, 8))]],
    ['a head of other tokens', [tokenBits(0, bitsOf(3, 8)), gaussianHead({ tokens: 5, pruned: 0 })]],
    ['an empty trace', []],
  ])('%s contradicts itself', async (_, records) => {
    await expect(run(records)).rejects.toMatchObject({ code: 'TANDEM_TRACE_INCONSISTENT' });
  });
});

test('a sequence of one token', async () => {
  expect((await run([tokenBits(0, bitsOf(1, 1))])).counts).toMatchObject({ rows: 3, scores: 3 });
});
