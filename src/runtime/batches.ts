import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Batches whose examples are taken together for similar length. */
export const BUCKET_BATCHES = 32;

export interface BatchOrder {
  /** Examples of the data set. */
  readonly examples: number;
  readonly batchSize: number;
  readonly seed: number;
  /**
   * Tokens of each example. Given these, examples are sorted by length within windows of BUCKET_BATCHES shuffled batches,
   * and the batches shuffled again: less padding, still a random order.
   */
  readonly lengths?: readonly number[];
}

/**
 * The batches of one epoch as example numbers. Every example occurs once; the last batch may be smaller. The order depends
 * on nothing but the arguments.
 * @param epoch 0 for the first
 */
export function batches({ examples, batchSize, seed, lengths }: BatchOrder, epoch: number): number[][] {
  const random = xoroshiro128plus(mix(seed, epoch));
  const below = (bound: number) => uniformInt(random, 0, bound - 1);
  const order = shuffle(
    Array.from({ length: examples }, (_, i) => i),
    below,
  );
  if (!lengths) return chunks(order, batchSize);
  const sorted = chunks(order, batchSize * BUCKET_BATCHES).map((window) =>
    window.sort((a, b) => lengths[a]! - lengths[b]!),
  );
  return shuffle(
    sorted.flatMap((window) => chunks(window, batchSize)),
    below,
  );
}

/** Optimiser steps of a whole training; a step's batches never span two epochs. */
export function trainingSteps(order: BatchOrder, epochs: number, accumulate: number): number {
  return epochs * Math.ceil(Math.ceil(order.examples / order.batchSize) / accumulate);
}

export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** Fisher and Yates, in place. */
function shuffle<T>(items: T[], below: (bound: number) => number): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}

/** One 32-bit seed from two; the multiplier is 2³² over the golden ratio (Knuth, TAOCP 3, 6.4). */
const mix = (seed: number, epoch: number): number => (seed ^ Math.imul(epoch + 1, 0x9e3779b1)) | 0;
