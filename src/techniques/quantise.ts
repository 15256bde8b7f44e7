/** Symmetric uniform quantisers as ordinary graph operators: integers travel as whole numbers in floating point. */
import type { GraphBuilder } from '../graph/builder.js';

/** Largest integer of a signed, symmetric `bits`-wide number: sign-magnitude has no −2^(bits−1). */
export const largestInteger = (bits: number): number => 2 ** (bits - 1) - 1;

/** Step Δ such that a magnitude of `range` maps to the largest integer. */
export const quantiserStep = (range: number, bits: number): number => (range > 0 ? range : 1) / largestInteger(bits);

/** clip(round(x / Δ)): whole numbers in float32, same shape as x. */
export function quantised(b: GraphBuilder, value: string, step: number, bits: number, hint?: string): string {
  const limit = largestInteger(bits);
  const rounded = b.op('Round', [b.div(value, b.constant(step))]);
  return b.op('Clip', [rounded, b.constant(-limit), b.constant(limit)], {}, hint);
}

/**
 * Q·Kᵀ of integer-valued Q [..., queries, dim] and K [..., keys, dim], exact: in float64, since sums of 12-bit products
 * pass 2^24, above which float32 skips integers. The decision then equals the one that integer hardware takes.
 */
export function integerScores(b: GraphBuilder, q: string, k: string): string {
  const rank = b.shapeOf(k).length;
  const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
  return b.matmul(b.cast(q, 'float64'), b.transpose(b.cast(k, 'float64'), perm));
}
