/** What searches with several seeds found, as means with intervals. */
import { mean, sampleStandardDeviation } from 'simple-statistics';
import type { SearchRun } from './search-view.js';

/** After each of `trials`, the lowest relative cost so far that keeps the budget; undefined before there is one. */
export function bestSoFar({ trials }: SearchRun): (number | undefined)[] {
  let best: number | undefined;
  return trials.map(({ cost, keeps }) => {
    if (keeps) best = Math.min(best ?? cost, cost);
    return best;
  });
}

/** Mean with its 95 % confidence interval (Student's t; simple-statistics has no quantiles of it). */
export function interval(values: readonly number[]): { mean: number; low: number; high: number } {
  const centre = mean([...values]);
  if (values.length < 2) return { mean: centre, low: centre, high: centre };
  const quantile = T_975[values.length - 2] ?? NORMAL_975;
  const half = (quantile * sampleStandardDeviation([...values])) / Math.sqrt(values.length);
  return { mean: centre, low: centre - half, high: centre + half };
}

/** 97.5 % quantiles of Student's t with 1 … 30 degrees of freedom. */
const T_975 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const NORMAL_975 = 1.96;
