/** A matrix of a program while the machine plays it. */
import { type Footprint, footprint } from './buffers.js';
import type { Matrix } from './operations.js';
import type { OperationCosts } from './tile-costs.js';

type Place = 'nowhere' | 'memory' | 'arriving' | 'buffer' | 'leaving';

/** Where a matrix is, who needs it there, and until when. */
export class MatrixState {
  place: Place;
  /** Main memory holds it too: it can leave a buffer without a transfer. */
  clean: boolean;
  writersLeft = 0;
  /** Program positions of the operations that read or write it, ascending, and how many of them are done. */
  readonly users: number[] = [];
  usesDone = 0;
  /** Admitted operations that need it where it is. */
  pins = 0;
  /** Admitted operations that wait to read it, and those that wait to add to it. */
  waitingReaders: number[] = [];
  waitingWriters: number[] = [];
  /** What it takes in its buffer: all of it, or a window that it streams through. */
  room: Footprint = { data: 0, mask: 0 };
  /** Its room holds something of it, and is not only kept for it. */
  filled = false;
  /** Cycle in which the last of it comes through its window. */
  streamedUntil = 0;
  #size: Footprint | undefined;

  constructor(
    readonly matrix: Matrix,
    readonly costs: OperationCosts,
    /** A machine without sparsity modules has no masks. */
    readonly masked: boolean,
  ) {
    this.place = matrix.stored ? 'memory' : 'nowhere';
    this.clean = matrix.stored;
  }

  /** Found when first asked for: masks of what is far ahead need not be held. */
  get size(): Footprint {
    const { shared, rows, columns } = this.matrix;
    const elements = (shared ? 1 : this.costs.sequences) * rows * columns;
    this.#size ??= footprint(this.costs.nonZeros(this.matrix), this.masked ? elements : 0);
    return this.#size;
  }
}

/** Only a window of it is in the buffer at a time. */
export const streams = ({ place, room, size }: MatrixState): boolean =>
  (place === 'buffer' || place === 'arriving') && (room.data < size.data || room.mask < size.mask);

/** Not in a buffer, nor on the way to or from one. */
export const isAbsent = ({ place }: MatrixState): boolean => place === 'nowhere' || place === 'memory';

/** All of it, ready to be read. */
export const isThere = ({ place, writersLeft }: MatrixState): boolean => place === 'buffer' && writersLeft === 0;
