/**
 * A dense systolic array, cycle by cycle and register by register: operands really move from one processing element (PE)
 * to the next, and the products are the true ones. Slow and plain; it establishes the closed forms of systolic-counts.ts
 * on small sizes.
 *
 * Every fold maps a block of the product onto the array and ends before the next one starts:
 *   os  outputs stay: a row of A per array row enters from the left, a column of B per array column from the top;
 *       an output leaves its PE when its last product is in.
 *   ws  a block of B stays, loaded from the top, a row per cycle; rows of A stream in from the left; sums flow down.
 *   is  as ws for the transposed product Cᵀ = Bᵀ·Aᵀ, so that a block of Aᵀ stays.
 * The controller gives every fold the time that a full block needs, so blocks at the edge are not faster.
 */
import type { ArraySize, Dataflow } from './systolic-counts.js';

export interface ReferenceRun {
  /** A·B, row-major [m × n]. */
  readonly product: Float64Array;
  readonly cycles: number;
  readonly macs: number;
  readonly ifmapReads: number;
  readonly filterReads: number;
  readonly ofmapReads: number;
  readonly ofmapWrites: number;
  /** Writes of operand registers, as valid values pass from PE to PE. */
  readonly operandHops: number;
  /** Writes of accumulators (os) or partial-sum registers (ws, is). */
  readonly sumWrites: number;
}

type Matrix = readonly (readonly number[])[];

/** @param a [m × k] @param b [k × n] */
export function runReference(size: ArraySize, dataflow: Dataflow, a: Matrix, b: Matrix): ReferenceRun {
  if (dataflow === 'os') return outputStationary(size, a, b);
  if (dataflow === 'ws') return stationary(size, a, b);
  const run = stationary(size, transpose(b), transpose(a));
  const [m, n] = [a.length, b[0]!.length];
  const product = Float64Array.from(
    { length: m * n },
    (_, index) => run.product[(index % n) * m + Math.floor(index / n)]!,
  );
  return { ...run, product, ifmapReads: run.filterReads, filterReads: run.ifmapReads };
}

type Counts = { -readonly [Key in Exclude<keyof ReferenceRun, 'product' | 'cycles'>]: number };

const noCounts = (): Counts => ({
  macs: 0,
  ifmapReads: 0,
  filterReads: 0,
  ofmapReads: 0,
  ofmapWrites: 0,
  operandHops: 0,
  sumWrites: 0,
});

/** Registers of the array, undefined where nothing valid is held. */
type Registers<T> = (T | undefined)[][];

const registers = <T>({ rows, columns }: ArraySize): Registers<T> =>
  Array.from({ length: rows }, () => Array<T | undefined>(columns).fill(undefined));

function shiftRight<T>(held: Registers<T>, enter: (row: number) => T | undefined): void {
  for (const [row, line] of held.entries()) {
    line.pop();
    line.unshift(enter(row));
  }
}

function shiftDown<T>(held: Registers<T>, enter: (column: number) => T | undefined): void {
  const columns = held[0]!.length;
  held.pop();
  held.unshift(Array.from({ length: columns }, (_, column) => enter(column)));
}

const valid = <T>(held: Registers<T>) => held.flat().filter((one) => one !== undefined).length;

/** Runs a fold for `duration` cycles, or until all `outputs` have left. @returns the cycles it ran and outputs seen. */
function runFold(duration: number | undefined, outputs: number, cycle: (now: number) => number): number {
  let [now, done] = [0, 0];
  while (duration === undefined ? done < outputs : now < duration) done += cycle(now++);
  if (done !== outputs) throw new Error(`a fold ended with ${done} of ${outputs} outputs`);
  return now;
}

function outputStationary(size: ArraySize, a: Matrix, b: Matrix): ReferenceRun {
  const [m, k, n] = [a.length, b.length, b[0]!.length];
  const product = new Float64Array(m * n);

  /** One fold; rows and columns of the block are those of A and B that exist. */
  const fold = (blockA: Matrix, blockB: Matrix, counts: Counts, keep: Keep, duration?: number): number => {
    const [usedRows, usedColumns] = [blockA.length, blockB[0]!.length];
    const right = registers<{ value: number; step: number }>(size);
    const down = registers<{ value: number; step: number }>(size);
    const sums = Array.from({ length: size.rows }, () => new Float64Array(size.columns));
    return runFold(duration, usedRows * usedColumns, (now) => {
      let done = 0;
      shiftRight(right, (row) => {
        const step = now - row;
        if (row >= usedRows || step < 0 || step >= k) return undefined;
        counts.ifmapReads++;
        return { value: blockA[row]![step]!, step };
      });
      shiftDown(down, (column) => {
        const step = now - column;
        if (column >= usedColumns || step < 0 || step >= k) return undefined;
        counts.filterReads++;
        return { value: blockB[step]![column]!, step };
      });
      counts.operandHops += valid(right) + valid(down);
      for (let row = 0; row < size.rows; row++) {
        for (let column = 0; column < size.columns; column++) {
          const [x, y] = [right[row]![column], down[row]![column]];
          if (!x || !y) continue;
          if (x.step !== y.step) throw new Error('operands of different steps met');
          sums[row]![column]! += x.value * y.value;
          counts.macs++;
          counts.sumWrites++;
          if (x.step < k - 1) continue;
          keep(row, column, sums[row]![column]!);
          counts.ofmapWrites++;
          done++;
        }
      }
      return done;
    });
  };

  const full = fold(ones(size.rows, k), ones(k, size.columns), noCounts(), () => {});
  const counts = noCounts();
  let cycles = 0;
  for (let row0 = 0; row0 < m; row0 += size.rows) {
    for (let column0 = 0; column0 < n; column0 += size.columns) {
      const keep: Keep = (row, column, value) => {
        product[(row0 + row) * n + column0 + column] = value;
      };
      const blockB = b.map((line) => line.slice(column0, column0 + size.columns));
      cycles += fold(a.slice(row0, row0 + size.rows), blockB, counts, keep, full);
    }
  }
  return { product, cycles, ...counts };
}

type Keep = (row: number, column: number, value: number) => void;

/** Weight-stationary: a block of B [k × n] stays in the array. */
function stationary(size: ArraySize, a: Matrix, b: Matrix): ReferenceRun {
  const [m, k, n] = [a.length, b.length, b[0]!.length];
  const product = new Float64Array(m * n);

  const fold = (streamed: Matrix, kept: Matrix, counts: Counts, keep: Keep, duration?: number): number => {
    const [usedRows, usedColumns, vectors] = [kept.length, kept[0]!.length, streamed.length];
    const weights = registers<number>(size);
    const right = registers<{ value: number; vector: number }>(size);
    let sums = registers<{ value: number; vector: number }>(size);
    return runFold(duration, vectors * usedColumns, (now) => {
      if (now < size.rows) {
        // The bottom row's weights enter first.
        shiftDown(weights, (column) => {
          const row = size.rows - 1 - now;
          if (row >= usedRows || column >= usedColumns) return undefined;
          counts.filterReads++;
          return kept[row]![column]!;
        });
        counts.operandHops += valid(weights);
        return 0;
      }
      shiftRight(right, (row) => {
        const vector = now - size.rows - row;
        if (row >= usedRows || vector < 0 || vector >= vectors) return undefined;
        counts.ifmapReads++;
        return { value: streamed[vector]![row]!, vector };
      });
      counts.operandHops += valid(right);
      // Each PE adds its product to the sum that comes from above; unused rows pass the sum on.
      const next = registers<{ value: number; vector: number }>(size);
      let done = 0;
      for (let row = 0; row < size.rows; row++) {
        for (let column = 0; column < usedColumns; column++) {
          const above = row > 0 ? sums[row - 1]![column] : undefined;
          const x = right[row]![column];
          if (!x && !above) continue;
          if (x && above && x.vector !== above.vector) throw new Error('a sum met an operand of another vector');
          const added = x ? x.value * weights[row]![column]! : 0;
          if (x) counts.macs++;
          counts.sumWrites++;
          next[row]![column] = { value: (above?.value ?? 0) + added, vector: (x ?? above)!.vector };
          if (row < size.rows - 1) continue;
          keep(next[row]![column]!.vector, column, next[row]![column]!.value);
          done++;
        }
      }
      sums = next;
      return done;
    });
  };

  const full = fold(ones(m, size.rows), ones(size.rows, size.columns), noCounts(), () => {});
  const counts = noCounts();
  let cycles = 0;
  for (let column0 = 0; column0 < n; column0 += size.columns) {
    for (let k0 = 0; k0 < k; k0 += size.rows) {
      const keep: Keep = (vector, column, value) => {
        if (k0 > 0) counts.ofmapReads++;
        counts.ofmapWrites++;
        product[vector * n + column0 + column]! += value;
      };
      const kept = b.slice(k0, k0 + size.rows).map((line) => line.slice(column0, column0 + size.columns));
      cycles += fold(
        a.map((line) => line.slice(k0, k0 + size.rows)),
        kept,
        counts,
        keep,
        full,
      );
    }
  }
  return { product, cycles, ...counts };
}

const ones = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array<number>(columns).fill(1));

const transpose = (matrix: Matrix): Matrix => matrix[0]!.map((_, column) => matrix.map((line) => line[column]!));
