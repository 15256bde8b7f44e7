/**
 * When the parts of a LeOPArd tile work, cycle by cycle: dot-product units, FIFO, back end. Units are alike and the
 * back end takes every survivor alike, so timing depends on how many units do what, not on which: counts per cycle
 * replace an event queue. leopard-schedule-reference.ts is the same machine with every unit spelled out.
 *
 * In a cycle: the back end, if idle, pops one survivor that was pushed in an earlier cycle; idle units take the next
 * keys in order; at the cycle's end, units that finished a survivor push it while the FIFO has room, and freeze if not.
 * All units share one query: the next one starts when every unit has finished and pushed. The back end does not wait
 * for rows.
 */
import { KEPT, STEPS } from './leopard-stops.js';

export interface ScheduleParameters {
  readonly units: number;
  /** Cycles of a unit per step: more than 1 when the head dimension exceeds the taps. */
  readonly stepCycles: number;
  readonly fifoDepth: number;
  /** Cycles of the back end per survivor. */
  readonly survivorCycles: number;
}

/** What happened until the last survivor left the back end; pipeline fill not included. */
export interface ScheduleResult {
  readonly cycles: number;
  /** Cycles until the last unit finished. */
  readonly frontEndCycles: number;
  /** Unit-cycles at work, and frozen by a full FIFO. */
  readonly busyUnitCycles: number;
  readonly frozenUnitCycles: number;
  readonly pushes: number;
  readonly pops: number;
  readonly backEndBusyCycles: number;
  /** Front-end cycles spent on second scans. */
  readonly rescueCycles: number;
}

/** Moves the kept bit of a stop byte to the lowest bit of a ring entry's high half. */
const KEPT_SHIFT = 9;

export class HeadSchedule {
  #cycle = 0;
  #fifo = 0;
  /** First cycle at which the back end is idle again. */
  #backEndFree = 0;
  #busy = 0;
  #frozen = 0;
  #pushes = 0;
  #pops = 0;
  #rescue = 0;
  /** Units that finish at the end of each coming cycle, as a ring: their number, and in the high half those with a survivor. */
  readonly #finishing: Int32Array;

  constructor(
    readonly parameters: ScheduleParameters,
    /** Largest number of steps of a score. */
    maximumSteps: number,
  ) {
    const ring = 2 ** Math.ceil(Math.log2(maximumSteps * parameters.stepCycles + 1));
    this.#finishing = new Int32Array(ring);
  }

  /** Scans keys [start, end) of the stop bytes for one query; survivors go to the back end. */
  scan(stops: Uint8Array, start: number, end: number): void {
    this.#row(stops, start, end, KEPT);
  }

  /** Scans again for the largest score, which alone goes to the back end once the row is done. */
  rescue(stops: Uint8Array, start: number, end: number, push: boolean): void {
    const begin = this.#cycle;
    this.#row(stops, start, end, 0);
    if (push) {
      // The push happens at the end of the row's last cycle, or of the first later one that finds room.
      while (this.#fifo === this.parameters.fifoDepth) {
        this.#pop();
        this.#cycle++;
      }
      this.#fifo++;
      this.#pushes++;
    }
    this.#rescue += this.#cycle - begin;
  }

  /** Lets the back end finish. The schedule is over. */
  finish(): ScheduleResult {
    const { survivorCycles } = this.parameters;
    const frontEndCycles = this.#cycle;
    const waiting = this.#fifo;
    const pops = this.#pops + waiting;
    return {
      cycles: Math.max(this.#backEndFree, frontEndCycles) + waiting * survivorCycles,
      frontEndCycles,
      busyUnitCycles: this.#busy,
      frozenUnitCycles: this.#frozen,
      pushes: this.#pushes,
      pops,
      backEndBusyCycles: pops * survivorCycles,
      rescueCycles: this.#rescue,
    };
  }

  #pop(): void {
    if (this.#fifo > 0 && this.#cycle >= this.#backEndFree) {
      this.#fifo--;
      this.#pops++;
      this.#backEndFree = this.#cycle + this.parameters.survivorCycles;
    }
  }

  /** `keptMask`: the bit of a stop byte that makes a unit push; 0 for none. */
  #row(stops: Uint8Array, start: number, end: number, keptMask: number): void {
    const { units, stepCycles, fifoDepth, survivorCycles } = this.parameters;
    const finishing = this.#finishing;
    const ring = finishing.length - 1;
    let cycle = this.#cycle;
    let fifo = this.#fifo;
    let backEndFree = this.#backEndFree;
    let busy = 0;
    let frozen = 0;
    let pushes = 0;
    let pops = 0;
    let idle = units;
    let pending = 0;
    let next = start;
    while (next < end || idle < units) {
      if (fifo > 0 && cycle >= backEndFree) {
        fifo--;
        pops++;
        backEndFree = cycle + survivorCycles;
      }
      const last = Math.min(end, next + idle);
      idle -= last - next;
      for (; next < last; next++) {
        const stop = stops[next]!;
        const duration = (stop & STEPS) * stepCycles;
        finishing[(cycle + duration - 1) & ring]! += 1 + ((stop & keptMask) << KEPT_SHIFT);
        busy += duration;
      }
      const finished = finishing[cycle & ring]!;
      finishing[cycle & ring] = 0;
      const kept = finished >> 16;
      pending += kept;
      const pushed = Math.min(pending, fifoDepth - fifo);
      fifo += pushed;
      pushes += pushed;
      pending -= pushed;
      frozen += pending;
      idle += (finished & 0xffff) - kept + pushed;
      cycle++;
    }
    this.#cycle = cycle;
    this.#fifo = fifo;
    this.#backEndFree = backEndFree;
    this.#busy += busy;
    this.#frozen += frozen;
    this.#pushes += pushes;
    this.#pops += pops;
  }
}
