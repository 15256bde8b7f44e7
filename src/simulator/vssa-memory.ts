/** Where Q, K and V come from and results go to. */
import { dramBytesPerSecond } from '../hardware/components/index.js';
import { BandwidthMemory } from './memory/bandwidth.js';
import { memoryOf } from './memory/settings.js';
import type { Memory } from './memory/types.js';
import type { VssaConfig } from './vssa-config.js';

/** Of a machine that has one: `dram` is not none. */
export const vssaMemory = (config: VssaConfig): Memory => memoryOf(config, plainMemory);

function plainMemory({ dram, bandwidthBitsPerCycle, technology }: VssaConfig): Memory {
  const type = dram === 'none' ? 'hbm2' : dram;
  return new BandwidthMemory(
    bandwidthBitsPerCycle ?? (8 * dramBytesPerSecond(type)) / technology.clockHertz,
    type,
    technology,
  );
}
