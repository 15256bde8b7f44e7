import { describe, expect, test } from 'vitest';
import { PUBLISHED_PARAMETERS, type PublishedHead, publishedCycles } from '../../src/simulator/spatten-published.js';

/** 12 bits are stored as 8; 8 keys a cycle on 512 multipliers. */
const head: PublishedHead = { headWidth: 64, sentenceLength: 100, keys: 60, keyBits: 12, valueBits: 8 };
const cycles = (heads: readonly PublishedHead[], changes = {}) =>
  publishedCycles({ ...PUBLISHED_PARAMETERS, ...changes }, heads);

describe('the published model of a layer', () => {
  test('adds memory, filling and draining', () => {
    // 8 batches of 8 keys × 64 × 8 bits = 4096 bytes = 128 transactions, 8 on each of 16 channels; twice, for V too.
    expect(cycles([head])).toEqual({
      dram: 16,
      fill: 100 * 8,
      drain: 11 + (7 + 21 + 23 + 29 + 7 + 8) + 1 + 1 + 3,
      topK: 0,
      total: 16 + 800 + 111,
    });
  });

  test('sums memory, filling and top-k over heads, and drains the last one', () => {
    const short = { ...head, keys: 8 };
    const two = cycles([head, short]);
    expect(two.dram).toBe(16 + 2);
    expect(two.fill).toBe(800 + 100);
    expect(two.drain).toBe(103 + 1);
  });

  test('stores 6 bits and more than 8 bits as bytes, and 4 bits as they are', () => {
    const dram = (keyBits: number) => cycles([{ ...head, keys: 1024, keyBits }]).dram;
    const value = (1024 * 64) / 32 / 16;
    expect([4, 6, 8, 12].map(dram)).toEqual([value / 2 + value, 2 * value, 2 * value, 2 * value]);
  });

  test('rounds transactions down and channels up', () => {
    // One key of width 8 on 64 multipliers: a batch of 8 keys is 64 bytes, 2 transactions.
    const tiny = { ...head, headWidth: 8, keys: 1, keyBits: 8 };
    expect(cycles([tiny], { multipliers: 64 }).dram).toBe(1 + 1);
    expect(cycles([tiny], { multipliers: 8 }).dram).toBe(0);
    expect(cycles([tiny], { multipliers: 64, channels: 1 }).dram).toBe(2 + 2);
  });

  test('adds rounds of the quick-select, filling and draining its buffer', () => {
    const topK = { kept: 20, rounds: [60, 31, 3] };
    // 60 / 4 + 4, 31 / 4 + 4, 3 / 4 + 4, divisions rounded down.
    expect(cycles([{ ...head, topK }]).topK).toBe(8 + (15 + 4) + (7 + 4) + (0 + 4) + 3);
  });
});
