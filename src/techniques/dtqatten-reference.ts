/** DTQAtten's decision in plain arithmetic, for one text: what the graph is held against. */
import { largestInteger } from './quantise.js';

/** Tokens that get each width, by their ranks alone: ⌈rᵢ·n⌉, as many as are left, and at least one above 0 bits. */
export function tokensPerWidth(tokens: number, ratios: readonly number[], widths: readonly number[]): number[] {
  const counts = widths.map(() => 0);
  const last = widths.length - 1;
  let left = tokens;
  for (let width = 0; width < last; width++) {
    // 0.7 · 10 is a little more than 7.
    counts[width] = Math.min(left, Math.max(0, Math.ceil(tokens * ratios[width]! - 1e-9)));
    left -= counts[width]!;
  }
  counts[last] = left;
  if (widths[last] === 0 && tokens > 0 && left === tokens) {
    counts[last - 1]!++;
    counts[last]!--;
  }
  return counts;
}

/**
 * Widths of the tokens at a layer behind the first.
 * @param before widths at the layer before
 * @param keepsFirst whether the first token ranks before all others
 */
export function nextWidths(
  before: readonly number[],
  importance: readonly number[],
  ratios: readonly number[],
  { widths, keepsFirst }: { readonly widths: readonly number[]; readonly keepsFirst: boolean },
): number[] {
  const weighed = importance.map((value, token) => (keepsFirst && token === 0 ? Number.POSITIVE_INFINITY : value));
  const order = before.map((_, token) => token);
  order.sort((a, b) => before[b]! - before[a]! || Math.sign(weighed[b]! - weighed[a]!) || a - b);
  const byRank = tokensPerWidth(before.length, ratios, widths).flatMap((count, width) =>
    Array<number>(count).fill(widths[width]!),
  );
  const next = [...before];
  for (const [rank, token] of order.entries()) next[token] = Math.min(before[token]!, byRank[rank]!);
  return next;
}

/** A row on its own grid, in float32: Δ·round(x / Δ), Δ = max|x| / (2^(bits−1) − 1), halves to the even neighbour. */
export function quantisedRow(row: ArrayLike<number>, bits: number): Float32Array {
  if (bits === 0) return new Float32Array(row.length);
  const largest = Array.from(row, Math.abs).reduce((a, b) => Math.max(a, b), 0);
  const step = Math.fround(largest / largestInteger(bits)) || 1;
  return Float32Array.from(row, (x) => halfToEven(Math.fround(x / step)) * step);
}

function halfToEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/**
 * Mass of each token behind a layer: what its probabilities give it as a share of all, and what it had before it was removed.
 * @param before masses behind the layer before
 * @param given column sums of the layer's probabilities, over heads and queries that are left
 */
export function nextMasses(
  before: readonly number[],
  given: readonly number[],
  removed: readonly boolean[],
  compensated: boolean,
): number[] {
  const all = given.reduce((sum, value) => sum + value, 0);
  const left = compensated ? 1 - massOf(before, removed) : 1;
  return given.map((value, token) => (removed[token] ? before[token]! : (left * value) / all));
}

/** Mass of the pseudo-token that stands for the removed ones. */
export const massOf = (masses: readonly number[], removed: readonly boolean[]): number =>
  masses.reduce((sum, mass, token) => sum + (removed[token] ? mass : 0), 0);

/** Its value in one head: the average of the removed ones' [tokens][dim], by mass, on a grid of its own. */
export function pseudoValue(
  values: readonly ArrayLike<number>[],
  masses: readonly number[],
  removed: readonly boolean[],
  bits: number,
): Float32Array {
  const mass = massOf(masses, removed);
  const average = Array.from(values[0]!, (_, at) =>
    values.reduce((sum, value, token) => sum + (removed[token] ? (masses[token]! / mass) * value[at]! : 0), 0),
  );
  return quantisedRow(mass > 0 ? average : average.map(() => 0), bits);
}
