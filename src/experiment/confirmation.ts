/**
 * Which of the points that a search found can be trusted: those that surely keep the budget on examples that the search has
 * not seen. The cheapest of many points is one that its own examples flatter; so points are tested in an order fixed before,
 * from the safest to the cheapest, up to the first that fails. A point that breaks the budget is then chosen no more often than one test
 * allows, however many are tested (Laufer-Goldshtein et al., ICLR 2023; Angelopoulos et al., arXiv 2110.01052).
 */
import type { Point } from '../search/types.js';
import { largestLoss, type PairedCounts } from './paired-loss.js';
import type { SearchTrial } from './result.js';

/** Points that no cheaper one equals in accuracy, the dearest and most accurate first. */
export function front(trials: readonly SearchTrial[]): SearchTrial[] {
  const cheapestFirst = [...trials].sort((a, b) => a.cost - b.cost || b.accuracy - a.accuracy);
  let best = -1;
  const kept = cheapestFirst.filter(({ accuracy }) => {
    if (accuracy <= best) return false;
    best = accuracy;
    return true;
  });
  return kept.reverse();
}

export interface Budget {
  /** Accuracy that may be lost, 0 … 1. */
  readonly loss: number;
  /** How sure it must be that no more is lost, 0.5 … 1. */
  readonly confidence: number;
}

export interface Confirmation {
  readonly trial: SearchTrial;
  readonly counts: PairedCounts;
  /** Upper end of the interval for the loss. */
  readonly atMost: number;
}

/** The last of the points, in their order, before the first that fails. */
export async function confirmInOrder(
  points: readonly SearchTrial[],
  { loss, confidence }: Budget,
  compare: (point: Point) => Promise<PairedCounts>,
): Promise<Confirmation | undefined> {
  let passed: Confirmation | undefined;
  for (const trial of points) {
    const counts = await compare(trial.point);
    const atMost = largestLoss(counts, confidence);
    if (atMost > loss) break;
    passed = { trial, counts, atMost };
  }
  return passed;
}
