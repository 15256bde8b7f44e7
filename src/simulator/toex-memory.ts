/** Where weights, keys and values, and states come from, and how long they take. */
import { dramBytesPerSecond } from '../hardware/components/index.js';
import { BandwidthMemory } from './memory/bandwidth.js';
import { memoryOf } from './memory/settings.js';
import type { Memory } from './memory/types.js';
import type { ToexConfig } from './toex-config.js';

export interface MemoryTiming {
  /** Whole cycles for which the port is taken. */
  readCycles(bytes: number): number;
  writeCycles(bytes: number): number;
  /** From a request to its first byte, where it could not be made earlier: at the start and after a decision; whole. */
  readonly latencyCycles: number;
  /** At which long reads come. */
  readonly bytesPerCycle: number;
  /** Half of the stream buffer. */
  readonly tileBytes: number;
}

export const toexMemory = (config: ToexConfig): Memory => memoryOf(config, plainMemory);

function plainMemory({ bandwidthBytesPerCycle, dram, technology }: ToexConfig): Memory {
  const bytesPerCycle = bandwidthBytesPerCycle ?? dramBytesPerSecond(dram) / technology.clockHertz;
  return new BandwidthMemory(8 * bytesPerCycle, dram, technology);
}

export function memoryTiming(config: ToexConfig): MemoryTiming {
  const memory = toexMemory(config);
  const tileBytes = Math.floor(config.buffers.streamBytes / 2);
  const readCycles = (bytes: number) => memory.cycles({ readBits: 8 * bytes, writtenBits: 0 });
  return {
    readCycles,
    writeCycles: (bytes) => memory.cycles({ readBits: 0, writtenBits: 8 * bytes }),
    latencyCycles: Math.ceil(memory.latencyCycles),
    bytesPerCycle: memory.model === 'bandwidth' ? memory.bitsPerCycle / 8 : tileBytes / readCycles(tileBytes),
    tileBytes,
  };
}
