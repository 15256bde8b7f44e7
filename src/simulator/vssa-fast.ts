/**
 * Cycles of the variable-speed array in closed form (derived from its recurrence, as its longest path). Operands grouped by
 * width: see vssa-corners.ts. In any order, tile after tile: operands take a staircase of PEs from the first to the last,
 * and the slowest PE sets the pace of all steps. Where the pace changes, links with little room let a wave of slow steps
 * hold back the fast ones behind it: the longest path goes forward through the array while steps are slow, and falls back,
 * at no cost, while they are fast.
 */
import { isStreamed, type VssaConfig } from './vssa-config.js';
import { estimateStream } from './vssa-corners.js';
import type { Tile } from './vssa-reference.js';

/** Cycles of a head's tiles, in one stream or one after the other. */
export function estimateTiles(tiles: readonly Tile[], config: Pick<VssaConfig, 'array' | 'stallRelief'>): number {
  const { linkDepth } = config.array;
  if (isStreamed(config)) return estimateStream(tiles, linkDepth);
  if (config.stallRelief === 'grouped') return sumOverTiles(tiles, (tile) => estimateStream([tile], linkDepth));
  const known: Known = new Map();
  return sumOverTiles(tiles, (tile) => estimateMixed(tile, linkDepth, known));
}

/** Tiles that share rows, columns and steps are looked at once. */
function sumOverTiles(tiles: readonly Tile[], cyclesOf: (tile: Tile) => number): number {
  const known = new Map<Tile['rows'], { tile: Tile; cycles: number }[]>();
  let sum = 0;
  for (const tile of tiles) {
    const ofRows = known.get(tile.rows) ?? [];
    let same = ofRows.find((one) => one.tile.columns === tile.columns && one.tile.steps === tile.steps);
    if (same === undefined) {
      same = { tile, cycles: cyclesOf(tile) };
      ofRows.push(same);
      known.set(tile.rows, ofRows);
    }
    sum += same.cycles;
  }
  return sum;
}

/** Equal values next to each other. */
interface Runs {
  readonly values: Float64Array;
  readonly lengths: Float64Array;
  readonly largest: number;
  readonly turns: Turns;
}

/** Places on a way through rows or columns where it may turn: the first and the last of each run. */
interface Turns {
  readonly values: Float64Array;
  /** Rows or columns since the place before, times their value. */
  readonly passed: Float64Array;
}

/** Tiles of a head share their rows, columns and steps. */
type Known = Map<Tile['rows'], Runs>;

function runsOf(all: Tile['rows'], known: Known): Runs {
  const found = known.get(all);
  if (found !== undefined) return found;
  let [runs, single] = [0, 0];
  for (let at = 0; at < all.length; at++) {
    if (at > 0 && all[at] === all[at - 1]) continue;
    runs++;
    if (all[at] !== all[at + 1]) single++;
  }
  const [values, lengths] = [new Float64Array(runs), new Float64Array(runs)];
  const turns = { values: new Float64Array(2 * runs - single), passed: new Float64Array(2 * runs - single) };
  let [run, turn, largest] = [0, 0, 0];
  for (let first = 0; first < all.length; run++) {
    const value = all[first]!;
    let end = first + 1;
    while (end < all.length && all[end] === value) end++;
    const length = end - first;
    values[run] = value;
    lengths[run] = length;
    turns.values[turn] = value;
    turns.passed[turn++] = value;
    if (length > 1) {
      turns.values[turn] = value;
      turns.passed[turn++] = value * (length - 1);
    }
    if (value > largest) largest = value;
    first = end;
  }
  const result = { values, lengths, largest, turns };
  known.set(all, result);
  return result;
}

let above = new Float64Array(64);

/**
 * Largest sum of rows[i] · columns[j] over staircases from the first PE to the last. Within a block of equal PEs all ways
 * cost the same, so that the best way turns at corners of blocks.
 */
function staircase(rows: Turns, columns: Turns): number {
  const size = columns.values.length;
  if (above.length < size) above = new Float64Array(2 * size);
  const [best, values, across] = [above, columns.values, columns.passed];
  const first = rows.values[0]!;
  let left = 0;
  for (let j = 0; j < size; j++) {
    left += across[j]! * first;
    best[j] = left;
  }
  for (let i = 1; i < rows.values.length; i++) {
    const row = rows.values[i]!;
    const down = rows.passed[i]!;
    left = best[0]! + down * values[0]!;
    best[0] = left;
    for (let j = 1; j < size; j++) {
      const along = left + across[j]! * row;
      const from = best[j]! + down * values[j]!;
      left = Math.max(along, from);
      best[j] = left;
    }
  }
  return best[size - 1]!;
}

/** One tile by itself. The path goes forward before each faster run of steps and at the end, and back where that pays. */
function estimateMixed(tile: Tile, linkDepth: number, known: Known): number {
  const [rows, columns, steps] = [runsOf(tile.rows, known), runsOf(tile.columns, known), runsOf(tile.steps, known)];
  const slowest = rows.largest * columns.largest;
  const depth = tile.rows.length + tile.columns.length - 2;
  const forward = depth === 0 ? 0 : (staircase(rows.turns, columns.turns) - slowest) / depth;
  const runs = steps.values.length;
  let [cycles, position] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const [step, length] = [steps.values[run]!, steps.lengths[run]!];
    const next = run + 1 < runs ? steps.values[run + 1]! : 0;
    cycles += length * slowest * step;
    if (next < step) {
      cycles += (depth - position) * forward * step;
      position = depth;
    } else if (linkDepth > 0 && forward * next > linkDepth * slowest * step) {
      const back = Math.min(position, Math.floor(length / linkDepth));
      cycles -= back * linkDepth * slowest * step;
      position -= back;
    }
  }
  return Math.round(cycles);
}
