/** How much accuracy a change of a model loses, from predictions of the same examples before and after it. */
import { probit } from 'simple-statistics';

export interface PairedCounts {
  readonly examples: number;
  /** Right before and wrong now. */
  readonly lost: number;
  /** Wrong before and right now. */
  readonly gained: number;
}

/** Predictions of the same examples. */
export function pairedCounts(
  expected: readonly number[],
  before: readonly number[],
  after: readonly number[],
): PairedCounts {
  let [lost, gained] = [0, 0];
  for (const [i, label] of expected.entries()) {
    if (before[i] === label && after[i] !== label) lost++;
    if (before[i] !== label && after[i] === label) gained++;
  }
  return { examples: expected.length, lost, gained };
}

/**
 * Standard deviations by which the loss measured lies above `loss`, with the variance that it would have if `loss` were the
 * true one: the score statistic of Tango (Statistics in Medicine 17, 1998). It holds for few examples and few differences too.
 * @param loss accuracy before minus accuracy after, −1 < loss < 1
 */
export function scoreStatistic({ examples: n, lost, gained }: PairedCounts, loss: number): number {
  // The likeliest probability of a gain, if that of a loss is larger by `loss`: the root of 2n·q² + b·q + c = 0.
  const b = (2 * n - lost + gained) * loss - lost - gained;
  const c = -gained * loss * (1 - loss);
  const gain = (Math.sqrt(b * b - 8 * n * c) - b) / (4 * n);
  const variance = n * (2 * gain + loss * (1 - loss));
  return (lost - gained - n * loss) / Math.sqrt(variance);
}

/** Upper end of the one-sided interval for the true loss. @param confidence 0.5 … 1, without its ends */
export function largestLoss(counts: PairedCounts, confidence: number): number {
  const deviations = -probit(confidence);
  let [low, high] = [(counts.lost - counts.gained) / counts.examples, 1];
  while (high - low > PRECISION) {
    const middle = (low + high) / 2;
    if (scoreStatistic(counts, middle) > deviations) low = middle;
    else high = middle;
  }
  return high;
}

const PRECISION = 1e-9;
