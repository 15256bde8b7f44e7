/** Expectations behind the closed form: roundings, extremes, and how often a lane meets the operand it holds. */

/** Standard deviations beyond which a normal distribution is over. */
const REACH = 4;

/** Normal distribution function (logistic approximation by Bowling et al., 2009; error below 2e-4). */
const below = (z: number): number => 1 / (1 + Math.exp(-(0.07056 * z ** 3 + 1.5976 * z)));

/**
 * Mean of ⌈X⌉ for X normal with the given mean and deviation on a lattice of the given step (1 / step a whole number).
 */
export function expectedCeiling(mean: number, deviation: number, step: number): number {
  if (step >= 1) return mean;
  if (deviation > 1.5) return mean + (1 - step) / 2;
  if (deviation < 1e-9) return Math.ceil(mean - 1e-9);
  // Σ over n of P(X > n), from an n that X certainly exceeds.
  const from = Math.floor(mean - REACH * deviation);
  const to = Math.ceil(mean + REACH * deviation);
  let sum = from;
  for (let n = from; n < to; n++) sum += below((mean - n - step / 2) / deviation);
  return Math.max(0, sum);
}

/** Mean of the largest of n standard normal values: Φ⁻¹(0.5264^(1/n)) (Chen and Tyler, 1999); 0 for one. */
export function largestOf(n: number): number {
  if (n <= 1) return 0;
  // Φ⁻¹ for the upper tail (Abramowitz and Stegun, 26.2.23; error below 5e-4).
  const t = Math.sqrt(-2 * Math.log(-Math.expm1(Math.log(0.5264) / n)));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

/**
 * Tiles t ≥ `units` of a loop nest whose operand the tile `units` before them used: those whose coordinates in the fixed
 * loops are the same. Exact, by the carries of adding `units` to a number with the loops' sizes as radices.
 * @param sizes of the loops, outermost first
 * @param fixed loops along which the operand changes
 */
export function countReused(sizes: readonly number[], units: number, fixed: readonly boolean[]): number {
  let rest = units;
  let counts: [number, number] = [1, 0];
  for (let level = sizes.length - 1; level >= 0; level--) {
    const size = sizes[level]!;
    const top = level === 0;
    const digit = top ? rest : rest % size;
    rest = Math.floor(rest / size);
    const next: [number, number] = [0, 0];
    for (const carry of [0, 1] as const) {
      const added = digit + carry;
      const stays = added % size === 0;
      if (counts[carry] === 0 || (fixed[level] && !stays)) continue;
      next[0] += counts[carry] * Math.max(0, size - added);
      if (!top) next[1] += counts[carry] * Math.min(size, added);
    }
    counts = next;
  }
  return counts[0];
}
