/**
 * How long requests took. Latencies below 64 cycles are counted one by one, longer ones in bins of at most a 32nd of
 * their size, so that memory stays small however long a run is.
 */
import { Histogram } from '../engine.js';
import type { LatencySummary } from '../types.js';

const EXACT_BITS = 6;

export class Latencies {
  readonly #histogram = new Histogram();
  count = 0;
  #sum = 0;
  #least = Number.POSITIVE_INFINITY;
  #most = 0;

  add(cycles: number): void {
    this.#histogram.add(binOf(cycles));
    this.count++;
    this.#sum += cycles;
    if (cycles < this.#least) this.#least = cycles;
    if (cycles > this.#most) this.#most = cycles;
  }

  get bins(): { readonly bin: number; readonly count: number }[] {
    return this.#histogram.bins;
  }

  /** Undefined without requests. */
  get summary(): LatencySummary | undefined {
    if (this.count === 0) return undefined;
    const bins = this.bins;
    const percentile = (share: number) => {
      let left = share * this.count;
      for (const { bin, count } of bins) {
        left -= count;
        if (left <= 0) return Math.min(Math.max(bin, this.#least), this.#most);
      }
      return this.#most;
    };
    return {
      mean: this.#sum / this.count,
      least: this.#least,
      median: percentile(0.5),
      percentile95: percentile(0.95),
      percentile99: percentile(0.99),
      most: this.#most,
    };
  }
}

/** Smallest latency of the same bin. */
export function binOf(cycles: number): number {
  if (cycles < 2 ** EXACT_BITS) return cycles;
  const width = 2 ** (Math.floor(Math.log2(cycles)) - EXACT_BITS + 1);
  return Math.floor(cycles / width) * width;
}
