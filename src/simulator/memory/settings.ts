/** The setting `memory` of a machine: a plain bandwidth, or a DRAM of a preset. */
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import { readPreset } from '../../hardware/preset-files.js';
import { type Preset, presetConfig } from '../../hardware/presets.js';
import type { Technology } from '../../hardware/types.js';
import type { SimulationResult } from '../types.js';
import { type DramConfig, dramSchema } from './dram-config.js';
import { dramMemory } from './dram-memory.js';
import { MEMORY_MODELS, type Memory } from './types.js';

const MOST_CHANNELS = 64;

export const memorySchema = z
  .strictObject({
    model: z
      .enum(MEMORY_MODELS)
      .default('bandwidth')
      .describe(
        'Off-chip memory. bandwidth: bits over a bandwidth, energy per bit; dram: rows, banks, refresh and turn-around of a preset of the machine dram, energy by command',
      ),
    preset: z
      .string()
      .default('ddr4-3200')
      .describe('dram: preset of the machine dram, or a .yaml file like one; it replaces bandwidth and energy per bit'),
    channels: z
      .int()
      .min(1)
      .max(MOST_CHANNELS)
      .optional()
      .describe('dram: channels instead of the preset’s, a power of two'),
  })
  .prefault({});

export type MemorySettings = z.output<typeof memorySchema>;

interface WithMemory {
  readonly memory: MemorySettings;
  readonly technology: Technology;
}

/** A configuration is asked for its memory many times, and a DRAM takes reading a file. */
const known = new WeakMap<object, Memory>();

/**
 * @param plain the machine's memory as a plain bandwidth
 * @throws TANDEM_UNKNOWN_NAME, TANDEM_FILE_NOT_FOUND, TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID
 */
export function memoryOf<Config extends WithMemory>(config: Config, plain: (config: Config) => Memory): Memory {
  return config.memory.model === 'bandwidth' ? plain(config) : timedMemory(config, config.memory, config.technology);
}

/**
 * The DRAM that settings name.
 * @param owner whose memory it is: asked again, it gets the same
 * @throws as `memoryOf`
 */
export function timedMemory(owner: object, settings: MemorySettings, technology: Technology): Memory {
  const before = known.get(owner);
  if (before) return before;
  const memory = readMemory({ memory: settings, technology });
  known.set(owner, memory);
  return memory;
}

/** The memory with about `factor` times the channels, where it is timed: their number stays a power of two. */
export function resizedMemory(memory: MemorySettings, factor: number): MemorySettings {
  if (memory.model === 'bandwidth') return memory;
  const channels = memory.channels ?? readDram(memory.preset).config.organisation.channels;
  const wanted = 2 ** Math.round(Math.log2(channels * factor));
  return { ...memory, channels: Math.min(Math.max(wanted, 1), MOST_CHANNELS) };
}

/** The result with what its memory has to say: which model it is, and where its figures come from. */
export function withMemory(result: SimulationResult, { remark, constants }: Memory): SimulationResult {
  const { remarks, constants: others } = result;
  return { ...result, remarks: [...remarks, remark], constants: [...others, ...constants] };
}

function readMemory({ memory, technology }: WithMemory): Memory {
  const { preset, config } = readDram(memory.preset);
  return dramMemory(preset.name, withChannels(config, memory.channels), technology.clockHertz, preset.provenance);
}

function readDram(name: string): { preset: Preset; config: DramConfig } {
  const preset = readPreset(name, 'memory.preset');
  if (preset.machine !== 'dram') {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `The preset "${preset.name}" is no memory but of ${preset.machine}.`,
      {
        place: 'memory.preset',
        remedy: 'Use a preset of the machine dram; `tandem list presets` names them.',
      },
    );
  }
  return { preset, config: presetConfig(preset, dramSchema) };
}

function withChannels(config: DramConfig, channels: number | undefined): DramConfig {
  if (channels === undefined) return config;
  if (!Number.isInteger(Math.log2(channels))) {
    throw new TandemError('TANDEM_CONFIG_INVALID', `A memory cannot have ${channels} channels.`, {
      place: 'memory.channels',
      remedy: 'Use a power of two: an address says in its bits which channel it means.',
    });
  }
  return { ...config, organisation: { ...config.organisation, channels } };
}
