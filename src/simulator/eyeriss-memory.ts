/** Off-chip memory of Eyeriss: 200 times a MAC per word, a standard's energy per bit, or a DRAM's commands. */
import type { ComponentCost } from '../hardware/types.js';
import type { EyerissConfig } from './eyeriss-config.js';
import { level } from './eyeriss-levels.js';
import { BandwidthMemory } from './memory/bandwidth.js';
import { memoryOf } from './memory/settings.js';
import type { Memory, MemoryTraffic } from './memory/types.js';

export const eyerissMemory = (config: EyerissConfig): Memory => memoryOf(config, plainMemory);

/** Whether a word of memory costs a multiple of a MAC. */
export const isHierarchy = ({ dram, memory }: EyerissConfig): boolean =>
  memory.model === 'bandwidth' && dram.type === 'hierarchy';

function plainMemory(config: EyerissConfig): Memory {
  const { dram, technology } = config;
  const bitsPerCycle = (8 * dram.bytesPerSecond) / technology.clockHertz;
  if (dram.type === 'hierarchy') return new HierarchyMemory(bitsPerCycle, config);
  return new BandwidthMemory(bitsPerCycle, dram.type, technology);
}

/** Energy per word: an access is a multiple of a MAC. */
class HierarchyMemory extends BandwidthMemory {
  readonly #config: EyerissConfig;

  constructor(bitsPerCycle: number, config: EyerissConfig) {
    super(bitsPerCycle, 'ddr3', config.technology);
    this.#config = config;
  }

  override get cost(): ComponentCost {
    return level(this.#config, 'dram');
  }

  override actions({ readBits, writtenBits }: MemoryTraffic): Readonly<Record<string, number>> {
    return { access: (readBits + writtenBits) / this.#config.operandBits };
  }

  override get remark(): string {
    const bytes = Number((this.bitsPerCycle / 8).toPrecision(4));
    return `Memory: ${bytes} bytes per cycle, always; rows, banks and refresh are not modelled. A word costs 200 MACs.`;
  }
}
