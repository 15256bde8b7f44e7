/**
 * Accelerator configurations as the AccelTran simulator reads them, in YAML: `tile` (tile_b, tile_x, tile_y),
 * `non_linearity`, `pe`, `lanes_per_pe`, `mac_per_lane`, `softmax_per_pe`, `batch_size`, buffer sizes in MB,
 * `loop_unrolling` ("b_i_j_k"), `main_memory` (type, mode, banks, ranks, channels) and `scheduler`.
 */
import { z } from 'zod';
import { TandemError } from '../../errors.js';
import { validateSettings } from '../../settings/validate.js';
import { parseYaml } from '../../settings/yaml.js';
import { type ElectorConfig, LOOP_ORDERS, MEMORIES } from './config.js';
import { TECHNOLOGY } from './constants.js';

const natural = z.int().positive().describe('a whole number from 1');
const megabytes = z.number().positive().describe('size in MB');

const LOOP_UNROLLINGS = LOOP_ORDERS.map((order) => [...order].join('_')) as [string, ...string[]];

const schema = z.strictObject({
  tile: z.strictObject({ tile_b: natural, tile_x: natural, tile_y: natural }),
  non_linearity: z.enum(['relu', 'gelu']),
  pe: natural.describe('number of processing elements'),
  lanes_per_pe: natural.describe('number of MAC lanes in a PE'),
  mac_per_lane: natural.describe('number of multipliers in a lane'),
  softmax_per_pe: natural.describe('number of softmax units in a PE'),
  batch_size: natural.describe('number of sequences'),
  activation_buffer_size: megabytes,
  weight_buffer_size: megabytes,
  mask_buffer_size: megabytes,
  loop_unrolling: z.enum(LOOP_UNROLLINGS),
  main_memory: z.strictObject({
    type: z.enum(['rram', 'dram', 'hbm']),
    mode: z.enum(['lb', 'hb']).optional().describe('low or high bandwidth'),
    banks: natural,
    ranks: natural,
    channels: natural,
  }),
  scheduler: z.strictObject({
    compute_ops: z.strictObject({ tiled: z.literal(true), batch_size: natural }),
    memory_ops: z.strictObject({ tiled: z.literal(false), batch_size: z.literal(1) }),
  }),
});

/** What such a file says of a machine; mode, phase, sparsity and switches are not in it. */
export type AccelTranConfig = Omit<
  ElectorConfig,
  'mode' | 'phase' | 'sparsity' | 'sparsityModules' | 'powerGating' | 'mainMemory'
>;

/**
 * @param file shown in errors
 * @throws TANDEM_CONFIG_SYNTAX, TANDEM_UNKNOWN_SETTING, TANDEM_CONFIG_INVALID with line and column
 */
export function parseAccelTranConfig(yaml: string, file: string): AccelTranConfig {
  const source = parseYaml(new TextEncoder().encode(yaml), file);
  const given = validateSettings(schema, source.value, source);
  const { type, mode, banks, ranks, channels } = given.main_memory;
  const memory = MEMORIES.find((name) => name === `${type}-${banks}-${ranks}-${channels}`);
  if (!memory) {
    const known = MEMORIES.filter((name) => name.startsWith(type)).map((name) => name.split('-').slice(1).join(', '));
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `The cost of ${type} with ${banks} banks, ${ranks} ranks and ${channels} channels is not known.`,
      { place: source.place(['main_memory']), remedy: `Banks, ranks, channels of ${type}: ${known.join('; ')}.` },
    );
  }
  const bandwidth = type === 'dram' ? 'lb' : 'hb';
  if (mode !== undefined && mode !== bandwidth) {
    throw new TandemError('TANDEM_CONFIG_INVALID', `"main_memory.mode" may not be "${mode}" for ${type}.`, {
      place: source.place(['main_memory', 'mode']),
      remedy: `Use ${bandwidth}: DRAM has the low bandwidth, RRAM and HBM the high one.`,
    });
  }
  return {
    technology: TECHNOLOGY,
    tile: { b: given.tile.tile_b, x: given.tile.tile_x, y: given.tile.tile_y },
    nonLinearity: given.non_linearity,
    pes: given.pe,
    lanesPerPe: given.lanes_per_pe,
    macsPerLane: given.mac_per_lane,
    softmaxPerPe: given.softmax_per_pe,
    batch: given.batch_size,
    buffers: {
      activationMegabytes: given.activation_buffer_size,
      weightMegabytes: given.weight_buffer_size,
      maskMegabytes: given.mask_buffer_size,
    },
    memory,
    loopOrder: given.loop_unrolling.replaceAll('_', ''),
    schedulerBatch: given.scheduler.compute_ops.batch_size,
  };
}
