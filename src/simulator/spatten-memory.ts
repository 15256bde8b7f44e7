/** Where Q, K and V come from and results go to: matrices are spread over all channels. */
import { BandwidthMemory } from './memory/bandwidth.js';
import { memoryOf } from './memory/settings.js';
import type { Memory } from './memory/types.js';
import type { SpattenConfig } from './spatten-config.js';

export const spattenMemory = (config: SpattenConfig): Memory => memoryOf(config, plainMemory);

/** Whole transactions of all channels. */
const plainMemory = ({ dram, technology }: SpattenConfig): Memory =>
  new BandwidthMemory(8 * dram.bytesPerCycle * dram.channels, dram.type, technology);
