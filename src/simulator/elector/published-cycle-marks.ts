/** Marks on data that must stay in the buffers: set for what is issued or next, cleared when a consumer is done. */
import type { PublishedBuffer } from './published-cycle-buffer.js';
import type { PublishedProgram, TileRange } from './published-cycle-program.js';
import type { Window } from './published-cycle-windows.js';

/** Tile operations of a head that are done without a gap, and the data that they needed. */
interface DonePrefix {
  next: number;
  readonly end: number;
  readonly data: Set<number>;
}

export class RequiredMarks {
  /** Last step between heads that was found done; the search goes on there. */
  #step = 0;
  readonly #heads: readonly (readonly DonePrefix[])[];

  constructor(
    readonly program: PublishedProgram,
    readonly buffers: readonly PublishedBuffer[],
  ) {
    const prefix = ({ first, end }: TileRange): DonePrefix => ({ next: first, end, data: new Set() });
    this.#heads = program.heads.map((layer) => layer.map(prefix));
  }

  /** Once per cycle, when the modules have run. */
  update(done: Uint8Array, windows: readonly (Window | undefined)[]): void {
    this.#clear(done);
    for (const window of windows) {
      if (!window) continue;
      for (const { operation } of window) this.#mark(operation.requires, true);
    }
  }

  /** Clears the marks of a layer's finished operations in each cycle until a later step is done. */
  #clear(done: Uint8Array): void {
    const { steps, operations, operationOf } = this.program;
    for (let step = this.#step; step < steps.length; step++) {
      const tile = steps[step]!;
      if (tile < 0) {
        for (const prefix of this.#heads[-1 - tile]!) this.#clearHead(prefix, done);
      } else if (done[tile]) {
        this.#mark(operations[operationOf[tile]!]!.requires, false);
        this.#step = step;
      } else {
        return;
      }
    }
  }

  #clearHead(prefix: DonePrefix, done: Uint8Array): void {
    const { operations, operationOf } = this.program;
    while (prefix.next < prefix.end && done[prefix.next]) {
      for (const data of operations[operationOf[prefix.next]!]!.requires) prefix.data.add(data);
      prefix.next++;
    }
    this.#mark(prefix.data, false);
  }

  #mark(numbers: Iterable<number>, required: boolean): void {
    for (const number of numbers) {
      for (const buffer of this.buffers) {
        const data = buffer.held(number);
        if (data) data.required = required;
      }
    }
  }
}
