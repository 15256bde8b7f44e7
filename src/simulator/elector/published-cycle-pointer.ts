/** Where the published scheduler stands in a sequence of steps, some of which are the heads of a layer. */

export interface Sequence {
  readonly length: number;
  /** Number of operations of each head; undefined where the step is a single operation. */
  headsAt(step: number): readonly number[] | undefined;
}

const FINISHED = -1;

export class Pointer {
  step = 0;
  /** Position of each head, or −1 when the head is finished; undefined at a single operation. */
  heads: Int32Array | undefined;
  #lengths: readonly number[] = [];

  /** @param stride Operations that are passed at once */
  constructor(
    readonly sequence: Sequence,
    readonly stride: number,
  ) {
    this.#moveTo(0);
  }

  get ended(): boolean {
    return this.step >= this.sequence.length;
  }

  /** Heads side by side here; 1 at a single operation. */
  get width(): number {
    return this.heads?.length ?? 1;
  }

  isFinished(head: number): boolean {
    return this.heads !== undefined && this.heads[head] === FINISHED;
  }

  /** Moves what did not stall. Whether anything moved. */
  advance(stalled: Uint8Array): boolean {
    if (this.ended) return false;
    // a layer with a single head is taken for a single operation: the rest of the head is never issued
    if (this.heads && this.heads.length > 1) return this.#advanceHeads(this.heads, stalled);
    if (stalled[0]) return false;
    this.#moveTo(this.#next());
    return true;
  }

  #advanceHeads(heads: Int32Array, stalled: Uint8Array): boolean {
    let moved = false;
    let active = 0;
    for (let head = 0; head < heads.length; head++) {
      const at = heads[head]!;
      // heads that had no turn did not stall either, and move on as well
      if (!stalled[head] && at !== FINISHED) {
        // the last window may be shorter than a stride
        heads[head] = at < this.#lengths[head]! - this.stride ? at + this.stride : FINISHED;
        moved = true;
      }
      if (heads[head] !== FINISHED) active++;
    }
    if (active === 0) this.#moveTo(this.step + 1);
    return moved;
  }

  /** A stride on, but no further than the next layer's heads or the last operation. */
  #next(): number {
    const { length } = this.sequence;
    let next = this.step + 1;
    while (next < this.step + this.stride && next < length - 1 && !this.sequence.headsAt(next)) next++;
    return next;
  }

  #moveTo(step: number): void {
    this.step = step;
    const lengths = this.ended ? undefined : this.sequence.headsAt(step);
    this.#lengths = lengths ?? [];
    this.heads = lengths && new Int32Array(lengths.length);
  }
}
