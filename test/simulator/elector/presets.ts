/** Configurations that the tests of ELECTOR share. */
import { readPreset } from '../../../src/hardware/preset-files.js';
import { presetConfig } from '../../../src/hardware/presets.js';
import { type ElectorConfig, electorSchema } from '../../../src/simulator/elector/config.js';

export const preset = (name: string): ElectorConfig => presetConfig(readPreset(name), electorSchema);

/** The edge machine as AccelTran's simulator takes it. */
export const ACCELTRAN_EDGE = `# edge
tile:
  tile_b: 1
  tile_x: 16
  tile_y: 16
pe: 64
lanes_per_pe: 16
mac_per_lane: 16
softmax_per_pe: 4
batch_size: 4
activation_buffer_size: 4
weight_buffer_size: 8
mask_buffer_size: 1
loop_unrolling: b_i_j_k
main_memory:
  type: dram
  mode: lb
  banks: 32
  ranks: 2
  channels: 1
scheduler:
  compute_ops: { tiled: true, batch_size: 8 }
  memory_ops: { tiled: false, batch_size: 1 }
non_linearity: gelu
`;
