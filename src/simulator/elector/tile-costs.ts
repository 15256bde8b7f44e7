/** Exact costs of operations: every tile by its own zeros, dealt to the units one by one. */
import type { ElectorConfig } from './config.js';
import type { MaskSource, ZeroMask } from './masks.js';
import { drawnMask } from './masks.js';
import type { Convolution, Matrix, Operand, Operation, Pass, Product } from './operations.js';
import { commonNonZeros, countColumns, countRows, type EdgeCounts, tileTotals } from './tile-counts.js';
import { type Dispatch, type OperandReads, UnitPool } from './units.js';

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
  readonly #edgeSizes: readonly number[];

  constructor(
    readonly config: ElectorConfig,
    readonly source: MaskSource,
    /** Share of non-zeros of a matrix that the source does not know. */
    readonly unknown: (matrix: Matrix) => number,
  ) {
    this.sequences = source.sequences;
    this.#edgeSizes = [config.tile.x, config.tile.y];
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
        return this.#gather(operation, ready);
      default:
        return this.#pass(operation, ready);
    }
  }

  nonZeros(matrix: Matrix): number {
    return this.#of(matrix).reduce((sum, { nonZero }) => sum + total(nonZero), 0);
  }

  release({ id }: Matrix): void {
    this.#masks.delete(id);
    for (const kind of ['r', 'c']) for (const edge of this.#edgeSizes) this.#edges.delete(`${id}/${kind}/${edge}`);
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
    const edge = side === 'left' ? this.config.tile.x : this.config.tile.y;
    const key = `${matrix.id}/${byRows ? 'r' : 'c'}/${edge}`;
    let edges = this.#edges.get(key);
    if (!edges) {
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
    const rows = sizeOf(left, 'rows');
    const columns = sizeOf(right, 'columns');
    const leftShared = lefts.length === 1;
    const rightShared = rights.length === 1;
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
            const leftTile = ((leftShared ? 0 : group) * a.groups + i) * depth + k;
            const rightTile = ((rightShared ? 0 : group) * b.groups + j) * depth + k;
            const from = k * tile.y;
            const to = Math.min(inner, from + tile.y);
            const last = Math.min(batch, (group + 1) * tile.b);
            let common = 0;
            let leftWords = 0;
            let rightWords = 0;
            const first = group * tile.b;
            for (let s = first; s < last; s++) {
              const p = leftShared ? 0 : s;
              const q = rightShared ? 0 : s;
              common += commonNonZeros(lefts[p]!, i, rights[q]!, j, from, to);
              if (p === s || s === first) leftWords += leftTotals[p]![i * depth + k]!;
              if (q === s || s === first) rightWords += rightTotals[q]![j * depth + k]!;
            }
            let load = 0;
            if (heldLeft[unit] !== leftTile) {
              heldLeft[unit] = leftTile;
              reads.left.tiles++;
              reads.left.words += leftWords;
              reads.left.maskBits +=
                (leftShared ? 1 : last - first) * Math.min(tile.x, rows - i * tile.x) * (to - from);
              load = leftWords;
            }
            if (heldRight[unit] !== rightTile) {
              heldRight[unit] = rightTile;
              reads.right.tiles++;
              reads.right.words += rightWords;
              reads.right.maskBits +=
                (rightShared ? 1 : last - first) * Math.min(tile.y, columns - j * tile.y) * (to - from);
              load = Math.max(load, rightWords);
            }
            executed += common;
            open.deal(unit, Math.max(1, Math.ceil(common / macsPerLane), Math.ceil(load / FIFO_WORDS)));
          }
    return {
      ...finished(open, ready),
      dense: batch * rows * inner * columns,
      executed,
      leftReads: reads.left,
      rightReads: reads.right,
    };
  }

  /** Tiles of x tokens and y channels; each multiplies what its tokens and taps have in common. */
  #convolution({ finds, input, other, kernel }: Convolution, ready: number): Dispatch {
    const { tile, macsPerLane } = this.config;
    const lefts = this.#of(input);
    const rights = this.#of(other);
    const { rows, columns } = input;
    const batch = lefts.length;
    const open = this.#lanes.open(ready);
    const reads = { left: { tiles: 0, words: 0, maskBits: 0 }, right: { tiles: 0, words: 0, maskBits: 0 } };
    let executed = 0;
    for (let first = 0; first < batch; first += tile.b)
      for (let row = 0; row < rows; row += tile.x)
        for (let column = 0; column < columns; column += tile.y) {
          const box = new Box(row, Math.min(rows, row + tile.x), column, Math.min(columns, column + tile.y));
          const [leftBox, rightBox] = convolutionOperands(finds, box, kernel, rows);
          const last = Math.min(batch, first + tile.b);
          let [common, leftWords, rightWords] = [0, 0, 0];
          for (let s = first; s < last; s++) {
            common += convolved(finds, lefts[s]!, rights[other.shared ? 0 : s]!, kernel, box);
            leftWords += leftBox.total(lefts[s]!);
            if (!other.shared || s === first) rightWords += rightBox.total(rights[other.shared ? 0 : s]!);
          }
          executed += common;
          reads.left.tiles++;
          reads.left.words += leftWords;
          reads.left.maskBits += (last - first) * leftBox.elements;
          reads.right.tiles++;
          reads.right.words += rightWords;
          reads.right.maskBits += (other.shared ? 1 : last - first) * rightBox.elements;
          const load = Math.ceil(Math.max(leftWords, rightWords) / FIFO_WORDS);
          open.deal(this.#lanes.take(), Math.max(1, Math.ceil(common / macsPerLane), load));
        }
    const dense = batch * rows * columns * kernel;
    return { ...finished(open, ready), dense, executed, leftReads: reads.left, rightReads: reads.right };
  }

  /** Softmax and norm take the non-zeros of a tile, the lanes' non-linearity a whole tile a cycle. */
  #pass({ kind, input, reads }: Pass, ready: number): Dispatch {
    const { tile } = this.config;
    const pool = kind === 'softmax' ? this.#softmax : kind === 'layer-norm' ? this.#norms : this.#lanes;
    const open = pool.open(ready);
    const totals = this.#of(input).map((mask) => tileTotals(countRows(mask, tile.x), tile.y));
    const tilesPerMatrix = totals[0]!.length;
    for (let first = 0; first < totals.length; first += tile.b)
      for (let at = 0; at < tilesPerMatrix; at++) {
        let words = 0;
        for (let s = first; s < Math.min(totals.length, first + tile.b); s++) words += totals[s]![at]!;
        open.deal(pool.take(), passCycles(kind, words, tile));
      }
    const done = finished(open, ready);
    const [leftReads, rightReads] = wholeReads(done.tiles, [input], reads.slice(1), this);
    return { ...done, dense: 0, executed: 0, leftReads, rightReads };
  }

  /** As many elements as are written are read. No unit takes part. */
  #gather({ writes, reads }: Pass, ready: number): Dispatch {
    const tiles = tilesOf(writes, this.sequences, this.config.tile);
    const [leftReads, rightReads] = wholeReads(tiles, [writes], reads.slice(1), this);
    return { start: ready, end: ready, busy: 0, tiles: 0, dense: 0, executed: 0, leftReads, rightReads };
  }
}

export const tilesOf = ({ rows, columns, shared }: Matrix, sequences: number, tile: ElectorConfig['tile']): number =>
  Math.ceil((shared ? 1 : sequences) / tile.b) * Math.ceil(rows / tile.x) * Math.ceil(columns / tile.y);

/** Reads of an operation that takes each tile of its operands once: those of `left`, and of all of `right` together. */
export function wholeReads(
  tiles: number,
  left: readonly Matrix[],
  right: readonly Matrix[],
  costs: Pick<OperationCosts, 'sequences' | 'nonZeros'>,
): [OperandReads, OperandReads] {
  const copies = (shared: boolean) => (shared ? 1 : costs.sequences);
  const readsOf = (matrices: readonly Matrix[]): OperandReads => ({
    tiles: matrices.length * tiles,
    words: matrices.reduce((sum, matrix) => sum + costs.nonZeros(matrix), 0),
    maskBits: matrices.reduce((sum, { rows, columns, shared }) => sum + copies(shared) * rows * columns, 0),
  });
  return [readsOf(left), readsOf(right)];
}

/**
 * Cycles of one tile, from the published constants with the tile's own share of non-zeros in place of one half: softmax
 * b·x·y, norm b·(x + y), non-linearity 1.
 */
export function passCycles(kind: Pass['kind'], words: number, { x, y }: ElectorConfig['tile']): number {
  if (kind === 'softmax') return Math.max(1, Math.ceil(words));
  if (kind === 'layer-norm') return Math.max(1, Math.ceil((words * (x + y)) / (x * y)));
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

/** Elements of a mask: rows and columns from … up to. */
class Box {
  constructor(
    readonly row: number,
    readonly lastRow: number,
    readonly column: number,
    readonly lastColumn: number,
  ) {}

  get elements(): number {
    return (this.lastRow - this.row) * (this.lastColumn - this.column);
  }

  total({ columns, nonZero }: ZeroMask): number {
    let sum = 0;
    for (let row = this.row; row < this.lastRow; row++)
      for (let column = this.column; column < this.lastColumn; column++) sum += nonZero[row * columns + column]!;
    return sum;
  }
}

/** Tokens before and behind a token that its taps reach. */
export function reachOf({ finds, kernel }: Pick<Convolution, 'finds' | 'kernel'>): [number, number] {
  const before = (kernel - 1) >> 1;
  const behind = kernel - 1 - before;
  return finds === 'input gradient' ? [behind, before] : [before, behind];
}

/** What a tile reads: the tokens that its taps reach on one side, and its own or the taps on the other. */
function convolutionOperands(finds: Convolution['finds'], box: Box, kernel: number, rows: number): [Box, Box] {
  const [before, behind] = reachOf({ finds, kernel });
  const { row, lastRow, column, lastColumn } = box;
  const reached = new Box(Math.max(0, row - before), Math.min(rows, lastRow + behind), column, lastColumn);
  return finds === 'kernel gradient' ? [box, reached] : [reached, new Box(0, kernel, column, lastColumn)];
}

/** Multiplications of a tile; the three uses as `Convolution` states them. */
function convolved(finds: Convolution['finds'], input: ZeroMask, other: ZeroMask, kernel: number, box: Box): number {
  const { rows, columns, nonZero } = input;
  const half = (kernel - 1) >> 1;
  let sum = 0;
  for (let row = box.row; row < box.lastRow; row++)
    for (let tap = 0; tap < kernel; tap++) {
      const moved = finds === 'input gradient' ? row + half - tap : row + tap - half;
      if (moved < 0 || moved >= rows) continue;
      const slides = finds === 'kernel gradient';
      const a = (slides ? row : moved) * columns;
      const b = (slides ? moved : tap) * columns;
      for (let column = box.column; column < box.lastColumn; column++)
        sum += nonZero[a + column]! & other.nonZero[b + column]!;
    }
  return sum;
}
