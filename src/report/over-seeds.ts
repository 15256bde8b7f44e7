/** What searches with several seeds found, as means with intervals. */
import { mean, sampleStandardDeviation } from 'simple-statistics';
import { studentQuantile } from '../student.js';
import type { SearchRun } from './search-view.js';

/** After each of `trials`, the lowest relative cost so far that keeps the budget; undefined before there is one. */
export function bestSoFar({ trials }: SearchRun): (number | undefined)[] {
  let best: number | undefined;
  return trials.map(({ cost, keeps }) => {
    if (keeps) best = Math.min(best ?? cost, cost);
    return best;
  });
}

/** Mean with its 95 % confidence interval (Student's t). */
export function interval(values: readonly number[]): { mean: number; low: number; high: number } {
  const centre = mean([...values]);
  if (values.length < 2) return { mean: centre, low: centre, high: centre };
  const quantile = studentQuantile(0.975, values.length - 1);
  const half = (quantile * sampleStandardDeviation([...values])) / Math.sqrt(values.length);
  return { mean: centre, low: centre - half, high: centre + half };
}
