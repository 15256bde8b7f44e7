/**
 * Timelines and series over time as a file for trace viewers: Chrome's JSON trace event format, which Perfetto opens. A
 * process per machine, a thread per lane of its timeline, a counter per series.
 */
import type { SimulationResult } from '../simulator/types.js';
import { printable } from './html.js';

/** Name of the file in a report's folder of figures. */
export const PERFETTO_FILE = 'timeline.perfetto.json';

/** One entry of "traceEvents". Times in microseconds of simulated time. */
export interface TraceEvent {
  readonly name: string;
  /** M: a name or a place in the viewer, X: an interval, C: new value of a counter. */
  readonly ph: 'M' | 'X' | 'C';
  readonly pid: number;
  readonly tid?: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly args: Readonly<Record<string, string | number>>;
}

/** The file's text; undefined when no machine has a timeline or a series over time. */
export function perfettoTrace(machines: readonly SimulationResult[]): string | undefined {
  const events = traceEvents(machines);
  if (events.length === 0) return undefined;
  const lines = events.map((event) => JSON.stringify(event)).join(',\n');
  return `{"displayTimeUnit":"ns","traceEvents":[\n${lines}\n]}\n`;
}

/** Names and places first, then everything in order of time. */
export function traceEvents(machines: readonly SimulationResult[]): TraceEvent[] {
  // Viewers take a thread for the main one when its number is its process's, so no number is given twice.
  let lastId = 0;
  const names: TraceEvent[] = [];
  const events: TraceEvent[] = [];
  for (const machine of machines) {
    const lanes = machine.timeline.filter((lane) => lane.busy.length > 0);
    const series = machine.overTime?.series ?? [];
    if (lanes.length + series.length === 0) continue;
    const pid = ++lastId;
    names.push(named('process', pid, undefined, machine.name), placed('process', pid, undefined, pid));
    for (const lane of lanes) {
      const tid = ++lastId;
      names.push(named('thread', pid, tid, lane.lane), placed('thread', pid, tid, tid));
      for (const interval of lane.busy) events.push(intervalEvent(machine, pid, tid, lane.lane, interval));
    }
    for (const one of series) events.push(...counterEvents(machine, pid, one));
  }
  return [...names, ...events.sort((a, b) => a.ts! - b.ts!)];
}

type Kind = 'process' | 'thread';

function named(kind: Kind, pid: number, tid: number | undefined, name: string): TraceEvent {
  return { name: `${kind}_name`, ph: 'M', pid, tid, args: { name: printable(name) } };
}

/** Keeps the viewer's order that of the result. */
function placed(kind: Kind, pid: number, tid: number | undefined, place: number): TraceEvent {
  return { name: `${kind}_sort_index`, ph: 'M', pid, tid, args: { sort_index: place } };
}

function intervalEvent(
  { clockHertz }: SimulationResult,
  pid: number,
  tid: number,
  lane: string,
  { start, end, label }: SimulationResult['timeline'][number]['busy'][number],
): TraceEvent {
  const [from, to] = [nanoseconds(start, clockHertz), nanoseconds(end, clockHertz)];
  return {
    name: printable(label || lane),
    ph: 'X',
    pid,
    tid,
    ts: microseconds(from),
    dur: microseconds(to - from),
    args: { startCycle: start, endCycle: end, cycles: end - start },
  };
}

/** A value at the start of every sample, and zero at the end of the run, where the last one would go on. */
function counterEvents(
  { overTime, clockHertz, cycles }: SimulationResult,
  pid: number,
  { name, quantity, values }: NonNullable<SimulationResult['overTime']>['series'][number],
): TraceEvent[] {
  const { cyclesPerSample } = overTime!;
  const [unit, factor] = quantity === 'utilisation' ? ['%', 100] : ['mW', 1];
  const event = (cycle: number, value: number): TraceEvent => ({
    name: printable(`${name} (${unit})`),
    ph: 'C',
    pid,
    ts: microseconds(nanoseconds(cycle, clockHertz)),
    args: { [unit]: value * factor },
  });
  const end = Math.min(cycles, values.length * cyclesPerSample);
  return [...values.map((value, sample) => event(sample * cyclesPerSample, value)), event(end, 0)];
}

function nanoseconds(cycle: number, clockHertz: number): number {
  return Math.round((cycle / clockHertz) * 1e9);
}

/**
 * Perfetto keeps whole nanoseconds, cuts the rest off, and drops intervals that then overlap by even one. So times are
 * whole nanoseconds here already, written such that cutting finds them again.
 */
function microseconds(nanoseconds: number): number {
  const nearest = nanoseconds / 1000;
  return Math.trunc(nearest * 1000) < nanoseconds ? nearest * (1 + Number.EPSILON) : nearest;
}
