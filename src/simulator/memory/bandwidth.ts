/** The plain model of off-chip memory: bits over bandwidth, and energy per bit. */
import { dram } from '../../hardware/components/index.js';
import type { DramType } from '../../hardware/constants.js';
import type { ComponentCost, Constant, Technology } from '../../hardware/types.js';
import type { Memory, MemoryTraffic } from './types.js';

/** Searches make one, and ask it for cycles alone, a million times a second: the rest is worked out when asked for. */
export class BandwidthMemory implements Memory {
  readonly model = 'bandwidth';
  readonly latencyCycles = 0;
  readonly constants: readonly Constant[] = [];

  constructor(
    readonly bitsPerCycle: number,
    readonly type: DramType,
    readonly technology: Technology,
  ) {}

  cycles({ readBits, writtenBits }: MemoryTraffic): number {
    return Math.ceil((readBits + writtenBits) / this.bitsPerCycle);
  }

  get cost(): ComponentCost {
    return dram.cost({ type: this.type }, this.technology);
  }

  actions({ readBits, writtenBits }: MemoryTraffic): Readonly<Record<string, number>> {
    return { read: readBits, write: writtenBits };
  }

  get remark(): string {
    const bytes = Number((this.bitsPerCycle / 8).toPrecision(4));
    return `Memory: ${bytes} bytes per cycle, always; rows, banks and refresh are not modelled. DRAM energy is per bit moved; background power is not in it.`;
  }
}
