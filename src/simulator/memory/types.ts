/**
 * Off-chip memory as a machine sees it: a port through which consecutive bytes go, one transfer after the other. Times
 * are in cycles of the machine's clock, energies in pJ.
 */
import type { ComponentCost, Constant } from '../../hardware/types.js';

export const MEMORY_MODELS = ['bandwidth', 'dram'] as const;
export type MemoryModel = (typeof MEMORY_MODELS)[number];

export type Direction = 'read' | 'write';

/** What a run moved, in bits. */
export interface MemoryTraffic {
  readonly readBits: number;
  readonly writtenBits: number;
  /** Cycles that the whole run took: memory needs refresh and draws power while it waits, too. */
  readonly cycles: number;
}

export interface Memory {
  readonly model: MemoryModel;
  /** Most that a cycle can bring. */
  readonly bytesPerCycle: number;
  /**
   * Cycles, not whole, from a request to the first byte when nothing else goes on; 0 for a plain bandwidth. Who requests data before
   * the last ones have come waits for it once, not at each transfer.
   */
  readonly latencyCycles: number;
  /**
   * Whole cycles for which a transfer of consecutive bytes keeps the port, `latencyCycles` aside. The same bytes always
   * take the same time: refresh is spread over all transfers. A write pays for turning the bus around and back.
   */
  cycles(bytes: number, direction: Direction): number;
  /** Price of each action, as a part of the machine; see `actions`. */
  readonly cost: ComponentCost;
  /** How often each action of `cost` happens in a run. */
  actions(traffic: MemoryTraffic): Readonly<Record<string, number>>;
  /** Which model this is and what it leaves out, in a sentence for the reader of a result. */
  readonly remark: string;
  /** Figures behind its times; those of its energy are in `cost`. */
  readonly constants: readonly Constant[];
}
