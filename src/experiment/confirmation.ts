/**
 * Which of the points that a search found can be trusted: those that surely keep the budget on examples that the search has
 * not seen. The cheapest of many points is one that its own examples flatter; so points are tested in an order fixed before,
 * from the safest to the cheapest, up to the first that fails. A point that breaks the budget is then chosen no more often than one test
 * allows, however many are tested (Laufer-Goldshtein et al., ICLR 2023; Angelopoulos et al., arXiv 2110.01052).
 */

/** Trials that no cheaper one equals in quality, the dearest and best first. @param quality larger is better */
export function front<Trial extends { readonly cost: number }>(
  trials: readonly Trial[],
  quality: (trial: Trial) => number,
): Trial[] {
  const cheapestFirst = [...trials].sort((a, b) => a.cost - b.cost || quality(b) - quality(a));
  let best = Number.NEGATIVE_INFINITY;
  const kept = cheapestFirst.filter((trial) => {
    if (quality(trial) <= best) return false;
    best = quality(trial);
    return true;
  });
  return kept.reverse();
}

/** What examples that the search has not seen say of a trial. */
export interface Comparison {
  /** Upper end of the interval for what is lost against the baseline. */
  readonly atMost: number;
}

/** The last of the trials, in their order, before the first that may lose more than the budget. */
export async function confirmInOrder<Trial, Found extends Comparison>(
  trials: readonly Trial[],
  budget: number,
  compare: (trial: Trial) => Promise<Found>,
): Promise<{ readonly trial: Trial; readonly found: Found; readonly cheaper: number } | undefined> {
  let passed: { trial: Trial; found: Found; cheaper: number } | undefined;
  for (const [at, trial] of trials.entries()) {
    const found = await compare(trial);
    if (found.atMost > budget) break;
    passed = { trial, found, cheaper: trials.length - 1 - at };
  }
  return passed;
}
