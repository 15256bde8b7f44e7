import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUCKET_BATCHES, batches, trainingSteps } from '../../src/runtime/batches.js';
import { collate, labelTensor } from '../../src/runtime/collate.js';

const sizes = { examples: fc.nat(300), batchSize: fc.integer({ min: 1, max: 40 }), seed: fc.integer() };

describe('batches', () => {
  it('hold every example once, and only the last may be smaller', () => {
    fc.assert(
      fc.property(fc.record(sizes), fc.nat(5), fc.boolean(), (order, epoch, bucketed) => {
        const lengths = bucketed ? Array.from({ length: order.examples }, (_, i) => (i * 37) % 101) : undefined;
        const made = batches({ ...order, lengths }, epoch);
        expect(made.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: order.examples }, (_, i) => i));
        const short = made.filter(({ length }) => length < order.batchSize);
        expect(short.length).toBeLessThanOrEqual(1);
        expect(made.length).toBe(trainingSteps(order, 1, 1));
      }),
      { numRuns: 100, seed: 7 },
    );
  });

  it('come in an order that the seed and the epoch decide', () => {
    const order = { examples: 100, batchSize: 10, seed: 1 };
    expect(batches(order, 0)).toEqual(batches(order, 0));
    expect(batches(order, 1)).not.toEqual(batches(order, 0));
    expect(batches({ ...order, seed: 2 }, 0)).not.toEqual(batches(order, 0));
  });

  it('are shuffled evenly: each example comes first equally often', () => {
    const first = new Array<number>(5).fill(0);
    const trials = 5000;
    for (let seed = 0; seed < trials; seed++) first[batches({ examples: 5, batchSize: 1, seed }, 0)[0]![0]!]!++;
    const chiSquared = first.reduce((sum, count) => sum + (count - trials / 5) ** 2 / (trials / 5), 0);
    expect(chiSquared).toBeLessThan(18.47); // 4 degrees of freedom, p = 0.001
  });

  it('hold examples of similar length when lengths are given', () => {
    const lengths = Array.from({ length: 16 * BUCKET_BATCHES }, (_, i) => (i * 7919) % 128);
    const padding = (made: number[][]) =>
      made.reduce((sum, batch) => {
        const longest = Math.max(...batch.map((i) => lengths[i]!));
        return sum + batch.reduce((rest, i) => rest + longest - lengths[i]!, 0);
      }, 0);
    const order = { examples: lengths.length, batchSize: 16, seed: 3 };
    const bucketed = batches({ ...order, lengths }, 0);
    expect(padding(bucketed)).toBeLessThan(0.1 * padding(batches(order, 0)));
    const means = bucketed.map((batch) => batch.reduce((sum, i) => sum + lengths[i]!, 0) / batch.length);
    expect(means).not.toEqual([...means].sort((a, b) => a - b));
  });

  it('make whole steps in every epoch', () => {
    expect(trainingSteps({ examples: 10, batchSize: 2, seed: 0 }, 3, 2)).toBe(9);
  });
});

describe('collate', () => {
  it('pads at the end, to the longest row or further', () => {
    const rows = [[5, 6, 7], [8]];
    expect(collate(rows)).toEqual({
      input_ids: { dtype: 'int64', shape: [2, 3], data: BigInt64Array.of(5n, 6n, 7n, 8n, 0n, 0n) },
      attention_mask: { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 1, 1, 1, 0, 0) },
    });
    const wider = collate(rows, { padTo: 4, padId: 9 });
    expect([...(wider.input_ids.data as BigInt64Array)]).toEqual([5n, 6n, 7n, 9n, 8n, 9n, 9n, 9n]);
    expect([...(wider.attention_mask.data as Float32Array)]).toEqual([1, 1, 1, 0, 1, 0, 0, 0]);
  });

  it('keeps one column where every row is empty', () => {
    expect(collate([[], []]).attention_mask).toMatchObject({ shape: [2, 1], data: Float32Array.of(0, 0) });
  });

  it('refuses a row that is too long', () => {
    expect(() => collate([[1, 2, 3]], { padTo: 2 })).toThrow(expect.objectContaining({ code: 'TANDEM_FEED_INVALID' }));
  });

  it('makes labels', () => {
    expect(labelTensor([1, 0])).toEqual({ dtype: 'int64', shape: [2], data: BigInt64Array.of(1n, 0n) });
  });
});
