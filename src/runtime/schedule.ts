import type { OptimizerOptions } from './types.js';

/**
 * The factor on the learning rate in one step: with w = ⌈warmup · steps⌉ it is (step + 1)/w during warm-up, so that no
 * step is lost to a rate of 0, and then falls from 1 towards 0, which the step after the last would reach.
 * @param step 0 … steps − 1
 */
export function scheduleFactor(
  { warmup, schedule }: Pick<OptimizerOptions, 'warmup' | 'schedule'>,
  step: number,
  steps: number,
): number {
  const rising = Math.ceil(warmup * steps);
  if (step < rising) return (step + 1) / rising;
  const share = Math.min(1, (step - rising) / (steps - rising));
  switch (schedule) {
    case 'constant':
      return 1;
    case 'linear':
      return 1 - share;
    case 'cosine':
      return (1 + Math.cos(Math.PI * share)) / 2;
  }
}

/** 1 at the first step, falling linearly to 0 at the share `until` of the steps; no warm-up. */
export const fallingFactor = (until: number, step: number, steps: number): number =>
  Math.max(0, 1 - step / (until * steps));
