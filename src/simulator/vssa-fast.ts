/**
 * Cycles of the variable-speed array in closed form (derived from its recurrence, as its longest path). Operands take a
 * staircase of PEs from the first to the last, and the slowest PE on it sets the pace of all steps. Where the pace changes,
 * one-deep links let a wave of slow steps hold back the fast ones behind it: the longest path goes forward through the array
 * while steps are slow, and falls back, at no cost, while they are fast.
 */
import { type Tile, total } from './vssa-reference.js';

let above = new Float64Array(64);

/** Largest sum of rows[i] · columns[j] over staircases from the first PE to the last. */
export function staircase(rows: ArrayLike<number>, columns: ArrayLike<number>): number {
  const size = columns.length;
  if (above.length < size) above = new Float64Array(2 * size);
  above.fill(0, 0, size);
  for (let i = 0; i < rows.length; i++) {
    let left = 0;
    const row = rows[i]!;
    for (let j = 0; j < size; j++) {
      left = Math.max(left, above[j]!) + row * columns[j]!;
      above[j] = left;
    }
  }
  return above[size - 1]!;
}

/** Cycles of tiles in one unbroken stream; of one tile by itself, when there is only one. */
export function estimateStream(tiles: readonly Tile[]): number {
  const path = new LongestPath();
  for (const { rows, columns, steps } of tiles) {
    const slowest = largest(rows) * largest(columns);
    const depth = rows.length + columns.length - 2;
    const forward = depth === 0 ? 0 : (staircase(rows, columns) - slowest) / depth;
    for (let t = 0; t < steps.length; ) {
      const step = steps[t]!;
      const first = t;
      while (t < steps.length && steps[t] === step) t++;
      path.add({ steps: t - first, pace: slowest * step, forward: forward * step, depth });
    }
  }
  return path.cycles();
}

/** Steps of equal pace. */
interface Run {
  readonly steps: number;
  /** Cycles per step of the slowest PE. */
  readonly pace: number;
  /** Cycles per PE, for a way through the array. */
  readonly forward: number;
  /** PEs on that way, beyond the first. */
  readonly depth: number;
}

/** Goes forward in the last run before a faster one, back in the last before a slower one, and forward at the end. */
class LongestPath {
  #cycles = 0;
  #position = 0;
  #last: Run | undefined;

  add(run: Run): void {
    const last = this.#last;
    if (last === undefined || last.pace !== run.pace || last.depth !== run.depth) {
      if (last !== undefined) this.#turn(last, run.pace < last.pace);
      this.#last = run;
    } else {
      const steps = last.steps + run.steps;
      const forward = (last.forward * last.steps + run.forward * run.steps) / steps;
      this.#last = { ...run, steps, forward };
    }
  }

  cycles(): number {
    if (this.#last !== undefined) this.#turn(this.#last, true);
    this.#last = undefined;
    return Math.round(this.#cycles);
  }

  #turn({ steps, pace, forward, depth }: Run, ahead: boolean): void {
    this.#position = Math.min(this.#position, depth);
    const moved = ahead ? depth - this.#position : -Math.min(this.#position, steps);
    this.#cycles += steps * pace + moved * (ahead ? forward : pace);
    this.#position += moved;
  }
}

function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let at = 0; at < values.length; at++) most = Math.max(most, values[at]!);
  return most;
}

/** PE-cycles at work in a tile. */
export const workOf = ({ rows, columns, steps }: Tile): number => total(rows) * total(columns) * total(steps);
