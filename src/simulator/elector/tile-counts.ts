/** Non-zeros along the edges of tiles: all that the cost of a tile product depends on. */
import type { ZeroMask } from './masks.js';

/**
 * Non-zeros of a matrix in groups of lines (its rows or its columns): element [group · length + at] counts the group's
 * non-zeros at position `at` along the lines.
 */
export interface EdgeCounts {
  readonly groups: number;
  readonly length: number;
  /** At most the number of lines in a group, which is at most 255. */
  readonly counts: Uint8Array;
}

/** Rows in groups of `edge`; positions are columns. */
export function countRows({ rows, columns, nonZero }: ZeroMask, edge: number): EdgeCounts {
  const groups = Math.ceil(rows / edge);
  const counts = new Uint8Array(groups * columns);
  for (let row = 0, from = 0; row < rows; row++, from += columns) {
    const group = Math.floor(row / edge) * columns;
    for (let column = 0; column < columns; column++) counts[group + column]! += nonZero[from + column]!;
  }
  return { groups, length: columns, counts };
}

/** Columns in groups of `edge`; positions are rows. */
export function countColumns({ rows, columns, nonZero }: ZeroMask, edge: number): EdgeCounts {
  const groups = Math.ceil(columns / edge);
  const counts = new Uint8Array(groups * rows);
  for (let row = 0, from = 0; row < rows; row++, from += columns) {
    for (let group = 0; group < groups; group++) {
      let sum = 0;
      const end = Math.min(columns, (group + 1) * edge);
      for (let column = group * edge; column < end; column++) sum += nonZero[from + column]!;
      counts[group * rows + row] = sum;
    }
  }
  return { groups, length: rows, counts };
}

/** Non-zeros of each tile of `edge` positions: [group · tiles + tile]. */
export function tileTotals({ groups, length, counts }: EdgeCounts, edge: number): Uint16Array {
  const tiles = Math.ceil(length / edge);
  const totals = new Uint16Array(groups * tiles);
  for (let group = 0; group < groups; group++) {
    for (let tile = 0; tile < tiles; tile++) {
      const end = group * length + Math.min(length, (tile + 1) * edge);
      let sum = 0;
      for (let at = group * length + tile * edge; at < end; at++) sum += counts[at]!;
      totals[group * tiles + tile] = sum;
    }
  }
  return totals;
}

/** Pairs of non-zeros that meet in a tile product: Σ over the tile's positions of left times right. */
export function commonNonZeros(
  left: EdgeCounts,
  leftGroup: number,
  right: EdgeCounts,
  rightGroup: number,
  from: number,
  to: number,
): number {
  const [a, b] = [left.counts, right.counts];
  const [p, q] = [leftGroup * left.length, rightGroup * right.length];
  let sum = 0;
  for (let at = from; at < to; at++) sum += a[p + at]! * b[q + at]!;
  return sum;
}
