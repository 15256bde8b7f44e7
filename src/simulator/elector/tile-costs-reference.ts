/**
 * What an operation costs on ELECTOR's units, element by element, as a specification. `TileCosts` must agree with it.
 * Matrices are lists of rows; an element that is not 0 is a non-zero. A shared matrix is a list of one.
 */
import type { Convolution } from './operations.js';
import { forEachTile } from './reuse.js';
import type { Dispatch, OperandReads } from './units.js';

export type Values = readonly (readonly number[])[];

/** Units of one kind, which take tiles in turn; each entry is the cycle from which the unit is free. */
export interface ReferenceUnits {
  readonly free: number[];
  next: number;
}

export interface ReferenceMachine {
  readonly tile: { readonly b: number; readonly x: number; readonly y: number };
  readonly macsPerLane: number;
  readonly loopOrder: string;
  readonly units: ReferenceUnits;
}

/** Words that a FIFO takes in a cycle. */
const FIFO_WORDS = 32;

/** Some elements of one sequence's matrix. */
interface Cell {
  readonly sequence: number;
  readonly row: number;
  readonly column: number;
}

class Reads {
  tiles = 0;
  words = 0;
  maskBits = 0;

  /** @returns the words of the tile: its non-zeros */
  add(matrices: readonly Values[], cells: readonly Cell[]): number {
    const words = cells.filter(({ sequence, row, column }) => matrices[sequence]![row]![column] !== 0).length;
    this.tiles++;
    this.words += words;
    this.maskBits += cells.length;
    return words;
  }

  get counts(): OperandReads {
    return { tiles: this.tiles, words: this.words, maskBits: this.maskBits };
  }
}

/** left[s] (i × k) times right[s] (k × j), summed over the inner dimension; transposed operands are given as they are used. */
export function productReference(
  left: readonly Values[],
  right: readonly Values[],
  ready: number,
  machine: ReferenceMachine,
): Dispatch {
  const { tile, macsPerLane, loopOrder, units } = machine;
  const batch = Math.max(left.length, right.length);
  const [rows, inner, columns] = [left[0]!.length, left[0]![0]!.length, right[0]![0]!.length];
  const work = new Work(units, ready);
  const [leftReads, rightReads] = [new Reads(), new Reads()];
  const held = units.free.map(() => ({ left: '', right: '' }));
  let executed = 0;
  const counts = {
    b: Math.ceil(batch / tile.b),
    i: Math.ceil(rows / tile.x),
    j: Math.ceil(columns / tile.y),
    k: Math.ceil(inner / tile.y),
  };
  forEachTile(loopOrder, counts, (b, i, j, k) => {
    const sequences = range(b, tile.b, batch);
    const [is, js, ks] = [range(i, tile.x, rows), range(j, tile.y, columns), range(k, tile.y, inner)];
    let common = 0;
    for (const s of sequences)
      for (const row of is)
        for (const column of js)
          for (const at of ks) {
            const a = left[left.length === 1 ? 0 : s]![row]![at]!;
            const b = right[right.length === 1 ? 0 : s]![at]![column]!;
            if (a !== 0 && b !== 0) common++;
          }
    executed += common;
    const lane = held[units.next]!;
    const ofLeft = left.length === 1 ? [0] : sequences;
    const ofRight = right.length === 1 ? [0] : sequences;
    const leftName = `${ofLeft}/${i}/${k}`;
    const rightName = `${ofRight}/${k}/${j}`;
    const words = [0];
    if (lane.left !== leftName) words.push(leftReads.add(left, cells(ofLeft, is, ks)));
    if (lane.right !== rightName) words.push(rightReads.add(right, cells(ofRight, ks, js)));
    Object.assign(lane, { left: leftName, right: rightName });
    work.tile(Math.max(1, Math.ceil(common / macsPerLane), Math.ceil(Math.max(...words) / FIFO_WORDS)));
  });
  const dense = batch * rows * columns * inner;
  return { ...work.outcome, dense, executed, leftReads: leftReads.counts, rightReads: rightReads.counts };
}

/** Which input, kernel tap and output meet: y[r] += x[r + t − h] · w[t] for each channel. */
function* meetings(rows: number, kernel: number): Generator<{ input: number; tap: number; output: number }> {
  const centre = Math.floor((kernel - 1) / 2);
  for (let output = 0; output < rows; output++)
    for (let tap = 0; tap < kernel; tap++) {
      const input = output + tap - centre;
      if (input >= 0 && input < rows) yield { input, tap, output };
    }
}

/**
 * The convolution and its two gradients, each by its own sum:
 * y[r] += x[m] · w[t];  x'[m] += y'[r] · w[t];  w'[t] += y'[r] · x[m].
 * @param input x, y' or y'; `other` w, w or x
 */
export function convolutionReference(
  finds: Convolution['finds'],
  input: readonly Values[],
  other: readonly Values[],
  kernel: number,
  ready: number,
  { tile, macsPerLane, units }: ReferenceMachine,
): Dispatch {
  const [batch, rows, columns] = [input.length, input[0]!.length, input[0]![0]!.length];
  const work = new Work(units, ready);
  const [leftReads, rightReads] = [new Reads(), new Reads()];
  const allTaps = Array.from({ length: kernel }, (_, tap) => tap);
  const all = [...meetings(rows, kernel)];
  let executed = 0;
  forEachTile('bijk', tileCounts(batch, rows, columns, tile), (b, i, j) => {
    const sequences = range(b, tile.b, batch);
    const [tokens, channels] = [range(i, tile.x, rows), range(j, tile.y, columns)];
    // The tile is of the result's tokens, and for the kernel's gradient of the output's.
    const mine = all.filter((met) => tokens.includes(finds === 'input gradient' ? met.input : met.output));
    const sides = mine.map(({ input: m, tap, output }) => {
      if (finds === 'output') return [m, tap] as const;
      return finds === 'input gradient' ? ([output, tap] as const) : ([output, m] as const);
    });
    let common = 0;
    for (const s of sequences)
      for (const channel of channels)
        for (const [a, b] of sides)
          if (input[s]![a]![channel] !== 0 && other[finds === 'kernel gradient' ? s : 0]![b]![channel] !== 0) common++;
    executed += common;
    const read = (at: 0 | 1) => [...new Set(sides.map((pair) => pair[at]))];
    const left = leftReads.add(input, cells(sequences, finds === 'kernel gradient' ? tokens : read(0), channels));
    const right =
      finds === 'kernel gradient'
        ? rightReads.add(other, cells(sequences, read(1), channels))
        : rightReads.add(other, cells([0], allTaps, channels));
    work.tile(Math.max(1, Math.ceil(common / macsPerLane), Math.ceil(Math.max(left, right) / FIFO_WORDS)));
  });
  const dense = batch * rows * columns * kernel;
  return { ...work.outcome, dense, executed, leftReads: leftReads.counts, rightReads: rightReads.counts };
}

/** Softmax, norm and non-linearity: each tile once, by its non-zeros. */
export function passReference(
  kind: 'softmax' | 'layer-norm' | 'non-linearity',
  input: readonly Values[],
  ready: number,
  { tile, units }: Pick<ReferenceMachine, 'tile' | 'units'>,
): Pick<Dispatch, 'start' | 'end' | 'busy' | 'tiles' | 'leftReads'> {
  const [batch, rows, columns] = [input.length, input[0]!.length, input[0]![0]!.length];
  const work = new Work(units, ready);
  const reads = new Reads();
  forEachTile('bijk', tileCounts(batch, rows, columns, tile), (b, i, j) => {
    const where = cells(range(b, tile.b, batch), range(i, tile.x, rows), range(j, tile.y, columns));
    const words = reads.add(input, where);
    const share = words / (tile.x * tile.y);
    const cycles = { softmax: words, 'layer-norm': (tile.x + tile.y) * share, 'non-linearity': 1 }[kind];
    // Sums of halves and sixteenths are exact.
    work.tile(Math.max(1, Math.ceil(cycles)));
  });
  return { ...work.outcome, leftReads: reads.counts };
}

/** One operation's tiles on the units. */
class Work {
  #start = Number.POSITIVE_INFINITY;
  #end: number;
  #busy = 0;
  #tiles = 0;

  constructor(
    readonly units: ReferenceUnits,
    readonly ready: number,
  ) {
    this.#end = ready;
  }

  tile(cycles: number): void {
    const { units } = this;
    const begin = Math.max(this.ready, units.free[units.next]!);
    units.free[units.next] = begin + cycles;
    this.#start = Math.min(this.#start, begin);
    this.#end = Math.max(this.#end, begin + cycles);
    this.#busy += cycles;
    this.#tiles++;
    units.next = (units.next + 1) % units.free.length;
  }

  get outcome() {
    return { start: this.#start, end: this.#end, busy: this.#busy, tiles: this.#tiles };
  }
}

const range = (tile: number, edge: number, size: number): number[] =>
  Array.from({ length: Math.min(edge, size - tile * edge) }, (_, at) => tile * edge + at);

const cells = (sequences: readonly number[], rows: readonly number[], columns: readonly number[]): Cell[] =>
  sequences.flatMap((sequence) => rows.flatMap((row) => columns.map((column) => ({ sequence, row, column }))));

const tileCounts = (batch: number, rows: number, columns: number, { b, x, y }: ReferenceMachine['tile']) => ({
  b: Math.ceil(batch / b),
  i: Math.ceil(rows / x),
  j: Math.ceil(columns / y),
  k: 1,
});
