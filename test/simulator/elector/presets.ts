/** Configurations that the tests of ELECTOR share. */
import { readPreset } from '../../../src/hardware/preset-files.js';
import { presetConfig } from '../../../src/hardware/presets.js';
import { type ElectorConfig, electorSchema } from '../../../src/simulator/elector/config.js';

export const preset = (name: string): ElectorConfig => presetConfig(readPreset(name), electorSchema);
