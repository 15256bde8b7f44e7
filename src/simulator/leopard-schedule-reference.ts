/**
 * The tile of leopard-schedule.ts with every unit, FIFO entry and cycle spelled out: the definition that the fast
 * schedule is tested against, and the source of the timeline, where one wants to see which unit did what.
 */
import type { ScheduleParameters, ScheduleResult } from './leopard-schedule.js';
import type { TimelineLane } from './types.js';

/** A row of work: the scan of one query, or the second scan that finds its largest score. */
export interface ScheduledRow {
  readonly query: number;
  readonly kind: 'scan' | 'rescue';
  readonly scores: readonly { readonly key: number; readonly steps: number; readonly kept: boolean }[];
  /** Key that a rescue hands to the back end; undefined in a block of keys that is not the last. */
  readonly rescuedKey?: number;
}

interface Unit {
  key: number;
  kept: boolean;
  /** Cycles of work left; 0 while frozen with a survivor that found no room. */
  left: number;
  state: 'idle' | 'working' | 'frozen';
}

export function referenceSchedule(
  rows: readonly ScheduledRow[],
  parameters: ScheduleParameters,
): ScheduleResult & { readonly timeline: readonly TimelineLane[] } {
  const tile = new Tile(parameters);
  for (const row of rows) tile.row(row);
  return tile.finish();
}

class Tile {
  readonly #units: Unit[];
  readonly #unitLanes: { start: number; end: number; label: string }[][];
  readonly #backEndLane: { start: number; end: number; label: string }[] = [];
  readonly #fifo: string[] = [];
  #backEndLeft = 0;
  #cycle = 0;
  readonly #counts = {
    busyUnitCycles: 0,
    frozenUnitCycles: 0,
    pushes: 0,
    pops: 0,
    backEndBusyCycles: 0,
    rescueCycles: 0,
  };

  constructor(readonly parameters: ScheduleParameters) {
    this.#units = Array.from({ length: parameters.units }, () => ({
      key: -1,
      kept: false,
      left: 0,
      state: 'idle' as const,
    }));
    this.#unitLanes = this.#units.map(() => []);
  }

  row({ query, kind, scores, rescuedKey }: ScheduledRow): void {
    const begin = this.#cycle;
    const waiting = [...scores];
    const label = (key: number) => `query ${query}, key ${key}`;
    while (waiting.length > 0 || this.#units.some(({ state }) => state !== 'idle')) {
      this.#backEndCycle();
      this.#units.forEach((unit, at) => {
        if (unit.state !== 'idle') return;
        const score = waiting.shift();
        if (score === undefined) return;
        const left = score.steps * this.parameters.stepCycles;
        Object.assign(unit, { key: score.key, kept: kind === 'scan' && score.kept, left, state: 'working' });
        this.#unitLanes[at]!.push({ start: this.#cycle, end: this.#cycle + left, label: label(score.key) });
      });
      for (const unit of this.#units) this.#unitCycle(unit, label);
      this.#cycle++;
    }
    if (rescuedKey !== undefined) {
      while (this.#fifo.length === this.parameters.fifoDepth) {
        this.#backEndCycle();
        this.#cycle++;
      }
      this.#push(label(rescuedKey));
    }
    if (kind === 'rescue') this.#counts.rescueCycles += this.#cycle - begin;
  }

  finish(): ScheduleResult & { readonly timeline: readonly TimelineLane[] } {
    const frontEndCycles = this.#cycle;
    while (this.#fifo.length > 0 || this.#backEndLeft > 0) {
      this.#backEndCycle();
      this.#cycle++;
    }
    const lanes = this.#unitLanes.map((busy, at) => ({ lane: `dot-product unit ${at}`, busy }));
    return {
      ...this.#counts,
      cycles: this.#cycle,
      frontEndCycles,
      timeline: [...lanes, { lane: 'back end', busy: this.#backEndLane }],
    };
  }

  #backEndCycle(): void {
    if (this.#backEndLeft === 0) {
      const entry = this.#fifo.shift();
      if (entry === undefined) return;
      this.#counts.pops++;
      this.#backEndLeft = this.parameters.survivorCycles;
      this.#backEndLane.push({ start: this.#cycle, end: this.#cycle + this.#backEndLeft, label: entry });
    }
    this.#backEndLeft--;
    this.#counts.backEndBusyCycles++;
  }

  #unitCycle(unit: Unit, label: (key: number) => string): void {
    if (unit.state === 'idle') return;
    if (unit.state === 'working') {
      this.#counts.busyUnitCycles++;
      unit.left--;
      if (unit.left > 0) return;
    } else {
      this.#counts.frozenUnitCycles++;
    }
    if (unit.kept && this.#fifo.length === this.parameters.fifoDepth) {
      unit.state = 'frozen';
      return;
    }
    if (unit.kept) this.#push(label(unit.key));
    unit.state = 'idle';
  }

  #push(entry: string): void {
    this.#fifo.push(entry);
    this.#counts.pushes++;
  }
}
