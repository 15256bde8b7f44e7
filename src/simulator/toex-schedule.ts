/**
 * When the units work. Operations follow each other: each starts when the one before it is done. Their operands come from
 * memory tile by tile, in order, into a buffer of two tiles, as far ahead as it has room: a tile is fetched as soon as the
 * memory port is free and the tile two before it has been used. Writes go when their data are ready, unless a read has
 * started before. Nothing is fetched ahead of a decision; behind one, the memory's latency shows.
 *
 * In attention, heads go through a pipeline: scores of a head, then its softmax beside the scores of the next one, then its
 * context; so the engine does S₀ S₁ C₀ S₂ C₁ …
 *
 * `toex-schedule-reference.ts` plays the same cycle by cycle.
 */
import type { MemoryTiming } from './toex-memory.js';
import { ENGINE, EXIT, type HeadWork, type Operation, SPECIAL, UNITS, type Unit } from './toex-operations.js';

/** Cycles in which the engine waits, by what for. */
export interface Waits {
  memory: number;
  special: number;
  exit: number;
}

export interface Interval {
  readonly lane: number;
  readonly start: number;
  readonly end: number;
}

/** Lanes of intervals: the units in their order, then memory. */
export const MEMORY_LANE = UNITS.length;

export class Schedule {
  /** Until when the units and the memory port are taken. */
  readonly #unitFree = [0, 0, 0];
  #portFree = 0;
  /** When the last tile was used, and the one before it. */
  #used = 0;
  #usedBefore = 0;
  /** Nothing comes before. */
  #decided: number;
  /** End of the last operation, and of everything so far. */
  #done = 0;
  #end = 0;
  #lastUnit: Unit = SPECIAL;
  readonly #writes: { readonly ready: number; readonly cycles: number }[] = [];
  readonly busy = [0, 0, 0];
  memoryBusy = 0;
  readonly waits: Waits = { memory: 0, special: 0, exit: 0 };
  /** What the operation at hand did when, for figures; not recorded unless asked for. */
  readonly intervals: Interval[] = [];
  recording = false;

  constructor(readonly timing: MemoryTiming) {
    this.#decided = timing.latencyCycles;
  }

  /** When everything before has ended, writes that are still to go aside. */
  get end(): number {
    return this.#end;
  }

  /** Cycles since the engine's last work. */
  get tail(): number {
    return this.#end - this.#unitFree[ENGINE]!;
  }

  run(operation: Operation): void {
    const { unit, cycles, read, write, decides, attention } = operation;
    const start = this.#done;
    this.#done =
      attention === undefined
        ? this.#work(unit, cycles, read, start, this.#lastUnit)
        : this.#attention(attention, start);
    this.#lastUnit = unit;
    this.#end = Math.max(this.#end, this.#done);
    if (write > 0) this.#writes.push({ ready: this.#done, cycles: this.timing.writeCycles(write) });
    if (decides) this.#decided = this.#done + this.timing.latencyCycles;
  }

  /** Lets the last writes go. @returns the cycles of all */
  finish(): number {
    this.#writeUntil(Number.POSITIVE_INFINITY);
    this.#end = Math.max(this.#end, this.#portFree);
    return this.#end;
  }

  #attention(heads: readonly HeadWork[], start: number): number {
    let waiting: { readonly work: HeadWork; readonly softmaxEnd: number } | undefined;
    let end = start;
    const context = () => {
      if (waiting === undefined) return;
      const { work, softmaxEnd } = waiting;
      end = this.#work(ENGINE, work.contextCycles, work.bytes, softmaxEnd, SPECIAL);
    };
    for (const work of heads) {
      for (let head = 0; head < work.heads; head++) {
        const scored = this.#work(ENGINE, work.scoreCycles, work.bytes, start, SPECIAL);
        const softmaxEnd = this.#work(SPECIAL, work.softmaxCycles, 0, scored, ENGINE);
        context();
        waiting = { work, softmaxEnd };
      }
    }
    context();
    return end;
  }

  /**
   * @param after when that on which it depends, the work of the unit `cause`, is done
   * @returns when the unit is done
   */
  #work(unit: Unit, cycles: number, read: number, after: number, cause: Unit): number {
    if (read === 0) return this.#use(unit, cycles, after, 0, cause);
    const { tileBytes, readCycles } = this.timing;
    const tiles = Math.ceil(read / tileBytes);
    const each = Math.floor((cycles * Math.min(read, tileBytes)) / read);
    const load = readCycles(Math.min(read, tileBytes));
    for (let tile = 0; tile < tiles - 1; tile++) {
      const before = { port: this.#portFree, used: this.#used, usedBefore: this.#usedBefore };
      this.#tile(unit, load, each, after, cause);
      if (tile < 2 || this.#writes.length > 0 || this.recording) continue;
      // Where port and buffer have moved on by as much as a tile before, all further equal tiles do the same.
      const period = this.#used - before.used;
      if (period !== before.used - before.usedBefore || period !== this.#portFree - before.port) continue;
      this.#repeat(tiles - 2 - tile, period, unit, load, each);
      break;
    }
    const rest = readCycles(read - (tiles - 1) * tileBytes);
    return this.#tile(unit, rest, cycles - (tiles - 1) * each, after, cause);
  }

  #repeat(tiles: number, period: number, unit: Unit, load: number, cycles: number): void {
    this.#portFree += tiles * period;
    this.#used += tiles * period;
    this.#usedBefore = this.#used - period;
    this.#unitFree[unit]! += tiles * period;
    this.busy[unit]! += tiles * cycles;
    this.memoryBusy += tiles * load;
    if (unit === ENGINE) this.waits.memory += tiles * (period - cycles);
  }

  #tile(unit: Unit, load: number, cycles: number, after: number, cause: Unit): number {
    const room = Math.max(this.#usedBefore, this.#decided);
    this.#writeUntil(Math.max(this.#portFree, room));
    const start = Math.max(this.#portFree, room);
    this.#portFree = start + load;
    this.memoryBusy += load;
    if (this.recording) this.intervals.push({ lane: MEMORY_LANE, start, end: this.#portFree });
    const end = this.#use(unit, cycles, after, this.#portFree, cause);
    this.#usedBefore = this.#used;
    this.#used = end;
    return end;
  }

  #use(unit: Unit, cycles: number, after: number, loaded: number, cause: Unit): number {
    const free = this.#unitFree[unit]!;
    const ready = Math.max(free, after);
    const start = Math.max(ready, loaded);
    const end = start + cycles;
    if (unit === ENGINE) {
      if (cause === EXIT) this.waits.exit += ready - free;
      else this.waits.special += ready - free;
      this.waits.memory += start - ready;
    }
    if (this.recording && cycles > 0) this.intervals.push({ lane: unit, start, end });
    this.#unitFree[unit] = end;
    this.busy[unit]! += cycles;
    return end;
  }

  /** Writes whose data are ready at a time at which a read could start go first. */
  #writeUntil(time: number): void {
    let until = time;
    while (this.#writes.length > 0 && this.#writes[0]!.ready <= until) {
      const { ready, cycles } = this.#writes.shift()!;
      const start = Math.max(this.#portFree, ready);
      this.#portFree = start + cycles;
      this.memoryBusy += cycles;
      until = Math.max(until, this.#portFree);
    }
  }
}
