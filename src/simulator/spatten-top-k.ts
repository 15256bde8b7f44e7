/** SpAtten's top-k engine: quick-select with random pivots over values that are all different. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/**
 * Lengths of the sequences that the rounds of a quick-select go through to find the `kept`-th largest of `length` values
 * (1 ≤ kept ≤ length); nothing to find when all are kept. Only a pivot's rank matters, so values need not be known.
 */
export function quickSelectRounds(length: number, kept: number, seed: number): number[] {
  const rounds: number[] = [];
  if (kept >= length || kept < 1) return rounds;
  const random = xoroshiro128plus(seed);
  let left = length;
  let wanted = kept;
  for (;;) {
    rounds.push(left);
    // The pivot is the rank-th largest.
    const rank = uniformInt(random, 1, left);
    if (rank === wanted) return rounds;
    if (rank > wanted) {
      left = rank - 1;
    } else {
      left -= rank;
      wanted -= rank;
    }
  }
}

/** Cycles of the engine: filled in `movedIn(length)`, compared `parallelism` a cycle and 4 cycles a round, drained. */
export function topKCycles(
  { length, kept, rounds }: { readonly length: number; readonly kept: number; readonly rounds: readonly number[] },
  { parallelism, movedIn }: { readonly parallelism: number; movedIn(values: number): number },
): number {
  if (rounds.length === 0) return 0;
  const selecting = rounds.reduce((sum, one) => sum + Math.ceil(one / parallelism) + 4, 0);
  return movedIn(length) + selecting + movedIn(kept);
}
