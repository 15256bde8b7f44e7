/** The weight-streaming machine in other sizes. */
import { resizedCount } from './equal.js';
import { resizedMemory } from './memory/settings.js';
import { toexComponents } from './toex-components.js';
import type { ToexConfig } from './toex-config.js';
import type { Sizing } from './types.js';

export const toexSizing: Sizing<ToexConfig> = {
  multiplierBits: ({ engine, words }) => engine.lanes * engine.rows * words.weightBits * words.activationBits,
  areaSquareMicrometres: (config) => toexComponents(config).area().squareMicrometres,
  /** Lanes, which keep up with memory, and rows, which keep up with back-filled tokens, grow alike; a given bandwidth, or a timed memory’s channels, too. */
  resized(config, factor) {
    const { engine, specialLanes, exit, bandwidthBytesPerCycle } = config;
    const side = Math.sqrt(factor);
    const lanes = resizedCount(engine.lanes, side);
    return {
      ...config,
      engine: { ...engine, lanes, rows: resizedCount(engine.rows, side) },
      specialLanes: resizedCount(specialLanes, factor),
      exit: { ...exit, lanes: resizedCount(exit.lanes, side), selectorLanes: resizedCount(exit.selectorLanes, side) },
      memory: resizedMemory(config.memory, side),
      ...(bandwidthBytesPerCycle !== undefined && {
        bandwidthBytesPerCycle: (bandwidthBytesPerCycle * lanes) / engine.lanes,
      }),
    };
  },
};
