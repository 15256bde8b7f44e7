/** Lanes and other units that take tiles in turn, and what an operation's way through them comes to. */

/** What an operation did on its units. Cycles; operands in words (non-zeros) and elements (bits of their masks). */
export interface Dispatch {
  /** First cycle in which a unit works on it. */
  readonly start: number;
  /** First cycle after its last tile. */
  readonly end: number;
  /** Cycles in which a unit was busy with it, over all units. */
  readonly busy: number;
  readonly tiles: number;
  /** Multiplications, those that a dense machine would do and those done. */
  readonly dense: number;
  readonly executed: number;
  /** Operand tiles that were read from a buffer because the lane did not hold them: tiles, words and mask bits. */
  readonly leftReads: OperandReads;
  readonly rightReads: OperandReads;
}

export interface OperandReads {
  readonly tiles: number;
  readonly words: number;
  readonly maskBits: number;
}

export const NO_READS: OperandReads = { tiles: 0, words: 0, maskBits: 0 };

/**
 * Units of one kind. Tiles are dealt to them in turn, the next operation's going on where the last one's ended, so that
 * which lane gets which tile (and what it can reuse) follows from the loop order alone. A unit takes its tiles in order.
 */
export class UnitPool {
  readonly #free: Float64Array;
  #next = 0;

  constructor(readonly count: number) {
    this.#free = new Float64Array(count);
  }

  /** An operation whose operands are there at `ready`. */
  open(ready: number): OpenDispatch {
    return new OpenDispatch(this, this.#free, ready);
  }

  /** Unit that gets the next tile. */
  take(): number {
    const unit = this.#next;
    this.#next = unit + 1 === this.count ? 0 : unit + 1;
    return unit;
  }
}

/** Collects start, end and busy cycles of one operation. */
class OpenDispatch {
  start = Number.POSITIVE_INFINITY;
  end: number;
  busy = 0;
  tiles = 0;

  constructor(
    readonly pool: UnitPool,
    readonly free: Float64Array,
    readonly ready: number,
  ) {
    this.end = ready;
  }

  /** Gives a tile of `cycles` to the unit. */
  deal(unit: number, cycles: number): void {
    const from = Math.max(this.ready, this.free[unit]!);
    const to = from + cycles;
    this.free[unit] = to;
    if (from < this.start) this.start = from;
    if (to > this.end) this.end = to;
    this.busy += cycles;
    this.tiles++;
  }
}
