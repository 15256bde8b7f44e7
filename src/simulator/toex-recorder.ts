/** What the units did in a few decoding steps, for the timeline figure. */
import { type Operation, UNITS } from './toex-operations.js';
import type { Schedule } from './toex-schedule.js';
import type { TimelineLane } from './types.js';

/** From the second step of the first sequence: the first one is the prompt’s. */
const FIRST_STEP = 1;
/** Intervals of a lane that a figure can still show. */
const MOST_INTERVALS = 240;

const LANES = [...UNITS, 'memory'];

export class Recorder {
  readonly #lanes = LANES.map((lane) => ({ lane, busy: [] as { start: number; end: number; label: string }[] }));
  #isDone = false;

  /** Runs the operation, and notes what it did when if this is to be shown. */
  run(schedule: Schedule, operation: Operation, part: string, step: number): void {
    schedule.recording = !this.#isDone && step >= FIRST_STEP;
    schedule.run(operation);
    if (!schedule.recording) return;
    const label = `token ${step}, ${part}: ${operation.name}`;
    for (const { lane, start, end } of schedule.intervals.splice(0)) this.#add(lane, start, end, label);
    this.#isDone = this.#lanes.some(({ busy }) => busy.length >= MOST_INTERVALS);
  }

  /** Tiles of an operation without a break between them are one interval. */
  #add(lane: number, start: number, end: number, label: string): void {
    const { busy } = this.#lanes[lane]!;
    const last = busy.at(-1);
    if (last?.end === start && last.label === label) last.end = end;
    else busy.push({ start, end, label });
  }

  /** Of the first sequence that has a second step; the recording ends with it. */
  close(): void {
    this.#isDone ||= this.#lanes.some(({ busy }) => busy.length > 0);
  }

  get lanes(): TimelineLane[] {
    const start = Math.min(...this.#lanes.flatMap(({ busy }) => busy.map((one) => one.start)));
    return this.#lanes
      .filter(({ busy }) => busy.length > 0)
      .map(({ lane, busy }) => ({
        lane,
        busy: busy.map((one) => ({ ...one, start: one.start - start, end: one.end - start })),
      }));
  }
}
