/** A made-up problem like ours: kept shares in cascade over layers, and accuracy that falls late, with the noise of few examples. */
import type { Judgement, Point, Space } from '../../src/search/types.js';

const KEPT = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3];
const WIDE = [1, 0.75, 0.5, 0.25, 0];
/** Accuracy that may be lost. */
export const BUDGET = 0.01;
const EXAMPLES = 512;

export interface Problem {
  readonly space: Space;
  judge(point: Point): Judgement;
}

/** @param tolerance of each layer: how little of its work is enough; the layers differ, so that shares must too */
export function cascade(tolerance: readonly number[], task: number): Problem {
  const dimensions = tolerance.flatMap((_, layer) => [
    { name: `layer ${layer + 1} kept`, values: KEPT },
    { name: `layer ${layer + 1} wide`, values: WIDE },
  ]);
  return {
    space: { dimensions },
    judge(point) {
      let [kept, cost, lost] = [1, 1, 0];
      for (const [layer, least] of tolerance.entries()) {
        kept *= KEPT[point[2 * layer]!]!;
        const wide = WIDE[point[2 * layer + 1]!]!;
        const work = kept * (0.5 + 0.5 * wide);
        cost += work ** 2;
        lost += 0.05 * Math.max(0, least - work) ** 2 + 0.002 * (1 - work);
      }
      const noisy = Math.round((lost + 0.002 * noise(point, task)) * EXAMPLES) / EXAMPLES;
      return { cost: cost / (1 + tolerance.length), violation: noisy - BUDGET };
    },
  };
}

/** −1 … 1, the same for equal points: the luck of the calibration examples. */
function noise(point: Point, task: number): number {
  let hash = 2166136261 ^ task;
  for (const index of point) hash = Math.imul(hash ^ (index + 1), 16777619);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 1540483477);
  return ((hash >>> 8) & 0xffff) / 0x8000 - 1;
}
