/**
 * The published operations cut into tiles and laid out in arrays: each tile operation has a number, heads and the
 * steps between layers are ranges of numbers, data names become small integers.
 */

import type { ElectorConfig } from './config.js';
import { type BufferName, bufferMegabytes, WORD_BITS } from './constants.js';
import {
  type ComputeOperation,
  type Dims,
  isHeads,
  type MemoryOperation,
  type PublishedOperations,
} from './published-operations.js';

/** What a tile operation runs on. */
export type UnitKind = 'macLanes' | 'layerNorm' | 'softmax';

/** Equal tile operations, numbered first … first + count − 1. */
export interface TiledOperation {
  readonly name: string;
  readonly kind: ComputeOperation['kind'];
  readonly unit: UnitKind;
  readonly cycles: number;
  readonly first: number;
  readonly count: number;
  /** Numbers of the data that must be in a buffer. */
  readonly requires: readonly number[];
}

/** Tile operations first … end − 1 of a head. */
export interface TileRange {
  readonly first: number;
  readonly end: number;
}

export interface MemoryStep {
  readonly store: boolean;
  readonly data: number;
  readonly elements: number;
  readonly buffer: 'weight' | 'activation';
  readonly pinned: boolean;
  /** A store's producer is done when this tile operation is, its last one; −1 for loads. */
  readonly producer: number;
}

export interface PublishedProgram {
  readonly operations: readonly TiledOperation[];
  /** Tile operation → index of its operation. */
  readonly operationOf: Int32Array;
  /** Steps of the compute sequence: a tile operation's number, or −1 − i for heads[i]. */
  readonly steps: Int32Array;
  readonly heads: readonly (readonly TileRange[])[];
  readonly memory: readonly (MemoryStep | readonly MemoryStep[][])[];
  /** Names of the data. */
  readonly data: readonly string[];
  /** Memory operations and tile operations: what the published program counts as operations. */
  readonly operationCount: number;
}

export function publishedProgram(config: ElectorConfig, published: PublishedOperations): PublishedProgram {
  const data = new Numbering();
  const tiles = new Tiles(config, data);
  const steps: number[] = [];
  const heads: TileRange[][] = [];
  for (const entry of published.compute) {
    if (isHeads(entry)) {
      steps.push(-1 - heads.length);
      heads.push(entry.heads.map((operations) => tiles.addHead(operations)));
    } else {
      const { first, count } = tiles.add(entry);
      for (let tile = first; tile < first + count; tile++) steps.push(tile);
    }
  }
  const memory = published.memory.map((entry) =>
    isHeads(entry)
      ? entry.heads.map((operations) => operations.map((operation) => memoryStep(operation, data, tiles)))
      : memoryStep(entry, data, tiles),
  );
  const memoryCount = memory.flat(2).length;
  return {
    operations: tiles.operations,
    operationOf: tiles.operationOf(),
    steps: Int32Array.from(steps),
    heads,
    memory,
    data: data.names,
    operationCount: memoryCount + tiles.count,
  };
}

/** Bits of an element in a buffer: what is not zero of 20 bits, or one bit of mask. */
export function bitsPerElement({ sparsity }: ElectorConfig, buffer: BufferName): number {
  return buffer === 'mask' ? 1 : WORD_BITS * (1 - sparsity[buffer]);
}

export function bufferBits(config: ElectorConfig, buffer: BufferName): number {
  return bufferMegabytes(config, buffer) * 1024 * 1024 * 8;
}

class Numbering {
  readonly names: string[] = [];
  readonly #numbers = new Map<string, number>();

  of(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.names.push(name) - 1;
      this.#numbers.set(name, number);
    }
    return number;
  }
}

class Tiles {
  readonly operations: TiledOperation[] = [];
  readonly #last = new Map<string, number>();
  count = 0;

  constructor(
    readonly config: ElectorConfig,
    readonly data: Numbering,
  ) {}

  add(operation: ComputeOperation): TiledOperation {
    const { name, kind } = operation;
    const tiled = {
      name,
      kind,
      unit: unitOf(kind),
      cycles: tileCycles(this.config, operation),
      first: this.count,
      count: tileCount(this.config, operation),
      requires: operation.requires.map((data) => this.data.of(data)),
    };
    this.operations.push(tiled);
    this.count += tiled.count;
    this.#last.set(name, this.count - 1);
    return tiled;
  }

  addHead(operations: readonly ComputeOperation[]): TileRange {
    const first = this.count;
    for (const operation of operations) this.add(operation);
    return { first, end: this.count };
  }

  /** Last tile operation of the operation with that name. */
  lastOf(name: string): number {
    const last = this.#last.get(name);
    if (last === undefined) throw new RangeError(`${name} is stored, but nothing makes it`);
    return last;
  }

  operationOf(): Int32Array {
    const of = new Int32Array(this.count);
    for (const [index, { first, count }] of this.operations.entries()) of.fill(index, first, first + count);
    return of;
  }
}

function memoryStep(operation: MemoryOperation, data: Numbering, tiles: Tiles): MemoryStep {
  const { kind, name, dims, buffer, pinned } = operation;
  const store = kind === 'store';
  const [batch, rows, columns] = dims;
  return {
    store,
    data: data.of(name),
    elements: batch * rows * columns,
    buffer,
    pinned,
    producer: store ? tiles.lastOf(name) : -1,
  };
}

function unitOf(kind: ComputeOperation['kind']): UnitKind {
  if (kind === 'softmax') return 'softmax';
  return kind === 'layer-norm' ? 'layerNorm' : 'macLanes';
}

/** Unlike the published closed form, the cycle model counts the inner dimension once. */
function tileCount({ tile }: ElectorConfig, { left, right }: ComputeOperation): number {
  const [batch, rows, columns] = left;
  const outer = Math.ceil(batch / tile.b) * Math.ceil(rows / tile.x);
  if (!right) return outer * Math.ceil(columns / tile.y);
  const [, inner, width]: Dims = right;
  return outer * Math.ceil(inner / tile.x) * Math.ceil(width / tile.y);
}

/** Cycles of one tile. Negative for a convolution whose kernel is longer than a tile's rows. */
function tileCycles(config: ElectorConfig, { kind, kernel = 0 }: ComputeOperation): number {
  const { b, x, y } = config.tile;
  const kept = 1 - config.sparsity.activation;
  switch (kind) {
    case 'matmul':
      return Math.ceil(((b * x * y * y) / config.macsPerLane) * kept);
    case 'conv':
      return Math.ceil(((b * x * (y - kernel)) / config.macsPerLane) * kept);
    case 'non-linearity':
      return 1;
    case 'layer-norm':
      return Math.ceil(b * (x + y) * kept);
    case 'softmax':
      return Math.ceil(x * y * kept);
  }
}
