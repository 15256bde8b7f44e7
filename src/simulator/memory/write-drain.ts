/**
 * When a channel turns from reads to writes and back. It writes while no reads wait, when so many writes wait that their
 * queue fills, or when one of them has become old; and turns back to waiting reads when few writes are left, or after as
 * many writes as the queue holds. After such a full batch, the reads that waited go before the next one.
 */
import type { DramConfig } from './dram-config.js';
import type { RequestQueue } from './request-queue.js';

export class WriteDrain {
  readonly #controller: DramConfig['controller'];
  #writing = false;
  /** Writes of this batch. */
  #drained = 0;
  /** Reads that go before the next batch. */
  #owed = 0;

  constructor({ controller }: DramConfig) {
    this.#controller = controller;
  }

  get isWriting(): boolean {
    return this.#writing;
  }

  /** Whether writes are to go now. */
  choose(reads: RequestQueue, writes: RequestQueue, now: number): boolean {
    if (this.#writing && this.#ends(reads, writes)) {
      this.#owed = this.#drained >= this.#controller.writeQueue ? reads.size : 0;
      this.#writing = false;
    }
    if (!this.#writing && this.#begins(reads, writes, now)) {
      this.#drained = 0;
      this.#writing = true;
    }
    return this.#writing;
  }

  /** Whether `choose` would change its mind. */
  turns(reads: RequestQueue, writes: RequestQueue, now: number): boolean {
    return this.#writing ? this.#ends(reads, writes) : this.#begins(reads, writes, now);
  }

  served(write: 0 | 1): void {
    if (write) this.#drained++;
    else this.#owed--;
  }

  #ends(reads: RequestQueue, writes: RequestQueue): boolean {
    const { writeLow, writeQueue } = this.#controller;
    return writes.size === 0 || (reads.size > 0 && (writes.size <= writeLow || this.#drained >= writeQueue));
  }

  #begins(reads: RequestQueue, writes: RequestQueue, now: number): boolean {
    const { writeHigh, starvationCycles } = this.#controller;
    if (writes.size === 0) return false;
    if (reads.size === 0) return true;
    return this.#owed <= 0 && (writes.size >= writeHigh || now >= writes.oldest.entered + starvationCycles);
  }
}
