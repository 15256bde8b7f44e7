/**
 * When the parts of SpAtten work during a layer: a memory port, and a pipeline of four stages (Q·Kᵀ, softmax, local top-k,
 * P·V) that rows of scores go through in order, with room for a few rows between stages. Memory fetches heads ahead as
 * far as the buffers have room; the least significant bits of K follow when a row turned out flat, and its row goes
 * through the pipeline again at the end of its head.
 *
 * Memory works in this order, where `slots` heads fit the buffers: K and V of the first `slots` heads; then, head by head,
 * its least significant bits, K and V of the head `slots` further on, and its results.
 */

export const STAGES = ['Q·Kᵀ', 'softmax', 'top-k', 'P·V'] as const;
const KEY_STAGE = 0;
const VALUE_STAGE = 3;

/** Cycles of a row in each stage, in the order of STAGES. */
export type RowCycles = readonly [number, number, number, number];

/** Cycles of memory for a head's matrices, and of its rows. */
export interface ScheduledHead {
  readonly keyCycles: number;
  readonly valueCycles: number;
  /** Least significant bits of K; 0 when no row is flat. */
  readonly lowCycles: number;
  readonly resultCycles: number;
  readonly rows: readonly RowCycles[];
  /** Rows that are flat, again, with all bits of K. */
  readonly again: readonly RowCycles[];
  /** Index in `rows` of the first flat one. */
  readonly firstFlat: number;
}

export interface Schedule {
  readonly cycles: number;
  /** Busy cycles of each stage, and of memory. */
  readonly busy: RowCycles;
  readonly memory: number;
  /** Intervals in which memory works, by what it moves. */
  readonly transfers: readonly { readonly start: number; readonly end: number; readonly label: string }[];
  /** Intervals of each stage's rows, in order. */
  readonly stages: readonly (readonly { readonly start: number; readonly end: number; readonly head: number }[])[];
}

export function scheduleLayer(heads: readonly ScheduledHead[], slots: number, queueRows: number): Schedule {
  const memory = new MemoryPort();
  const pipeline = new Pipeline(queueRows);
  const keysAt: number[] = [];
  const valuesAt: number[] = [];
  const keysDone: number[] = [];
  const valuesDone: number[] = [];
  const fetch = (head: number) => {
    const { keyCycles, valueCycles } = heads[head]!;
    keysAt[head] = memory.transfer(keysDone[head - slots] ?? 0, keyCycles, `K of head ${head}`);
    valuesAt[head] = memory.transfer(valuesDone[head - slots] ?? 0, valueCycles, `V of head ${head}`);
  };
  for (let head = 0; head < Math.min(slots, heads.length); head++) fetch(head);
  for (const [head, { rows, again, firstFlat, lowCycles, resultCycles }] of heads.entries()) {
    let flatAt = 0;
    for (const [index, row] of rows.entries()) {
      const softmaxEnd = pipeline.row(row, keysAt[head]!, valuesAt[head]!, head);
      if (index === firstFlat) flatAt = softmaxEnd;
    }
    if (lowCycles > 0) {
      const lowAt = memory.transfer(flatAt, lowCycles, `low bits of K of head ${head}`);
      for (const row of again) pipeline.row(row, lowAt, valuesAt[head]!, head);
    }
    keysDone[head] = pipeline.end(KEY_STAGE);
    valuesDone[head] = pipeline.end(VALUE_STAGE);
    if (head + slots < heads.length) fetch(head + slots);
    memory.transfer(valuesDone[head]!, resultCycles, `results of head ${head}`);
  }
  return {
    cycles: Math.max(memory.free, pipeline.end(VALUE_STAGE)),
    busy: pipeline.busy,
    memory: memory.busy,
    transfers: memory.transfers,
    stages: pipeline.intervals,
  };
}

class MemoryPort {
  free = 0;
  busy = 0;
  readonly transfers: { start: number; end: number; label: string }[] = [];

  /** @returns when the transfer is done; at once, without waiting for others, when there is nothing to move */
  transfer(from: number, cycles: number, label: string): number {
    if (cycles === 0) return from;
    const start = Math.max(from, this.free);
    this.free = start + cycles;
    this.busy += cycles;
    this.transfers.push({ start, end: this.free, label });
    return this.free;
  }
}

class Pipeline {
  /** When each row started in, ended in and left each stage. */
  readonly #starts: number[][] = [[], [], [], []];
  readonly #ends: number[] = [0, 0, 0, 0];
  readonly #leaves: number[] = [0, 0, 0, 0];
  readonly intervals: { start: number; end: number; head: number }[][] = [[], [], [], []];
  readonly #busy = [0, 0, 0, 0];
  #rows = 0;

  constructor(readonly queueRows: number) {}

  get busy(): RowCycles {
    return this.#busy as unknown as RowCycles;
  }

  /** When the last row ended in a stage. */
  end(stage: number): number {
    return this.#ends[stage]!;
  }

  /** @returns when the row's softmax ends */
  row(cycles: RowCycles, keysAt: number, valuesAt: number, head: number): number {
    const row = this.#rows++;
    let arrives = keysAt;
    const ends = [0, 0, 0, 0];
    const starts = [0, 0, 0, 0];
    for (let stage = 0; stage < STAGES.length; stage++) {
      const ready = stage === VALUE_STAGE ? Math.max(arrives, valuesAt) : arrives;
      starts[stage] = Math.max(ready, this.#leaves[stage]!);
      ends[stage] = starts[stage]! + cycles[stage]!;
      // A row leaves into the queue behind its stage when the row `queueRows` before it has been taken out of there.
      const room = this.#starts[stage + 1]?.[row - this.queueRows] ?? 0;
      this.#leaves[stage] = Math.max(ends[stage]!, room);
      arrives = this.#leaves[stage]!;
      this.#starts[stage]!.push(starts[stage]!);
      this.#ends[stage] = ends[stage]!;
      this.#busy[stage]! += cycles[stage]!;
      if (cycles[stage]! > 0) this.intervals[stage]!.push({ start: starts[stage]!, end: ends[stage]!, head });
    }
    return ends[1]!;
  }
}
