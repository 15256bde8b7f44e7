/** Eyeriss in other sizes. */
import { resizedCount } from './equal.js';
import { eyerissComposition } from './eyeriss-components.js';
import type { EyerissConfig } from './eyeriss-config.js';
import { resizedMemory } from './memory/settings.js';
import type { Sizing } from './types.js';

export const eyerissSizing: Sizing<EyerissConfig> = {
  multiplierBits: ({ array, operandBits }) => array.rows * array.columns * operandBits ** 2,
  areaSquareMicrometres: (config) => eyerissComposition(config).area().squareMicrometres,
  /** Rows and columns grow alike; the global buffer, the networks and the bandwidth grow with the number of PEs. */
  resized(config, factor) {
    const { array } = config;
    const side = Math.sqrt(factor);
    const resized = { rows: resizedCount(array.rows, side), columns: resizedCount(array.columns, side) };
    const larger = (resized.rows * resized.columns) / (array.rows * array.columns);
    return {
      ...config,
      array: resized,
      bufferBytes: resizedCount(config.bufferBytes, larger),
      networkWordsPerCycle: resizedCount(config.networkWordsPerCycle, larger),
      dram: { ...config.dram, bytesPerSecond: config.dram.bytesPerSecond * larger },
      memory: resizedMemory(config.memory, larger),
    };
  },
};
