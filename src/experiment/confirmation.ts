/**
 * Which of the points that a search found can be trusted: those that surely keep the budget on examples that the search has
 * not seen. The cheapest of many points is one that its own examples flatter; so points are tested in an order fixed before, from the
 * safest to the cheapest, and what may go wrong is divided among the tests beforehand (the fallback procedure of Wiens, Pharmaceutical
 * Statistics 2, 2003): each test has a share of the risk, and hands on to the next all that it had if its point passes. That any
 * point passes that breaks the budget is then no likelier than the whole risk, however many are tested.
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

/** Share of the risk that the first test has, of the point that is likeliest to pass; the others have the rest in equal parts. */
export const FIRST_SHARE = 0.5;

/**
 * The cheapest of the trials that passes: the last one, in their order.
 * @param confidence that no trial passes that may lose more than the budget
 * @param compare what is lost at most, with the confidence given
 */
export async function confirmInOrder<Trial, Found extends Comparison>(
  trials: readonly Trial[],
  { budget, confidence }: { readonly budget: number; readonly confidence: number },
  compare: (trial: Trial, confidence: number) => Promise<Found>,
): Promise<{ readonly trial: Trial; readonly found: Found; readonly cheaper: number } | undefined> {
  const risk = 1 - confidence;
  const others = (risk * (1 - FIRST_SHARE)) / Math.max(1, trials.length - 1);
  let passed: { trial: Trial; found: Found; cheaper: number } | undefined;
  let handedOn = 0;
  for (const [at, trial] of trials.entries()) {
    const own = handedOn + (at === 0 ? risk * FIRST_SHARE : others);
    const found = await compare(trial, 1 - own);
    const passes = found.atMost <= budget;
    handedOn = passes ? own : 0;
    if (passes) passed = { trial, found, cheaper: trials.length - 1 - at };
  }
  return passed;
}
