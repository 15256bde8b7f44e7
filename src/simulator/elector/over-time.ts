/** Utilisation and power over a run's time: intervals of work, spread over samples once the run's length is known. */
import type { ActionCounts, Composition } from '../../hardware/compose.js';
import type { TimeSeries } from '../types.js';
import type { ElectorConfig } from './config.js';
import type { BufferName } from './constants.js';
import type { Played, PlayedOperation, Transfer } from './played.js';

const SAMPLES = 400;
const BUFFER_NAMES: readonly BufferName[] = ['activation', 'weight', 'mask'];

/** An amount spread evenly over [start, end). */
interface Spread {
  readonly start: number;
  readonly end: number;
  readonly amount: number;
}

export class OverTime {
  readonly #work = new Map<string, Spread[]>();
  readonly #energy: Spread[] = [];
  readonly #fills: Record<BufferName, Spread[]> = { activation: [], weight: [], mask: [] };
  readonly #counts: Readonly<Record<string, number>>;
  readonly #prices = new Map<string, number>();

  constructor(
    readonly composition: Composition,
    { pes, lanesPerPe, softmaxPerPe }: ElectorConfig,
  ) {
    this.#counts = { 'MAC lanes': pes * lanesPerPe, softmax: pes * softmaxPerPe, 'layer norm': pes, 'main memory': 1 };
  }

  operation(
    { dispatch, done }: PlayedOperation,
    unit: string | undefined,
    actions: ActionCounts,
    offset: number,
  ): void {
    const start = offset + dispatch.start;
    if (unit) this.#add(unit, { start, end: offset + dispatch.end, amount: dispatch.busy });
    this.#energy.push({ start, end: offset + done, amount: this.#price(actions) });
  }

  transfer({ start, end }: Transfer, actions: ActionCounts, offset: number): void {
    const span = { start: offset + start, end: offset + end };
    this.#add('main memory', { ...span, amount: end - start });
    this.#energy.push({ ...span, amount: this.#price(actions) });
  }

  /** Fills of the buffers: bits × cycles, as a share of their size. */
  fills({ fills, bufferBits, cycles }: Played, offset: number): void {
    const inOrder = fills.toSorted((a, b) => a.cycle - b.cycle);
    for (const buffer of BUFFER_NAMES) {
      let [at, bits] = [0, 0];
      const until = (cycle: number) => {
        const amount = (bits / bufferBits[buffer]) * (cycle - at);
        if (amount > 0) this.#fills[buffer].push({ start: offset + at, end: offset + cycle, amount });
        at = cycle;
      };
      for (const change of inOrder) {
        if (change.buffer !== buffer) continue;
        until(change.cycle);
        bits += change.bits;
      }
      until(cycles);
    }
  }

  meanFills(cycles: number): Record<BufferName, number> {
    const mean = (buffer: BufferName) =>
      cycles === 0 ? 0 : Math.min(1, this.#fills[buffer].reduce((sum, { amount }) => sum + amount, 0) / cycles);
    return { activation: mean('activation'), weight: mean('weight'), mask: mean('mask') };
  }

  series(cycles: number): TimeSeries {
    const cyclesPerSample = Math.max(1, Math.ceil(cycles / SAMPLES));
    const samples = Math.ceil(cycles / cyclesPerSample);
    const length = (sample: number) => Math.min(cyclesPerSample, cycles - sample * cyclesPerSample);
    const share = (spreads: readonly Spread[], count: number) =>
      spread(spreads, cyclesPerSample, samples).map((sum, at) => Math.min(1, sum / (count * length(at))));
    const { clockHertz } = this.composition.technology;
    const milliwatts = (picojoules: number, at: number) => (picojoules * clockHertz) / length(at) / 1e9;
    const dynamic = spread(this.#energy, cyclesPerSample, samples).map(milliwatts);
    return {
      cyclesPerSample,
      series: [
        ...Object.entries(this.#counts).map(([name, count]) => ({
          name,
          quantity: 'utilisation' as const,
          values: share(this.#work.get(name) ?? [], count),
        })),
        ...BUFFER_NAMES.map((name) => ({
          name: `${name} buffer`,
          quantity: 'utilisation' as const,
          values: share(this.#fills[name], 1),
        })),
        { name: 'work', quantity: 'power', values: dynamic },
        {
          name: 'leakage of what is always on',
          quantity: 'power',
          values: dynamic.map(() => this.composition.leakageMilliwatts),
        },
      ],
    };
  }

  #add(unit: string, span: Spread): void {
    const known = this.#work.get(unit);
    if (known) known.push(span);
    else this.#work.set(unit, [span]);
  }

  #price(actions: ActionCounts): number {
    let sum = 0;
    for (const [component, counts] of Object.entries(actions)) {
      for (const [action, times] of Object.entries(counts)) {
        const key = `${component}/${action}`;
        let price = this.#prices.get(key);
        if (price === undefined) {
          price = this.composition.energyOf(component, action) + this.composition.leakageOf(component, action);
          this.#prices.set(key, price);
        }
        sum += times * price;
      }
    }
    return sum;
  }
}

/** Sums by sample. What takes no time falls into the sample of its start. */
function spread(spreads: readonly Spread[], cyclesPerSample: number, samples: number): number[] {
  const sums = new Array<number>(samples).fill(0);
  const last = samples - 1;
  for (const { start, end, amount } of spreads) {
    if (samples === 0) break;
    const first = Math.min(last, Math.floor(start / cyclesPerSample));
    if (end <= start) {
      sums[first]! += amount;
      continue;
    }
    for (let sample = first; sample <= last && sample * cyclesPerSample < end; sample++) {
      const overlap = Math.min(end, (sample + 1) * cyclesPerSample) - Math.max(start, sample * cyclesPerSample);
      if (overlap > 0) sums[sample]! += (amount * overlap) / (end - start);
    }
  }
  return sums;
}
