/** The variable-speed array in other sizes. */
import { resizedCount } from './equal.js';
import { resizedMemory } from './memory/settings.js';
import type { Sizing } from './types.js';
import { vssaComposition } from './vssa-components.js';
import type { VssaConfig } from './vssa-config.js';

export const vssaSizing: Sizing<VssaConfig> = {
  multiplierBits: ({ array }) => array.rows * array.columns * array.peBits ** 2,
  areaSquareMicrometres: (config) => vssaComposition(config).area().squareMicrometres,
  /** Rows and columns grow alike; buffers hold as many tiles, or tokens, as before or more; the rest keeps up. */
  resized(config, factor) {
    const { array, buffers, softmax, bandwidthBitsPerCycle } = config;
    const side = Math.sqrt(factor);
    const resized = { rows: resizedCount(array.rows, side), columns: resizedCount(array.columns, side) };
    const [taller, larger] = [
      resized.rows / array.rows,
      (resized.rows * resized.columns) / (array.rows * array.columns),
    ];
    return {
      ...config,
      array: { ...array, ...resized },
      softmax: { ...softmax, lanes: resizedCount(softmax.lanes, larger) },
      buffers: {
        ...buffers,
        queryBytes: Math.ceil(buffers.queryBytes * taller),
        scoreBytes: Math.ceil(buffers.scoreBytes * taller),
      },
      memory: resizedMemory(config.memory, larger),
      ...(bandwidthBitsPerCycle !== undefined && { bandwidthBitsPerCycle: bandwidthBitsPerCycle * larger }),
    };
  },
};
