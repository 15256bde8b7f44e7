/** The schedule of toex-schedule.ts, played cycle by cycle: slow, and plain enough to check by reading. */
import type { MemoryTiming } from './toex-memory.js';
import { ENGINE, type Operation, SPECIAL, type Unit } from './toex-operations.js';

/** A unit's work on one tile, or on none. */
interface Task {
  readonly unit: Unit;
  readonly cycles: number;
  /** Of its tile; 0: nothing comes from memory. */
  readonly load: number;
  /** Tasks that must be done before it may start, and before its tile may be fetched. */
  readonly after: readonly number[];
  readonly fetchAfter: readonly number[];
  /** Cycles of the write that follows it. */
  readonly write: number;
}

/** Cycles until all is done, writes too. */
export function referenceSchedule(operations: readonly Operation[], timing: MemoryTiming): number {
  const tasks = tasksOf(operations, timing);
  const streamed = tasks.flatMap(({ load }, index) => (load > 0 ? [index] : []));
  /** When each task that is done was. */
  const done = new Map<number, number>();
  const fetched = new Set<number>();
  let cycle = 0;
  const queues = [0, 1, 2].map((unit) => tasks.flatMap((task, index) => (task.unit === unit ? [index] : [])));
  const running: ({ task: number; left: number } | undefined)[] = [undefined, undefined, undefined];
  let port: { fetches: number | undefined; left: number } | undefined;
  let nextFetch = 0;
  const writes: number[] = [];
  const all = (indices: readonly number[]) => indices.every((index) => done.has(index));
  /** The memory's latency after what a request had to wait for. */
  const arrives = (after: readonly number[]) =>
    all(after) && cycle >= Math.max(0, ...after.map((index) => done.get(index)!)) + timing.latencyCycles;

  const finishUnits = (): boolean => {
    let changed = false;
    for (const unit of [0, 1, 2]) {
      const current = running[unit];
      if (current?.left !== 0) continue;
      done.set(current.task, cycle);
      const { write } = tasks[current.task]!;
      if (write > 0) writes.push(write);
      running[unit] = undefined;
      changed = true;
    }
    return changed;
  };
  const startUnits = (): boolean => {
    let changed = false;
    for (const unit of [0, 1, 2]) {
      const next = queues[unit]![0];
      if (running[unit] || next === undefined) continue;
      const { after, load, cycles } = tasks[next]!;
      if (!all(after) || (load > 0 && !fetched.has(next))) continue;
      queues[unit]!.shift();
      running[unit] = { task: next, left: cycles };
      changed = true;
    }
    return changed;
  };
  const finishPort = (): boolean => {
    if (port?.left !== 0) return false;
    if (port.fetches !== undefined) fetched.add(port.fetches);
    port = undefined;
    return true;
  };
  const startPort = () => {
    if (port) return;
    const write = writes.shift();
    const next = streamed[nextFetch];
    if (write !== undefined) port = { fetches: undefined, left: write };
    else if (next !== undefined && hasRoom(nextFetch) && arrives(tasks[next]!.fetchAfter)) {
      port = { fetches: next, left: tasks[next]!.load };
      nextFetch++;
    }
  };
  const hasRoom = (at: number): boolean => at < 2 || done.has(streamed[at - 2]!);

  for (; ; cycle++) {
    for (let changed = true; changed; ) changed = [finishUnits(), finishPort(), startUnits()].some(Boolean);
    startPort();
    if (done.size === tasks.length && !port) return cycle;
    for (const one of running) if (one) one.left--;
    if (port) port.left--;
  }
}

function tasksOf(operations: readonly Operation[], { readCycles, writeCycles, tileBytes }: MemoryTiming): Task[] {
  const tasks: Task[] = [];
  let [before, decision]: [number[], number[]] = [[], []];
  const add = (unit: Unit, cycles: number, read: number, after: number[], write = 0): number[] => {
    const tiles = Math.max(1, Math.ceil(read / tileBytes));
    const each = tiles === 1 ? 0 : Math.floor((cycles * tileBytes) / read);
    for (let tile = 0; tile < tiles; tile++) {
      const last = tile === tiles - 1;
      tasks.push({
        unit,
        cycles: last ? cycles - (tiles - 1) * each : each,
        load: read === 0 ? 0 : readCycles(last ? read - (tiles - 1) * tileBytes : tileBytes),
        after,
        fetchAfter: decision,
        write: last ? write : 0,
      });
    }
    return [tasks.length - 1];
  };
  for (const { unit, cycles, read, write, decides, attention } of operations) {
    const written = write > 0 ? writeCycles(write) : 0;
    if (attention === undefined) before = add(unit, cycles, read, before, written);
    else {
      const heads = attention.flatMap((work) => new Array<typeof work>(work.heads).fill(work));
      const contexts: (() => number[])[] = [];
      const start = before;
      for (const { scoreCycles, softmaxCycles, contextCycles, bytes } of heads) {
        const softmax = add(SPECIAL, softmaxCycles, 0, add(ENGINE, scoreCycles, bytes, start));
        before = contexts.pop()?.() ?? before;
        contexts.push(() => add(ENGINE, contextCycles, bytes, softmax));
      }
      before = contexts.pop()?.() ?? before;
    }
    if (decides) decision = before;
  }
  return tasks;
}
