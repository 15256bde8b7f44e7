/**
 * Which of the points that a search found can be trusted: those that surely keep the budget on examples that the search has
 * not seen. The cheapest of many points is one that its own examples flatter; so points are tested in an order fixed before,
 * from the dearest to the cheapest, up to the first that fails. A point that breaks the budget is then chosen no more often than one test
 * allows, however many are tested (Laufer-Goldshtein et al., ICLR 2023; Angelopoulos et al., arXiv 2110.01052).
 */

import type { ConfirmationSteps } from './result.js';

/** Costs of one step lie within this factor: where a test fails, little of what could be saved is lost. */
const COST_STEP = 0.7;

/** A point of a search. */
interface Found {
  /** Relative to the point that changes the model least: 1. */
  readonly cost: number;
  /** Upper end of the interval for what is lost against the baseline, on the examples of the search. */
  readonly atMost: number;
}

/**
 * The order of the tests: of the trials in each step of cost below 1, the one that loses least at most; the dearest first. Points
 * that are neither cheap nor the best are among them, since what they may lose is known too badly to leave them out.
 */
export function stepsOfCost<Trial extends Found>(trials: readonly Trial[]): Trial[] {
  const steps = new Map<number, Trial>();
  for (const trial of trials) {
    if (trial.cost >= 1) continue;
    const step = Math.floor(Math.log(trial.cost) / Math.log(COST_STEP));
    const safest = steps.get(step);
    const safer = !safest || trial.atMost < safest.atMost;
    if (safer || (trial.atMost === safest.atMost && trial.cost < safest.cost)) steps.set(step, trial);
  }
  return [...steps.entries()].sort(([a], [b]) => a - b).map(([, trial]) => trial);
}

/** What examples that the search has not seen say of a point. */
export type ConfirmationTest = ConfirmationSteps['tests'][number];

export interface Confirmed<Trial, Comparison> {
  /** The cheapest trial that passed, and what was found of it; absent where the first one failed. */
  readonly passed?: { readonly trial: Trial; readonly found: Comparison };
  /** In their order, the one that failed included. */
  readonly tests: readonly ConfirmationTest[];
}

/** What is to be said of searches of which nothing but the point that changes the model least was confirmed. */
export function unconfirmedRemarks(
  searches: readonly {
    readonly name: string;
    readonly search?: { readonly chosen: { readonly cost: number }; readonly confirmation: ConfirmationSteps };
  }[],
): string[] {
  return searches
    .filter(({ search }) => search?.chosen.cost === 1 && search.confirmation.steps > 1)
    .map(
      ({ name }) =>
        `The search of ${name} found cheaper points, but none that was confirmed: nothing is removed or narrowed.`,
    );
}

/** Tests trials, in their order, up to the first that may lose more than the budget. */
export async function confirmInOrder<Trial extends { readonly cost: number }, Comparison extends { atMost: number }>(
  trials: readonly Trial[],
  budget: number,
  compare: (trial: Trial) => Promise<Comparison>,
): Promise<Confirmed<Trial, Comparison>> {
  let passed: { trial: Trial; found: Comparison } | undefined;
  const tests: ConfirmationTest[] = [];
  for (const trial of trials) {
    const found = await compare(trial);
    tests.push({ cost: trial.cost, atMost: found.atMost });
    if (found.atMost > budget) break;
    passed = { trial, found };
  }
  return { ...(passed && { passed }), tests };
}
