/** Exact costs of operations: every tile by its own zeros, dealt to the units one by one. */
import type { ElectorConfig } from './config.js';
import type { MaskSource, ZeroMask } from './masks.js';
import { drawnMask } from './masks.js';
import type { Convolution, Matrix, Operand, Operation, Pass, Product } from './program.js';
import { commonNonZeros, countColumns, countRows, type EdgeCounts, tileTotals } from './tile-counts.js';
import { type Dispatch, NO_READS, UnitPool } from './units.js';

/** Words that a FIFO takes from a buffer in a cycle (AccelTran simulator: FIFOs are 32 words deep and filled whole). */
export const FIFO_WORDS = 32;

/** What the engine asks of operations and matrices. */
export interface OperationCosts {
  readonly sequences: number;
  /** Plays an operation whose operands are there at `ready`. */
  dispatch(operation: Operation, ready: number): Dispatch;
  /** Over all sequences. */
  nonZeros(matrix: Matrix): number;
  /** Called when a matrix is not needed any more. */
  release(matrix: Matrix): void;
}

export class TileCosts implements OperationCosts {
  readonly sequences: number;
  readonly #lanes: UnitPool;
  readonly #softmax: UnitPool;
  readonly #norms: UnitPool;
  readonly #masks = new Map<number, ZeroMask[]>();
  readonly #edges = new Map<string, EdgeCounts[]>();

  constructor(
    readonly config: ElectorConfig,
    readonly source: MaskSource,
    /** Share of non-zeros of a matrix that the source does not know. */
    readonly unknown: (matrix: Matrix) => number,
  ) {
    this.sequences = source.sequences;
    this.#lanes = new UnitPool(config.pes * config.lanesPerPe);
    this.#softmax = new UnitPool(config.pes * config.softmaxPerPe);
    this.#norms = new UnitPool(config.pes);
  }

  dispatch(operation: Operation, ready: number): Dispatch {
    switch (operation.kind) {
      case 'product':
        return this.#product(operation, ready);
      case 'convolution':
        return this.#convolution(operation, ready);
      case 'gather':
        return { start: ready, end: ready, busy: 0, tiles: 0, dense: 0, executed: 0, ...READ_NOTHING };
      default:
        return this.#pass(operation, ready);
    }
  }

  nonZeros(matrix: Matrix): number {
    return this.#of(matrix).reduce((sum, { nonZero }) => sum + total(nonZero), 0);
  }

  release({ id }: Matrix): void {
    this.#masks.delete(id);
    for (const key of [`${id}/r`, `${id}/c`]) this.#edges.delete(key);
  }

  /** One mask a sequence, or one in all. */
  #of(matrix: Matrix): ZeroMask[] {
    let masks = this.#masks.get(matrix.id);
    if (!masks) {
      masks = Array.from({ length: matrix.shared ? 1 : this.sequences }, (_, sequence) => {
        return this.source.mask(matrix, sequence) ?? drawnMask(matrix, sequence, this.unknown(matrix));
      });
      this.#masks.set(matrix.id, masks);
    }
    return masks;
  }

  /** Of a left operand the rows are grouped, of a right one the columns; transposed operands the other way round. */
  #edgesOf({ matrix, transposed }: Operand, side: 'left' | 'right'): EdgeCounts[] {
    const byRows = (side === 'left') !== transposed;
    const key = `${matrix.id}/${byRows ? 'r' : 'c'}`;
    let edges = this.#edges.get(key);
    if (!edges) {
      const { x, y } = this.config.tile;
      const edge = side === 'left' ? x : y;
      edges = this.#of(matrix).map((mask) => (byRows ? countRows(mask, edge) : countColumns(mask, edge)));
      this.#edges.set(key, edges);
    }
    return edges;
  }

  #product({ left, right }: Product, ready: number): Dispatch {
    const { tile, macsPerLane, loopOrder } = this.config;
    const lefts = this.#edgesOf(left, 'left');
    const rights = this.#edgesOf(right, 'right');
    const [a, b] = [lefts[0]!, rights[0]!];
    // A product of two shared matrices, or the gradient of a weight, is summed over the batch: still tile by tile.
    const batch = Math.max(lefts.length, rights.length);
    const inner = a.length;
    const sizes: Record<string, number> = {
      b: Math.ceil(batch / tile.b),
      i: a.groups,
      j: b.groups,
      k: Math.ceil(inner / tile.y),
    };
    const leftTotals = lefts.map((edges) => tileTotals(edges, tile.y));
    const rightTotals = rights.map((edges) => tileTotals(edges, tile.y));
    const digits = [...loopOrder].map((axis) => 'bijk'.indexOf(axis));
    const [n0, n1, n2, n3] = [...loopOrder].map((axis) => sizes[axis]!) as [number, number, number, number];
    const pool = this.#lanes;
    const open = pool.open(ready);
    const heldLeft = new Int32Array(pool.count).fill(-1);
    const heldRight = new Int32Array(pool.count).fill(-1);
    const reads = { left: { tiles: 0, words: 0, maskBits: 0 }, right: { tiles: 0, words: 0, maskBits: 0 } };
    const at = [0, 0, 0, 0];
    const depth = sizes.k!;
    let executed = 0;
    for (let c0 = 0; c0 < n0; c0++)
      for (let c1 = 0; c1 < n1; c1++)
        for (let c2 = 0; c2 < n2; c2++)
          for (let c3 = 0; c3 < n3; c3++) {
            at[digits[0]!] = c0;
            at[digits[1]!] = c1;
            at[digits[2]!] = c2;
            at[digits[3]!] = c3;
            const group = at[0]!;
            const i = at[1]!;
            const j = at[2]!;
            const k = at[3]!;
            const unit = pool.take();
            const leftTile = ((lefts.length === 1 ? 0 : group) * a.groups + i) * depth + k;
            const rightTile = ((rights.length === 1 ? 0 : group) * b.groups + j) * depth + k;
            const from = k * tile.y;
            const to = Math.min(inner, from + tile.y);
            const last = Math.min(batch, (group + 1) * tile.b);
            let common = 0;
            let leftWords = 0;
            let rightWords = 0;
            const first = group * tile.b;
            for (let s = first; s < last; s++) {
              const p = lefts.length === 1 ? 0 : s;
              const q = rights.length === 1 ? 0 : s;
              common += commonNonZeros(lefts[p]!, i, rights[q]!, j, from, to);
              if (p === s || s === first) leftWords += leftTotals[p]![i * depth + k]!;
              if (q === s || s === first) rightWords += rightTotals[q]![j * depth + k]!;
            }
            let load = 0;
            if (heldLeft[unit] !== leftTile) {
              heldLeft[unit] = leftTile;
              reads.left.tiles++;
              reads.left.words += leftWords;
              load = leftWords;
            }
            if (heldRight[unit] !== rightTile) {
              heldRight[unit] = rightTile;
              reads.right.tiles++;
              reads.right.words += rightWords;
              load = Math.max(load, rightWords);
            }
            executed += common;
            open.deal(unit, Math.max(1, Math.ceil(common / macsPerLane), Math.ceil(load / FIFO_WORDS)));
          }
    const rows = sizeOf(left, 'rows');
    const columns = sizeOf(right, 'columns');
    const area = (side: 'x' | 'y') => tile.b * tile[side] * tile.y;
    reads.left.maskBits = reads.left.tiles * (lefts.length === 1 ? tile.x * tile.y : area('x'));
    reads.right.maskBits = reads.right.tiles * (rights.length === 1 ? tile.y * tile.y : area('y'));
    return {
      ...finished(open, ready),
      dense: batch * rows * inner * columns,
      executed,
      leftReads: reads.left,
      rightReads: reads.right,
    };
  }

  /** Tiles of x tokens and y channels; each multiplies what its kernel's taps and channels have in common. */
  #convolution({ input, kernel, reads }: Convolution, ready: number): Dispatch {
    const { tile, macsPerLane } = this.config;
    const inputs = this.#of(input);
    const other = reads.find((matrix) => matrix !== input)!;
    const others = this.#of(other);
    const { rows, columns } = inputs[0]!;
    const batch = inputs.length;
    const open = this.#lanes.open(ready);
    const tileReads = { tiles: 0, words: 0, maskBits: 0 };
    let executed = 0;
    for (let first = 0; first < batch; first += tile.b)
      for (let row = 0; row < rows; row += tile.x)
        for (let column = 0; column < columns; column += tile.y) {
          let [common, words] = [0, 0];
          const box = {
            row,
            lastRow: Math.min(rows, row + tile.x),
            column,
            lastColumn: Math.min(columns, column + tile.y),
          };
          for (let s = first; s < Math.min(batch, first + tile.b); s++) {
            common += convolved(inputs[s]!, others[other.shared ? 0 : s]!, kernel, !other.shared, box);
            words += boxTotal(inputs[s]!, box);
          }
          executed += common;
          tileReads.tiles++;
          tileReads.words += words;
          tileReads.maskBits += tile.b * tile.x * tile.y;
          const load = Math.ceil(words / FIFO_WORDS);
          open.deal(this.#lanes.take(), Math.max(1, Math.ceil(common / macsPerLane), load));
        }
    const dense = batch * rows * columns * kernel;
    return { ...finished(open, ready), dense, executed, leftReads: tileReads, rightReads: NO_READS };
  }

  /** Softmax and norm take the non-zeros of a tile, the lanes' non-linearity a whole tile a cycle. */
  #pass({ kind, input }: Pass, ready: number): Dispatch {
    const { tile } = this.config;
    const pool = kind === 'softmax' ? this.#softmax : kind === 'layer-norm' ? this.#norms : this.#lanes;
    const open = pool.open(ready);
    const masks = this.#of(input);
    const { rows, columns } = input;
    const reads = { tiles: 0, words: 0, maskBits: 0 };
    const totals = masks.map((mask) => tileTotals(countRows(mask, tile.x), tile.y));
    const tilesPerMatrix = totals[0]!.length;
    for (let first = 0; first < masks.length; first += tile.b)
      for (let at = 0; at < tilesPerMatrix; at++) {
        const last = Math.min(masks.length, first + tile.b);
        let words = 0;
        for (let s = first; s < last; s++) words += totals[s]![at]!;
        reads.tiles++;
        reads.words += words;
        open.deal(pool.take(), passCycles(kind, words, (last - first) * tile.x * tile.y, tile));
      }
    reads.maskBits = masks.length * rows * columns;
    return { ...finished(open, ready), dense: 0, executed: 0, leftReads: reads, rightReads: NO_READS };
  }
}

const READ_NOTHING = { leftReads: NO_READS, rightReads: NO_READS };

/**
 * Cycles of one tile, from the published constants with the tile's own share of non-zeros in place of one half: softmax
 * x·y, norm b·(x + y), non-linearity 1.
 */
export function passCycles(kind: Pass['kind'], words: number, elements: number, tile: ElectorConfig['tile']): number {
  if (kind === 'softmax') return Math.max(1, Math.ceil(words));
  if (kind === 'layer-norm') return Math.max(1, Math.ceil(tile.b * (tile.x + tile.y) * (words / elements)));
  return 1;
}

const sizeOf = ({ matrix, transposed }: Operand, of: 'rows' | 'columns'): number =>
  (of === 'rows') !== transposed ? matrix.rows : matrix.columns;

function finished(open: ReturnType<UnitPool['open']>, ready: number) {
  return { start: Math.min(open.start, Math.max(ready, open.end)), end: open.end, busy: open.busy, tiles: open.tiles };
}

function total(nonZero: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < nonZero.length; at++) sum += nonZero[at]!;
  return sum;
}

interface Box {
  readonly row: number;
  readonly lastRow: number;
  readonly column: number;
  readonly lastColumn: number;
}

function boxTotal({ columns, nonZero }: ZeroMask, box: Box): number {
  let sum = 0;
  for (let row = box.row; row < box.lastRow; row++)
    for (let column = box.column; column < box.lastColumn; column++) sum += nonZero[row * columns + column]!;
  return sum;
}

/** `other` is the kernel [taps × channels], or, for the kernel's gradient, a matrix of tokens that `input` slides over. */
function convolved(input: ZeroMask, other: ZeroMask, kernel: number, slides: boolean, box: Box): number {
  const half = (kernel - 1) >> 1;
  let sum = 0;
  for (let row = box.row; row < box.lastRow; row++)
    for (let tap = 0; tap < kernel; tap++) {
      const moved = row + tap - half;
      if (moved < 0 || moved >= input.rows) continue;
      const a = (slides ? row : moved) * input.columns;
      const b = (slides ? moved : tap) * input.columns;
      for (let column = box.column; column < box.lastColumn; column++)
        sum += input.nonZero[a + column]! & other.nonZero[b + column]!;
    }
  return sum;
}
