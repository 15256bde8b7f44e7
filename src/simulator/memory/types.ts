/**
 * Off-chip memory as a machine sees it: a port through which consecutive bits go, one transfer after the other. Times are
 * in cycles of the machine's clock, energies in pJ.
 */
import type { ComponentCost, Constant } from '../../hardware/types.js';

export const MEMORY_MODELS = ['bandwidth', 'dram'] as const;
export type MemoryModel = (typeof MEMORY_MODELS)[number];

/** What is moved, in bits. */
export interface MemoryTraffic {
  readonly readBits: number;
  readonly writtenBits: number;
}

export interface Memory {
  readonly model: MemoryModel;
  /** Most that a cycle can bring. */
  readonly bitsPerCycle: number;
  /**
   * Cycles, not whole, from a request to its first bit when nothing else goes on; 0 for a plain bandwidth. Who asks for
   * data before the last ones have come waits for it once, not at each transfer.
   */
  readonly latencyCycles: number;
  /**
   * Whole cycles for which a transfer keeps the port, `latencyCycles` aside. The same bits always take the same time:
   * refresh is spread over all transfers. Writes pay for turning the bus around and back.
   */
  cycles(traffic: MemoryTraffic): number;
  /** Price of each action, as a part of the machine; see `actions`. What it draws while it waits is its leakage. */
  readonly cost: ComponentCost;
  /** How often each action of `cost` happens. Proportional to the traffic, so that parts of a run add up. */
  actions(traffic: MemoryTraffic): Readonly<Record<string, number>>;
  /** Which model this is and what it leaves out, for the reader of a result. */
  readonly remark: string;
  /** Figures behind its times; those of its energy are in `cost`. */
  readonly constants: readonly Constant[];
}
