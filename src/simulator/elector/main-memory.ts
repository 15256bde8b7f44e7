/** Main memory as a timed DRAM in place of AccelTran's, which is an energy per block and a bandwidth. */
import { timedMemory } from '../memory/settings.js';
import type { Memory, MemoryTraffic } from '../memory/types.js';
import type { ElectorConfig } from './config.js';
import type { Transfer } from './played.js';

type Config = Pick<ElectorConfig, 'mainMemory' | 'technology'>;

/** Undefined where main memory is AccelTran's. */
export const timedMainMemory = ({ mainMemory, technology }: Config): Memory | undefined =>
  mainMemory.model === 'dram' ? timedMemory(mainMemory, mainMemory, technology) : undefined;

/** Data and mask of a matrix. */
export function trafficOf({ data, mask }: Transfer['size'], direction: Transfer['direction']): MemoryTraffic {
  const bits = data + mask;
  return direction === 'load' ? { readBits: bits, writtenBits: 0 } : { readBits: 0, writtenBits: bits };
}
