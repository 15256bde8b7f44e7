/**
 * Early termination of one bit-serial dot product (LeOPArd, ISCA 2022), written for reading: the definition that the
 * fast kernel is tested against, and the fallback for operands too wide for it.
 *
 * K is sign-magnitude and arrives most significant bits first, `bitsPerStep` a step; the sign counts as the first bit.
 * With P the product of q and the bits seen so far, and R the value of all unseen bits set, the final score lies in
 *   [P − R·N, P + R·M],   M (N) = Σ |q_i| over elements whose product is positive (negative) by sign
 * since an unseen bit can only make a product larger in magnitude. (Bound: derived from the published principle of a
 * conservative margin.)
 */

export interface BitSerialFormat {
  /** Width of K, sign included: 2 … 16. */
  readonly bits: number;
  readonly bitsPerStep: number;
}

export interface BitSerialScore {
  /** Steps until the decision: 1 … stepsOf(format). */
  readonly steps: number;
  readonly kept: boolean;
  /** Full score Σ q·k. Known to the machine only when every step ran. */
  readonly score: number;
  /** Upper and lower bound on the score after each step that ran. */
  readonly upperBounds: readonly number[];
  readonly lowerBounds: readonly number[];
}

/** Steps of a dot product that is not stopped. */
export const stepsOf = ({ bits, bitsPerStep }: BitSerialFormat): number => Math.ceil(bits / bitsPerStep);

/** Bits of each K element that were read after `steps` steps. */
export const bitsAfter = ({ bits, bitsPerStep }: BitSerialFormat, steps: number): number =>
  Math.min(bits, bitsPerStep * steps);

/** Value of all unseen bits set, after `steps` steps. */
export const unseenAfter = (format: BitSerialFormat, steps: number): number =>
  2 ** (format.bits - bitsAfter(format, steps)) - 1;

/**
 * One score of q[0 … dim) and k[0 … dim) against an integer threshold.
 * A zero q contributes nothing; a zero k has a positive sign.
 */
export function bitSerialScore(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  threshold: number,
  format: BitSerialFormat,
): BitSerialScore {
  let [score, positive, negative] = [0, 0, 0];
  for (let i = 0; i < q.length; i++) {
    score += q[i]! * k[i]!;
    const positiveProduct = q[i]! > 0 === k[i]! >= 0;
    if (positiveProduct) positive += Math.abs(q[i]!);
    else negative += Math.abs(q[i]!);
  }
  const upperBounds: number[] = [];
  const lowerBounds: number[] = [];
  const last = stepsOf(format);
  for (let step = 1; step <= last; step++) {
    const unseen = unseenAfter(format, step);
    const partial = partialScore(q, k, unseen + 1);
    upperBounds.push(partial + unseen * positive);
    lowerBounds.push(partial - unseen * negative);
    if (partial + unseen * positive < threshold) return { steps: step, kept: false, score, upperBounds, lowerBounds };
  }
  return { steps: last, kept: true, score, upperBounds, lowerBounds };
}

/** Σ q·k with the magnitudes of k rounded down to multiples of `unit`. */
function partialScore(q: ArrayLike<number>, k: ArrayLike<number>, unit: number): number {
  let sum = 0;
  for (let i = 0; i < q.length; i++) sum += q[i]! * Math.trunc(k[i]! / unit) * unit;
  return sum;
}
