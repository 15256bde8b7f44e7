/**
 * Cycles of the variable-speed array in closed form (derived from its recurrence, as its longest path). Operands take a
 * staircase of PEs from the first to the last, and the slowest PE on it sets the pace of all steps. Where the pace changes,
 * one-deep links let a wave of slow steps hold back the fast ones behind it: the longest path goes forward through the array
 * while steps are slow, and falls back, at no cost, while they are fast.
 */
import { largest, type Tile } from './vssa-reference.js';

/** Equal values next to each other. */
interface Runs {
  readonly values: readonly number[];
  readonly lengths: readonly number[];
  readonly largest: number;
  /** Places on a way through rows or columns where it may turn: the first and the last of each run. */
  readonly turns: { readonly values: Float64Array; readonly passed: Float64Array };
}

/** Tiles of a head share their rows, columns and steps, so each is looked at once. */
type Known = Map<Tile['rows'], Runs>;

function runsOf(all: Tile['rows'], known: Known): Runs {
  const found = known.get(all);
  if (found !== undefined) return found;
  const values: number[] = [];
  const lengths: number[] = [];
  for (let at = 0; at < all.length; ) {
    const first = at;
    while (at < all.length && all[at] === all[first]) at++;
    values.push(all[first]!);
    lengths.push(at - first);
  }
  const runs = { values, lengths, largest: largest(values), turns: turnsOf(values, lengths) };
  known.set(all, runs);
  return runs;
}

function turnsOf(values: readonly number[], lengths: readonly number[]): Runs['turns'] {
  let turns = 0;
  for (const length of lengths) turns += length === 1 ? 1 : 2;
  const places = { values: new Float64Array(turns), passed: new Float64Array(turns) };
  let at = 0;
  for (let run = 0; run < values.length; run++) {
    places.values[at] = values[run]!;
    places.passed[at++] = 1;
    if (lengths[run] === 1) continue;
    places.values[at] = values[run]!;
    places.passed[at++] = lengths[run]! - 1;
  }
  return places;
}

let above = new Float64Array(64);

/**
 * Largest sum of rows[i] · columns[j] over staircases from the first PE to the last. Within a block of equal PEs all ways
 * cost the same, so that the best way turns at corners of blocks.
 */
function staircase({ turns: rows }: Runs, { turns: columns }: Runs): number {
  const size = columns.values.length;
  if (above.length < size) above = new Float64Array(2 * size);
  const [best, values, across] = [above, columns.values, columns.passed];
  const first = rows.values[0]!;
  let left = 0;
  for (let j = 0; j < size; j++) {
    left += across[j]! * first * values[j]!;
    best[j] = left;
  }
  for (let i = 1; i < rows.values.length; i++) {
    const row = rows.values[i]!;
    const down = rows.passed[i]! * row;
    left = best[0]! + down * values[0]!;
    best[0] = left;
    for (let j = 1; j < size; j++) {
      const along = left + across[j]! * row * values[j]!;
      const from = best[j]! + down * values[j]!;
      left = Math.max(along, from);
      best[j] = left;
    }
  }
  return best[size - 1]!;
}

/** Cycles of tiles in one unbroken stream; of one tile by itself, when there is only one. */
export function estimateStream(tiles: readonly Tile[], known: Known = new Map()): number {
  const path = new LongestPath();
  for (const tile of tiles) {
    const [rows, columns, steps] = [runsOf(tile.rows, known), runsOf(tile.columns, known), runsOf(tile.steps, known)];
    const slowest = rows.largest * columns.largest;
    const depth = tile.rows.length + tile.columns.length - 2;
    const forward = depth === 0 ? 0 : (staircase(rows, columns) - slowest) / depth;
    steps.values.forEach((step, run) => {
      path.add({ steps: steps.lengths[run]!, pace: slowest * step, forward: forward * step, depth });
    });
  }
  return path.cycles();
}

/** Cycles of tiles one after the other; tiles that share rows, columns and steps are looked at once. */
export function estimateApart(tiles: readonly Tile[]): number {
  const known: Known = new Map();
  const different: { tile: Tile; cycles: number }[] = [];
  let cycles = 0;
  for (const tile of tiles) {
    const { rows, columns, steps } = tile;
    let same = different.find(
      (one) => one.tile.rows === rows && one.tile.columns === columns && one.tile.steps === steps,
    );
    if (same === undefined) {
      same = { tile, cycles: estimateStream([tile], known) };
      different.push(same);
    }
    cycles += same.cycles;
  }
  return cycles;
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
