/** Symmetric uniform quantisers as ordinary graph operators: integers travel as whole numbers in floating point. */
import type { GraphBuilder } from '../graph/builder.js';
import { int, ints } from '../graph/types.js';

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

/**
 * Every row of x [batch, heads, tokens, dim] on a grid of its own: Δ = max|x| / limit, clip-free, as Δ·round(x / Δ). A row
 * whose limit is 0 becomes 0.
 * @param limits the largest integer of each token, float32 [batch, tokens]
 */
export function quantisedRows(b: GraphBuilder, x: string, limits: string, hint: string): string {
  const limit = b.op('Unsqueeze', [limits, b.ints([1, 3])]);
  const magnitudes = b.op('Abs', [x]);
  // Axes became an input in operator set 18.
  const largest =
    b.opsets['']! < 18
      ? b.op('ReduceMax', [magnitudes], { axes: ints([-1]), keepdims: int(1) })
      : b.op('ReduceMax', [magnitudes, b.ints([-1])], { keepdims: int(1) });
  const one = b.constant(1);
  const step = b.div(largest, b.op('Max', [limit, one]));
  const safe = b.op('Where', [b.op('Greater', [step, b.constant(0)]), step, one]);
  const rounded = b.op('Round', [b.div(x, safe)]);
  return b.mul(b.mul(rounded, safe), b.op('Min', [limit, one]), hint);
}
