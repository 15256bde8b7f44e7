/** The plain model of off-chip memory: bytes over bandwidth, and energy per bit. */
import { dram } from '../../hardware/components/index.js';
import type { DramType } from '../../hardware/constants.js';
import type { ComponentCost, Technology } from '../../hardware/types.js';
import type { Memory } from './types.js';

/** @param cost with the actions "read" and "write" of a bit; where absent, that of the DRAM type */
export function bandwidthMemory(
  bytesPerCycle: number,
  type: DramType,
  technology: Technology,
  cost: ComponentCost = dram.cost({ type }, technology),
): Memory {
  return {
    model: 'bandwidth',
    bytesPerCycle,
    latencyCycles: 0,
    cycles: (bytes) => Math.ceil(bytes / bytesPerCycle),
    cost,
    actions: ({ readBits, writtenBits }) => ({ read: readBits, write: writtenBits }),
    remark: `Memory: ${Number(bytesPerCycle.toPrecision(4))} bytes per cycle, always; rows, banks and refresh are not modelled. DRAM energy is per bit moved; background power is not in it.`,
    constants: [],
  };
}
