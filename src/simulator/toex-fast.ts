/**
 * The schedule in closed form, operation by operation: one that reads takes the larger of its bytes over the bandwidth and
 * its cycles, from where memory and units stand, memory being at most the two tiles of the stream buffer ahead. Heads of
 * attention are taken together, and cycles are not rounded.
 */
import type { MemoryTiming } from './toex-memory.js';
import type { Operation } from './toex-operations.js';

export class Estimate {
  /** Until when the memory port is taken. */
  #port = 0;
  /** When the last tile was used, and the one before it; nothing is read before `#decided`. */
  #used = 0;
  #usedBefore = 0;
  #decided: number;
  #done = 0;

  constructor(readonly timing: MemoryTiming) {
    this.#decided = timing.latencyCycles;
  }

  get end(): number {
    return this.#done;
  }

  run(operation: Operation): void {
    const { read, write, decides } = operation;
    const work = workOf(operation);
    if (read > 0) this.#stream(read, work, this.#tilesOf(operation));
    else this.#done += work;
    if (write > 0) this.#port = Math.max(this.#port, this.#done) + this.timing.writeCycles(write);
    if (decides) this.#decided = this.#done + this.timing.latencyCycles;
  }

  finish(): number {
    this.#done = Math.max(this.#done, this.#port);
    return this.#done;
  }

  /** Keys and values of each head are tiles of their own. */
  #tilesOf({ read, attention }: Operation): number {
    const { tileBytes } = this.timing;
    if (attention === undefined) return Math.ceil(read / tileBytes);
    return attention.reduce((sum, { heads, bytes }) => sum + 2 * heads * Math.ceil(bytes / tileBytes), 0);
  }

  #stream(read: number, work: number, tiles: number): void {
    const memory = read / this.timing.bytesPerCycle;
    const [firstTile, each] = [memory / tiles, work / tiles];
    const start = Math.max(this.#port, this.#usedBefore, this.#decided);
    this.#done = Math.max(start + memory + each, Math.max(this.#done, start + firstTile) + work);
    // Where work is slower, the last tile was fetched when the third last had been used.
    this.#port = Math.max(start + memory, tiles > 2 ? this.#done - 2 * each : 0);
    this.#usedBefore = tiles > 1 ? this.#done - each : this.#used;
    this.#used = this.#done;
  }
}

/** Attention waits for softmax where a head's takes longer than its products. */
function workOf({ cycles, attention }: Operation): number {
  if (attention === undefined) return cycles;
  return attention.reduce((sum, { heads, scoreCycles, softmaxCycles, contextCycles }) => {
    const products = heads * (scoreCycles + contextCycles);
    if (heads === 1) return sum + products + softmaxCycles;
    const pipelined = scoreCycles + heads * softmaxCycles + contextCycles;
    return sum + (softmaxCycles > Math.min(scoreCycles, contextCycles) ? Math.max(products, pipelined) : products);
  }, 0);
}
