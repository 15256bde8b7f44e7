/** Configuration of the dense systolic array, and how a SCALE-Sim architecture file maps onto it. */
import { z } from 'zod';
import { DRAM_TYPES } from '../hardware/components/index.js';
import { technologySchema } from '../hardware/presets.js';
import type { Technology } from '../hardware/types.js';
import type { ScaleSimConfig } from '../workload/scale-sim-config.js';
import { memorySchema } from './memory/settings.js';
import { CYCLE_CONVENTIONS, DATAFLOWS } from './systolic-counts.js';

const natural = z.number().int().positive();

export const systolicSchema = z.strictObject({
  technology: technologySchema,
  array: z.strictObject({
    rows: natural.max(4096).describe('Rows of processing elements'),
    columns: natural.max(4096).describe('Columns of processing elements'),
  }),
  dataflow: z.enum(DATAFLOWS).describe('What stays in the array: outputs (os), weights (ws) or inputs (is)'),
  cycleConvention: z
    .enum(CYCLE_CONVENTIONS)
    .default('scale-sim')
    .describe('scale-sim counts one cycle less per layer than the array takes; complete counts them all'),
  operandBits: natural.max(64).default(8).describe('Width of inputs and weights, bits'),
  accumulatorBits: natural.max(128).default(32).describe('Width of sums, bits'),
  sram: z.strictObject({
    ifmapKilobytes: natural.describe('Input buffer, KB; half of it is filled while the other half is used'),
    filterKilobytes: natural.describe('Weight buffer, KB, double-buffered likewise'),
    ofmapKilobytes: natural.describe('Output buffer, KB, double-buffered likewise'),
  }),
  dram: z
    .enum(DRAM_TYPES as [(typeof DRAM_TYPES)[number], ...(typeof DRAM_TYPES)[number][]])
    .default('lpddr4')
    .describe('Off-chip memory: energy per bit, and peak bandwidth of one channel or stack'),
  bandwidthWordsPerCycle: z
    .number()
    .positive()
    .optional()
    .describe('Off-chip bandwidth, operands per cycle, instead of the peak of the DRAM type'),
  memory: memorySchema,
});

export type SystolicConfig = z.output<typeof systolicSchema>;

/** The array that a SCALE-Sim file describes, at a technology point (the file has none). */
export function systolicFromScaleSim(file: ScaleSimConfig, technology: Technology): SystolicConfig {
  return systolicSchema.parse({
    technology,
    array: { rows: file.arrayHeight, columns: file.arrayWidth },
    dataflow: file.dataflow,
    sram: {
      ifmapKilobytes: file.ifmapSramKilobytes,
      filterKilobytes: file.filterSramKilobytes,
      ofmapKilobytes: file.ofmapSramKilobytes,
    },
    bandwidthWordsPerCycle: file.bandwidthWordsPerCycle,
  });
}
