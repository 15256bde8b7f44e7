/** Quantities by cycle, summed into a bounded number of samples whose length doubles as the run grows. */

const MAXIMUM_SAMPLES = 512;

export class CycleLog<Channel extends string> {
  cyclesPerSample = 1;
  cycles = 0;
  readonly #sums: Readonly<Record<Channel, Float64Array>>;
  readonly #channels: readonly Float64Array[];

  constructor(channels: readonly Channel[]) {
    const entries = channels.map((channel) => [channel, new Float64Array(MAXIMUM_SAMPLES)] as const);
    this.#sums = Object.fromEntries(entries) as Record<Channel, Float64Array>;
    this.#channels = entries.map(([, sums]) => sums);
  }

  /** The next cycles, with the same values in each; values in the order of the channels. */
  add(values: Float64Array, cycles: number): void {
    let left = cycles;
    while (left > 0) {
      const sample = Math.floor(this.cycles / this.cyclesPerSample);
      if (sample === MAXIMUM_SAMPLES) {
        this.#halve();
        continue;
      }
      const part = Math.min(left, (sample + 1) * this.cyclesPerSample - this.cycles);
      for (let channel = 0; channel < values.length; channel++) {
        this.#channels[channel]![sample]! += values[channel]! * part;
      }
      this.cycles += part;
      left -= part;
    }
  }

  total(channel: Channel): number {
    return this.#sums[channel].reduce((sum, value) => sum + value, 0);
  }

  /** Means over the cycles of each sample; the last sample may be shorter. */
  means(channel: Channel): number[] {
    const samples = Math.ceil(this.cycles / this.cyclesPerSample);
    return Array.from({ length: samples }, (_, sample) => {
      const cycles = Math.min(this.cyclesPerSample, this.cycles - sample * this.cyclesPerSample);
      return this.#sums[channel][sample]! / cycles;
    });
  }

  #halve(): void {
    for (const sums of this.#channels) {
      for (let sample = 0; sample < MAXIMUM_SAMPLES; sample += 2) sums[sample / 2] = sums[sample]! + sums[sample + 1]!;
      sums.fill(0, MAXIMUM_SAMPLES / 2);
    }
    this.cyclesPerSample *= 2;
  }
}
