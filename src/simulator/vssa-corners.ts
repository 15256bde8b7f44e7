/**
 * Cycles of a stream of tiles on the variable-speed array, as the longest path of its recurrence (derived), for operands
 * grouped by width: PEs then come in a few blocks of equal speed and steps in a few runs, and a path has no reason to turn
 * but at the corners of blocks and the ends of runs. In a run, a path goes forward through the array at the cost of the PEs
 * that it passes, stays at one of them for a step's time each, or falls back: a PE that waits for room in a link starts
 * with its neighbour's start `linkDepth` steps before, so that a path to the left or up costs steps, but no time.
 */
import { largest, type Tile } from './vssa-reference.js';

/** Steps of equal width of the same rows and columns. */
interface Run {
  readonly rows: Tile['rows'];
  readonly columns: Tile['columns'];
  readonly step: number;
  steps: number;
}

/** @param linkDepth operands that a link between two PEs holds; 0: without bound */
export function estimateStream(tiles: readonly Tile[], linkDepth: number): number {
  const paths = new Paths(
    cornersOf(new Set(tiles.map((tile) => tile.rows))),
    cornersOf(new Set(tiles.map((tile) => tile.columns))),
    linkDepth,
  );
  for (const run of runsOf(tiles)) paths.pass(run);
  return paths.longest();
}

function runsOf(tiles: readonly Tile[]): Run[] {
  const known = new Map<Tile['steps'], EqualSteps[]>();
  const runs: Run[] = [];
  let last: Run | undefined;
  for (const { rows, columns, steps: all } of tiles) {
    let equal = known.get(all);
    if (equal === undefined) {
      equal = equalSteps(all);
      known.set(all, equal);
    }
    for (const { step, steps } of equal) {
      if (last === undefined || last.rows !== rows || last.columns !== columns || last.step !== step) {
        last = { rows, columns, step, steps };
        runs.push(last);
      } else {
        last.steps += steps;
      }
    }
  }
  return runs;
}

type EqualSteps = Pick<Run, 'step' | 'steps'>;

function equalSteps(all: Tile['steps']): EqualSteps[] {
  const equal: EqualSteps[] = [];
  for (let first = 0, end = 0; first < all.length; first = end) {
    while (end < all.length && all[end] === all[first]) end++;
    equal.push({ step: all[first]!, steps: end - first });
  }
  return equal;
}

/** First and last places of equal operands, in order, for all tiles together. */
function cornersOf(operands: Iterable<Tile['rows']>): Int32Array {
  const corners = new Set<number>();
  for (const factors of operands) {
    for (let at = 0; at < factors.length; at++) {
      if (at === 0 || factors[at] !== factors[at - 1] || factors[at] !== factors[at + 1]) corners.add(at);
    }
  }
  return Int32Array.from(corners).sort();
}

/** Longest paths to the start of each corner's next step, corners row by row. */
class Paths {
  readonly #starts: Float64Array;
  readonly #reached: Float64Array;
  readonly #pace: Float64Array;

  constructor(
    readonly rows: Int32Array,
    readonly columns: Int32Array,
    readonly linkDepth: number,
  ) {
    const corners = rows.length * columns.length;
    this.#starts = new Float64Array(corners);
    this.#reached = new Float64Array(corners);
    this.#pace = new Float64Array(corners);
  }

  longest(): number {
    return largest(this.#starts);
  }

  pass({ rows, columns, step, steps }: Run): void {
    const { rows: down, columns: across } = this;
    const starts = this.#starts;
    const reached = this.#reached;
    const pace = this.#pace;
    const height = within(down, rows.length);
    const width = within(across, columns.length);
    const stride = across.length;
    for (let i = 0; i < height; i++) {
      const row = rows[down[i]!]! * step;
      for (let j = 0; j < width; j++) pace[i * stride + j] = row * columns[across[j]!]!;
    }
    this.#goForward(starts, height, width, false);
    reached.set(starts);
    const falls = this.#mayFall(height, width);
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        const at = i * stride + j;
        starts[at] = falls ? this.#stay(i, j, height, width, steps) : reached[at]! + steps * pace[at]!;
      }
    }
    this.#goForward(starts, height, width, true);
  }

  /** In one step; before steps of its own a path pays the PEs that it leaves, after them those that it enters. */
  #goForward(paths: Float64Array, height: number, width: number, after: boolean): void {
    const { rows: down, columns: across } = this;
    const pace = this.#pace;
    const stride = across.length;
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        const at = i * stride + j;
        let path = paths[at]!;
        // Between two corners further apart than a PE, all PEs are alike.
        if (i > 0) {
          const from = at - stride;
          path = Math.max(path, paths[from]! + (down[i]! - down[i - 1]!) * pace[after ? at : from]!);
        }
        if (j > 0) {
          path = Math.max(path, paths[at - 1]! + (across[j]! - across[j - 1]!) * pace[after ? at : at - 1]!);
        }
        paths[at] = path;
      }
    }
  }

  /** Whether any corner is so much later than the one before it that falling back to that one gains more than its steps. */
  #mayFall(height: number, width: number): boolean {
    const { rows: down, columns: across, linkDepth } = this;
    if (linkDepth === 0) return false;
    const reached = this.#reached;
    const pace = this.#pace;
    const stride = across.length;
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        const at = i * stride + j;
        const cost = linkDepth * pace[at]!;
        if (i + 1 < height && reached[at + stride]! - reached[at]! > (down[i + 1]! - down[i]!) * cost) return true;
        if (j + 1 < width && reached[at + 1]! - reached[at]! > (across[j + 1]! - across[j]!) * cost) return true;
      }
    }
    return false;
  }

  /**
   * Steps at corner (i, j), reached by itself or by falling back from those behind it. As operands come widest first, it is
   * never faster than those, so that no path stays there first.
   */
  #stay(i: number, j: number, height: number, width: number, steps: number): number {
    const { rows: down, columns: across, linkDepth } = this;
    const reached = this.#reached;
    const stride = across.length;
    const pace = this.#pace[i * stride + j]!;
    let stayed = 0;
    for (let below = i; below < height; below++) {
      const left = steps - linkDepth * (down[below]! - down[i]!);
      for (let beyond = j; beyond < width; beyond++) {
        const still = left - linkDepth * (across[beyond]! - across[j]!);
        if (still < 0) break;
        stayed = Math.max(stayed, reached[below * stride + beyond]! + still * pace);
      }
    }
    return stayed;
  }
}

/** How many corners lie in a tile of so many rows or columns. */
function within(corners: Int32Array, size: number): number {
  let count = 0;
  while (count < corners.length && corners[count]! < size) count++;
  return count;
}
