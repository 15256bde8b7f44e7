/** What the engine says of a run, and of one that cannot be. */
import type { FillChange, Footprint, Room } from './buffers.js';
import type { BufferName } from './constants.js';
import type { Matrix, Operation } from './operations.js';
import type { Dispatch } from './units.js';

export interface PlayedOperation {
  readonly operation: Operation;
  readonly dispatch: Dispatch;
  /** Cycle in which it got its room, in which its operands were there, and after which its result lay in the buffer. */
  readonly admitted: number;
  readonly ready: number;
  readonly done: number;
  readonly written: Footprint;
}

/** A block of data between main memory and a buffer. */
export interface Transfer {
  readonly matrix: Matrix;
  readonly direction: 'load' | 'store';
  readonly size: Footprint;
  readonly start: number;
  readonly end: number;
}

export interface Played {
  readonly cycles: number;
  readonly operations: readonly PlayedOperation[];
  readonly transfers: readonly Transfer[];
  /** In no order. */
  readonly fills: readonly FillChange[];
  readonly bufferBits: Readonly<Room>;
  /** Bits left in each buffer at the end. */
  readonly resident: Readonly<Room>;
  /** Weights that lie in their buffer at the end, by name. */
  readonly held: readonly string[];
}

/** The operation that can never start, and what it would need. */
export interface Misfit {
  readonly buffer: BufferName;
  readonly demandBits: number;
  readonly boundBits: number;
  readonly operation: string;
}
