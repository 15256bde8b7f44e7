/** SpAtten in other sizes. */
import { resizedCount } from './equal.js';
import { resizedMemory } from './memory/settings.js';
import { spattenComponents } from './spatten-components.js';
import type { SpattenConfig } from './spatten-config.js';
import type { Sizing } from './types.js';

/** Arrays: Q·Kᵀ and P·V. */
const ARRAYS = 2;

export const spattenSizing: Sizing<SpattenConfig> = {
  multiplierBits: ({ multipliers, datapathBits }) => ARRAYS * multipliers * datapathBits ** 2,
  areaSquareMicrometres: (config) => spattenComponents(config).area().squareMicrometres,
  /** Multipliers, softmax units and memory channels; buffers stay, as in the published machine and its eighth. */
  resized: (config, factor) => ({
    ...config,
    multipliers: resizedCount(config.multipliers, factor),
    softmaxUnits: resizedCount(config.softmaxUnits, factor),
    dram: { ...config.dram, channels: resizedCount(config.dram.channels, factor) },
    memory: resizedMemory(config.memory, factor),
  }),
};
