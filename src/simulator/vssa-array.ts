/** The variable-speed systolic array, cycle-true and fast: tiles one after the other, or in one unbroken stream. */
import { instantiate, reserve } from './kernels/instantiate.js';
import { wasmBase64 } from './kernels/vssa.generated.js';
import { type Tile, total } from './vssa-reference.js';

/** What the array did. Waits are PE-cycles. */
export interface ArrayRun {
  readonly cycles: number;
  /** PE-cycles at work, one product of PE-wide operands each. */
  readonly busy: number;
  /** Before a PE's first step of a tile. */
  readonly fill: number;
  /** For operands from the left or from above, after that. */
  readonly operandWait: number;
  /** For room in the links to the right or below. */
  readonly pressureWait: number;
  /** After a PE's last step, until the array is done. */
  readonly drain: number;
  /** Of PEs that had no row or column all the while. */
  readonly unused: number;
  /** Steps of all PEs. */
  readonly peSteps: number;
  readonly tiles: number;
}

export const NO_RUN: ArrayRun = {
  cycles: 0,
  busy: 0,
  fill: 0,
  operandWait: 0,
  pressureWait: 0,
  drain: 0,
  unused: 0,
  peSteps: 0,
  tiles: 0,
};

export function addRuns(a: ArrayRun, b: ArrayRun): ArrayRun {
  const names = Object.keys(NO_RUN) as (keyof ArrayRun)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as ArrayRun;
}

interface Exports {
  runTile(
    a: number,
    rows: number,
    b: number,
    columns: number,
    s: number,
    steps: number,
    finish: number,
    start: number,
    stride: number,
    plane: number,
    zeros: number,
    depth: number,
    before: number,
  ): void;
  fill(): number;
  operands(): number;
  pressure(): number;
}

const INTEGER = 4;
let kernel: ReturnType<typeof instantiate<Exports>> | undefined;

export interface ArrayShape {
  readonly rows: number;
  readonly columns: number;
  /** Operands that a link between two PEs holds; 0: without bound. */
  readonly linkDepth: number;
}

/**
 * Plays tiles in one stream: the operands of a tile follow those of the one before at once, and sums move aside into
 * a second register. A single tile is a stream of its own. Tiles are at most as large as the array, and not empty.
 */
export const playStream = (shape: ArrayShape, tiles: readonly Tile[]): ArrayRun => play(shape, tiles).run;

/** The same; @returns the cycle in which each PE of the array finished its last step, row by row; 0 for PEs without one */
export function finishesOf(shape: ArrayShape, tiles: readonly Tile[]): Int32Array {
  return play(shape, tiles).finishes.slice();
}

/** @returns finishes that hold until the next call */
function play({ rows, columns, linkDepth }: ArrayShape, tiles: readonly Tile[]) {
  kernel ??= instantiate<Exports>(wasmBase64);
  const { exports, memory, heap } = kernel;
  const longest = tiles.reduce((most, { steps }) => Math.max(most, steps.length), 0);
  const stride = columns * INTEGER;
  const plane = rows * stride;
  const finish = heap;
  const start = finish + plane;
  const zeros = start + Math.max(1, linkDepth) * plane;
  const a = zeros + stride;
  const b = a + rows * INTEGER;
  const s = b + stride;
  reserve(memory, s + longest * INTEGER);
  const words = new Int32Array(memory.buffer);
  words.fill(0, finish / INTEGER, a / INTEGER);
  const [usedRows, usedColumns] = [
    Math.max(...tiles.map((t) => t.rows.length)),
    Math.max(...tiles.map((t) => t.columns.length)),
  ];
  const used = new Uint8Array(rows * columns);
  const sums = { busy: 0, fill: 0, operandWait: 0, pressureWait: 0, peSteps: 0 };
  let before = 0;
  for (const tile of tiles) {
    words.set(tile.rows, a / INTEGER);
    words.set(tile.columns, b / INTEGER);
    words.set(tile.steps, s / INTEGER);
    exports.runTile(
      a,
      tile.rows.length,
      b,
      tile.columns.length,
      s,
      tile.steps.length,
      finish,
      start,
      stride,
      plane,
      zeros,
      linkDepth,
      before,
    );
    before += tile.steps.length;
    sums.fill += exports.fill();
    sums.operandWait += exports.operands();
    sums.pressureWait += exports.pressure();
    sums.busy += total(tile.rows) * total(tile.columns) * total(tile.steps);
    sums.peSteps += tile.rows.length * tile.columns.length * tile.steps.length;
    markUsed(used, tile, columns);
  }
  const finishes = words.subarray(finish / INTEGER, finish / INTEGER + rows * columns);
  let cycles = 0;
  let finished = 0;
  let pes = 0;
  for (let i = 0; i < usedRows; i++) {
    for (let j = 0; j < usedColumns; j++) {
      if (used[i * columns + j] === 0) continue;
      const last = finishes[i * columns + j]!;
      cycles = Math.max(cycles, last);
      finished += last;
      pes++;
    }
  }
  const run: ArrayRun = {
    ...sums,
    cycles,
    drain: pes * cycles - finished,
    unused: (rows * columns - pes) * cycles,
    tiles: tiles.length,
  };
  return { run, finishes };
}

/** PEs that a stream uses at all: small tiles leave some out. */
function markUsed(used: Uint8Array, { rows, columns }: Tile, stride: number): void {
  for (let i = 0; i < rows.length; i++) used.fill(1, i * stride, i * stride + columns.length);
}
