/** Series over the run's time, averaged to what a drawing can show: what the figures over time are made of. */
import type { SimulationResult, TimeSeries } from '../../simulator/types.js';
import { count, engineeringScale, type Scale } from '../format.js';

type Quantity = TimeSeries['series'][number]['quantity'];

/** More samples than a drawing of this width can show. */
const MOST_SAMPLES = 300;
/** A run shorter than this share of the longest one gets an axis of its own. */
const SHORTEST_ON_ONE_AXIS = 0.1;

/** One machine's series of a quantity. Times in seconds; a sample covers [times[s], times[s + 1]). */
export interface SampledMachine {
  readonly machine: SimulationResult;
  readonly times: readonly number[];
  readonly series: readonly Sampled[];
}

export interface Sampled {
  readonly name: string;
  readonly values: readonly number[];
  /** Of the samples as recorded. */
  readonly mean: number;
  readonly peak: number;
}

/** Machines that recorded the quantity; others are left out. */
export function sampledMachines(machines: readonly SimulationResult[], quantity: Quantity): SampledMachine[] {
  return machines.map((machine) => sampled(machine, quantity)).filter(({ series }) => series.length > 0);
}

function sampled(machine: SimulationResult, quantity: Quantity): SampledMachine {
  const { cyclesPerSample = 1, series = [] } = machine.overTime ?? {};
  const own = series.filter((one) => one.quantity === quantity && one.values.length > 0);
  const samples = Math.max(0, ...own.map((one) => one.values.length));
  const group = Math.max(1, Math.ceil(samples / MOST_SAMPLES));
  // The last sample ends with the run.
  const boundary = (sample: number) => Math.min(sample * cyclesPerSample, machine.cycles);
  const bounds = Array.from({ length: Math.ceil(samples / group) + 1 }, (_, g) => Math.min(g * group, samples));
  const mean = (values: readonly number[], from: number, to: number) => {
    let sum = 0;
    for (let s = from; s < to; s++) sum += (values[s] ?? 0) * (boundary(s + 1) - boundary(s));
    return sum / Math.max(1, boundary(to) - boundary(from));
  };
  return {
    machine,
    times: bounds.map((sample) => boundary(sample) / machine.clockHertz),
    series: own.map(({ name, values }) => ({
      name,
      values: bounds.slice(1).map((to, g) => mean(values, bounds[g]!, to)),
      mean: mean(values, 0, samples),
      peak: values.reduce((most, value) => Math.max(most, value), 0),
    })),
  };
}

/** Cycles that one drawn value of each machine stands for, for the caption. */
export function resolutionNote(machines: readonly SampledMachine[]): string {
  const each = machines.map(({ machine, times }) => (times[1]! - times[0]!) * machine.clockHertz);
  const cycles = [...new Set(each.map((value) => Math.round(value)))].sort((a, b) => a - b);
  const range = cycles.length > 1 ? `${count(cycles[0]!)} to ${count(cycles.at(-1)!)}` : count(cycles[0]!);
  return ` A value is the mean over ${range} cycles${cycles.length > 1 ? ', depending on the machine' : ''}.`;
}

export interface TimeAxes {
  readonly scale: Scale;
  /** All machines on one axis; otherwise each on its own. */
  readonly shared: boolean;
  readonly note: string;
  /** End of a machine's axis in seconds. */
  readonly end: (machine: SampledMachine) => number;
}

/** One axis for all machines, unless the shortest run would vanish on it. */
export function timeAxes(machines: readonly SampledMachine[]): TimeAxes {
  const own = (machine: SampledMachine) => machine.times.at(-1)!;
  const ends = machines.map(own);
  const longest = Math.max(...ends);
  const shared = Math.min(...ends) >= SHORTEST_ON_ONE_AXIS * longest;
  return {
    scale: engineeringScale(longest, 's'),
    shared,
    note: shared ? '' : ' The runs differ so much in length that each machine has a time axis of its own.',
    end: shared ? () => longest : own,
  };
}

/** One row per drawn value: machine, series, bounds in seconds and the value under `field`. */
export function sampleRows<Field extends string>(machines: readonly SampledMachine[], field: Field) {
  return machines.flatMap(({ machine, times, series }) =>
    series.flatMap(({ name, values }) =>
      values.map((value, sample) => ({
        machine: machine.name,
        series: name,
        startSeconds: times[sample]!,
        endSeconds: times[sample + 1]!,
        ...({ [field]: value } as Record<Field, number>),
      })),
    ),
  );
}
