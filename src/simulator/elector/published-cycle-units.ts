/** Units of one kind and when they become free. Which unit works does not matter, only how many do. */

/** Tile operations first … first + count − 1, which end together. */
interface Completion {
  readonly first: number;
  readonly count: number;
  readonly units: number;
}

export class Units {
  free: number;
  /** Work that was handed out: units · cycles. */
  handedOut = 0;
  /** Completions by cycle, modulo the ring's length. */
  readonly #ring: Completion[][];

  constructor(
    readonly total: number,
    maximumCycles: number,
  ) {
    this.free = total;
    this.#ring = Array.from({ length: maximumCycles + 1 }, () => []);
  }

  get busy(): number {
    return this.total - this.free;
  }

  /** Occupies units from this cycle's start; they work for `cycles` and are ready at the end of the cycle after. */
  occupy(units: number, cycle: number, cycles: number, first: number, count: number): void {
    this.free -= units;
    this.handedOut += units * cycles;
    this.#ring[(cycle + cycles) % this.#ring.length]!.push({ first, count, units });
  }

  /** Frees what becomes ready at the end of the cycle and marks its tile operations. */
  release(cycle: number, done: Uint8Array): void {
    const bucket = this.#ring[cycle % this.#ring.length]!;
    if (bucket.length === 0) return;
    for (const { first, count, units } of bucket) {
      this.free += units;
      done.fill(1, first, first + count);
    }
    bucket.length = 0;
  }

  /** Work that is left at the start of the cycle: units · cycles. */
  unfinished(cycle: number): number {
    let work = 0;
    for (let ahead = 0; ahead < this.#ring.length; ahead++) {
      for (const { units } of this.#ring[(cycle + ahead) % this.#ring.length]!) work += units * ahead;
    }
    return work;
  }
}
