/**
 * What a dense systolic array does with C[m×n] = A[m×k]·B[k×n], in closed form. A is the ifmap, B the filter, C the ofmap.
 *
 * Cycles and SRAM accesses of A and B are SCALE-Sim's: every fold takes as long as a full one. Its compute cycles are one
 * less than the cycles of the array ("scale-sim"; "complete" counts them all). Ofmap writes are the true number; reads of
 * partial sums, which SCALE-Sim leaves out, are counted. systolic-reference.ts is the same machine, register by register.
 */
import type { GemmLayer } from '../workload/types.js';

export const DATAFLOWS = ['os', 'ws', 'is'] as const;
export type Dataflow = (typeof DATAFLOWS)[number];

export const CYCLE_CONVENTIONS = ['scale-sim', 'complete'] as const;
export type CycleConvention = (typeof CYCLE_CONVENTIONS)[number];

export interface ArraySize {
  readonly rows: number;
  readonly columns: number;
}

export interface SystolicCounts {
  /** Compute cycles, stalls for off-chip memory not included. */
  readonly cycles: number;
  readonly foldCycles: number;
  readonly folds: number;
  readonly macs: number;
  /** Elements read from and written to the three SRAMs. */
  readonly ifmapReads: number;
  readonly filterReads: number;
  readonly ofmapReads: number;
  readonly ofmapWrites: number;
  /** Writes of the PEs' operand registers, as values pass through the array. */
  readonly operandHops: number;
  /** Writes of accumulators (os) or partial-sum registers (ws, is). */
  readonly sumWrites: number;
  /** macs / (cycles · PEs). */
  readonly utilisation: number;
}

/** @throws nothing: sizes are positive integers by the types' contract. */
export function systolicCounts(
  size: ArraySize,
  dataflow: Dataflow,
  convention: CycleConvention,
  layer: Pick<GemmLayer, 'm' | 'n' | 'k'>,
): SystolicCounts {
  if (dataflow === 'is') {
    const { ifmapReads, filterReads, ...rest } = stationary(size, convention, layer.n, layer.m, layer.k);
    return { ...rest, ifmapReads: filterReads, filterReads: ifmapReads };
  }
  const { m, n, k } = layer;
  return dataflow === 'os' ? outputStationary(size, convention, m, n, k) : stationary(size, convention, m, n, k);
}

function outputStationary(
  { rows, columns }: ArraySize,
  convention: CycleConvention,
  m: number,
  n: number,
  k: number,
): SystolicCounts {
  const [rowFolds, columnFolds] = [Math.ceil(m / rows), Math.ceil(n / columns)];
  const folds = rowFolds * columnFolds;
  // The last PE starts rows − 1 + columns − 1 cycles after the first and multiplies k times.
  const foldCycles = rows + columns + k - 2;
  const cycles = foldCycles * folds - deduction(convention);
  const [ifmapReads, filterReads] = [m * k * columnFolds, k * n * rowFolds];
  const macs = m * n * k;
  return {
    cycles,
    foldCycles,
    folds,
    macs,
    ifmapReads,
    filterReads,
    ofmapReads: 0,
    ofmapWrites: m * n,
    operandHops: ifmapReads * columns + filterReads * rows,
    sumWrites: macs,
    utilisation: share(macs, cycles * rows * columns),
  };
}

/** A [m×k] streams past a block of B [k×n] that stays. */
function stationary(
  { rows, columns }: ArraySize,
  convention: CycleConvention,
  m: number,
  n: number,
  k: number,
): SystolicCounts {
  const [depthFolds, columnFolds] = [Math.ceil(k / rows), Math.ceil(n / columns)];
  const folds = depthFolds * columnFolds;
  // `rows` cycles load the block; then the last sum leaves m − 1 + rows − 1 + columns − 1 cycles after the first product.
  const foldCycles = 2 * rows + columns + m - 2;
  const cycles = foldCycles * folds - deduction(convention);
  const ifmapReads = m * k * columnFolds;
  const macs = m * n * k;
  return {
    cycles,
    foldCycles,
    folds,
    macs,
    ifmapReads,
    filterReads: k * n,
    ofmapReads: m * n * (depthFolds - 1),
    ofmapWrites: m * n * depthFolds,
    operandHops: ifmapReads * columns + n * loadingHops(k, rows),
    sumWrites: m * n * depthFolds * rows,
    utilisation: share(macs, cycles * rows * columns),
  };
}

/** A weight for array row r passes r + 1 registers; summed over k rows in folds of `rows`. */
function loadingHops(k: number, rows: number): number {
  const [whole, rest] = [Math.floor(k / rows), k % rows];
  return (whole * rows * (rows + 1) + rest * (rest + 1)) / 2;
}

const deduction = (convention: CycleConvention) => (convention === 'scale-sim' ? 1 : 0);

/** A 1 × 1 array on a 1 × 1 × 1 product takes no cycle at all by SCALE-Sim's convention. */
const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
