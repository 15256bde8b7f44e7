/** The three buffers: what lies in them, what may leave, and how much of them was used when. */

import type { ElectorConfig } from './config.js';
import { type BufferName, bufferMegabytes, WORD_BITS } from './constants.js';
import type { Matrix } from './operations.js';

const BITS_PER_MEGABYTE = 8 * 2 ** 20;

/** Bits of a matrix: its non-zeros as words, and one mask bit an element. */
export interface Footprint {
  readonly data: number;
  readonly mask: number;
}

export const footprint = (nonZeros: number, elements: number): Footprint => ({
  // Whole bits, so that sums of them are exact.
  data: Math.round(nonZeros * WORD_BITS),
  mask: elements,
});

export type Room = Record<BufferName, number>;

/** A change of a buffer's fill, for the figure over time. */
export interface FillChange {
  readonly cycle: number;
  readonly buffer: BufferName;
  readonly bits: number;
}

export class Buffers {
  readonly size: Readonly<Room>;
  readonly #free: Room;
  /** In no order. */
  readonly changes: FillChange[] = [];

  constructor(config: ElectorConfig) {
    const bits = (name: BufferName) => Math.floor(bufferMegabytes(config, name) * BITS_PER_MEGABYTE);
    this.size = { activation: bits('activation'), weight: bits('weight'), mask: bits('mask') };
    this.#free = { ...this.size };
  }

  get free(): Readonly<Room> {
    return this.#free;
  }

  /** Keeps room free for a matrix. */
  reserve({ buffer }: Matrix, { data, mask }: Footprint): void {
    this.#free[buffer] -= data;
    this.#free.mask -= mask;
  }

  /** From `cycle` on it lies in its room. */
  fill(matrix: Matrix, size: Footprint, cycle: number): void {
    this.#record(matrix, size, cycle, 1);
  }

  /** It leaves, and its room is free. */
  give(matrix: Matrix, size: Footprint, cycle: number): void {
    this.#free[matrix.buffer] += size.data;
    this.#free.mask += size.mask;
    this.#record(matrix, size, cycle, -1);
  }

  #record({ buffer }: Matrix, { data, mask }: Footprint, cycle: number, sign: 1 | -1): void {
    this.changes.push({ cycle, buffer, bits: sign * data }, { cycle, buffer: 'mask', bits: sign * mask });
  }
}
