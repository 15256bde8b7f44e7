/**
 * Units that take tiles in turn, as UnitPool does, for tiles of known mean cost: units that are free at one time are kept
 * as one range. Operations whose tiles differ in size by a pattern are dealt unit by unit.
 */

interface Segment {
  /** First unit behind the range. */
  readonly end: number;
  readonly free: number;
}

/** Ranges that differ by less are one: half a cycle is below what an estimate knows. */
const ALIKE = 0.5;

/** Tiles of one operation. */
export interface Deal {
  readonly tiles: number;
  /** Mean cost of a tile. */
  readonly cycles: number;
  /** Cycles of each unit from the first one on, where they differ; one unit for each tile at most. */
  readonly sums?: Float64Array | undefined;
}

export interface Dealt {
  /** First cycle of work and first cycle after it. */
  readonly start: number;
  readonly end: number;
}

export class SegmentPool {
  /** In order of units; each starts where the one before it ends. Undefined while `#each` is in use. */
  #segments: Segment[] | undefined;
  #each: Float64Array | undefined;
  /** No unit is busy at or after this cycle. */
  #latest = 0;
  #next = 0;

  constructor(readonly count: number) {
    this.#segments = [{ end: count, free: 0 }];
  }

  deal(ready: number, { tiles, cycles, sums }: Deal): Dealt {
    if (ready >= this.#latest) {
      this.#segments = [{ end: this.count, free: ready }];
      this.#each = undefined;
    }
    const dealt =
      sums || !this.#segments ? this.#dealEach(ready, { tiles, cycles, sums }) : this.#dealRanges(ready, tiles, cycles);
    this.#next = (this.#next + tiles) % this.count;
    this.#latest = Math.max(this.#latest, dealt.end);
    return dealt;
  }

  #dealEach(ready: number, { tiles, cycles, sums }: Deal): Dealt {
    const each = this.#spread();
    const touched = Math.min(tiles, this.count);
    const rounds = Math.floor(tiles / this.count);
    const rest = tiles - rounds * this.count;
    let start = Number.POSITIVE_INFINITY;
    let end = ready;
    let unit = this.#next;
    for (let at = 0; at < touched; at++) {
      const begin = Math.max(ready, each[unit]!);
      const after = begin + (sums ? sums[at]! : (rounds + (at < rest ? 1 : 0)) * cycles);
      each[unit] = after;
      if (begin < start) start = begin;
      if (after > end) end = after;
      unit = unit + 1 === this.count ? 0 : unit + 1;
    }
    return { start, end };
  }

  /** From ranges to single units. */
  #spread(): Float64Array {
    if (this.#each) return this.#each;
    const each = new Float64Array(this.count);
    let from = 0;
    for (const { end, free } of this.#segments!) {
      each.fill(free, from, end);
      from = end;
    }
    this.#each = each;
    this.#segments = undefined;
    return each;
  }

  #dealRanges(ready: number, tiles: number, cycles: number): Dealt {
    const rounds = Math.floor(tiles / this.count);
    const rest = tiles - rounds * this.count;
    // Units low … high get a tile more than the others: one range, or two around the last unit.
    const low = this.#next;
    const high = low + rest;
    const wrapped = high - this.count;
    let start = Number.POSITIVE_INFINITY;
    let end = ready;
    let at = 0;
    const made: Segment[] = [];
    for (const { end: segmentEnd, free } of this.#segments!) {
      while (at < segmentEnd) {
        const more = at < wrapped || (at >= low && at < high);
        const border = more ? (at < wrapped ? wrapped : high) : at < low ? low : segmentEnd;
        const to = Math.min(segmentEnd, border);
        const work = rounds + (more ? 1 : 0);
        const begin = Math.max(ready, free);
        const after = work > 0 ? begin + work * cycles : free;
        if (work > 0) {
          start = Math.min(start, begin);
          end = Math.max(end, after);
        }
        const last = made.at(-1);
        if (last && Math.abs(last.free - after) < ALIKE) made[made.length - 1] = { end: to, free: last.free };
        else made.push({ end: to, free: after });
        at = to;
      }
    }
    this.#segments = made;
    return { start, end };
  }
}
