/**
 * The variable-speed systolic array of DTQAtten (DATE 2022) spelled out: when every PE starts and finishes every step of a
 * tile. Slow and plain; vssa-array.ts must agree with it, and timelines are drawn from it. The recurrence is a
 * reconstruction (derived): the published text of the array's hand-over was not available.
 */

type Factors = readonly number[] | Uint8Array;

/**
 * One output-stationary tile. PE (i, j) adds up a product per step; it takes rows[i] · columns[j] · steps[t] cycles, each
 * factor the number of 4-bit parts (more generally: PE widths) of an operand, or 1 where it does not depend on it.
 */
export interface Tile {
  readonly rows: Factors;
  readonly columns: Factors;
  readonly steps: Factors;
}

export interface ReferenceRun {
  readonly cycles: number;
  /** Cycle in which PE (i, j) starts step t: start[t][i][j]; its last cycle is finish − 1. */
  readonly start: readonly (readonly (readonly number[])[])[];
  readonly finish: readonly (readonly (readonly number[])[])[];
}

/**
 * Operands move right and down when their PE has finished a step, into links that hold `linkDepth` of them: a PE may not
 * start a step before its neighbours have started the one `linkDepth` before. 0: links without bound.
 */
export function referenceTile({ rows, columns, steps }: Tile, linkDepth: number): ReferenceRun {
  const start: number[][][] = [];
  const finish: number[][][] = [];
  const at = (times: number[][][], t: number, i: number, j: number) => times[t]?.[i]?.[j] ?? 0;
  for (let t = 0; t < steps.length; t++) {
    start.push(Array.from(rows, () => []));
    finish.push(Array.from(rows, () => []));
    for (let i = 0; i < rows.length; i++) {
      for (let j = 0; j < columns.length; j++) {
        const earliest = [at(finish, t - 1, i, j), at(finish, t, i - 1, j), at(finish, t, i, j - 1)];
        if (linkDepth > 0) earliest.push(at(start, t - linkDepth, i, j + 1), at(start, t - linkDepth, i + 1, j));
        start[t]![i]![j] = Math.max(...earliest);
        finish[t]![i]![j] = start[t]![i]![j]! + rows[i]! * columns[j]! * steps[t]!;
      }
    }
  }
  return { cycles: Math.max(0, ...finish.flat(2)), start, finish };
}

/** Σ values. */
export function total(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at]!;
  return sum;
}

export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let at = 0; at < values.length; at++) most = Math.max(most, values[at]!);
  return most;
}
