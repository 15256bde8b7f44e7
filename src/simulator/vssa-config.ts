/** Configuration of DTQAtten's variable-speed systolic array (Yang et al., DATE 2022). */
import { z } from 'zod';
import { DRAM_TYPES } from '../hardware/components/index.js';
import { technologySchema } from '../hardware/presets.js';
import { memorySchema } from './memory/settings.js';

const count = z.int().min(1);

/** How pipeline stalls between operands of different widths are avoided, each one with what the ones before it do. */
export const STALL_RELIEFS = ['none', 'grouped', 'chained', 'halved', 'layerwise'] as const;

export const vssaSchema = z.strictObject({
  technology: technologySchema.default({ nodeNanometres: 40, voltage: 0.9, clockHertz: 1e9 }),
  array: z
    .strictObject({
      rows: count.max(4096).default(16).describe('Rows of PEs: queries of a tile'),
      columns: count.max(4096).default(32).describe('Columns of PEs: keys, or elements of a value, of a tile'),
      peBits: count.max(16).default(4).describe('Width of a PE’s multiplier: wider operands take several cycles, bits'),
      linkDepth: z.int().min(0).max(64).default(1).describe('Operands that a link between PEs holds; 0: no bound'),
    })
    .prefault({}),
  tokens: z
    .enum(['traced', 'dense'])
    .default('traced')
    .describe(
      'traced: tokens have the widths that the trace gives them; dense: all tokens of the trace’s heads have the widest operands, as if none were quantised or removed',
    ),
  operandBits: count.max(16).default(8).describe('Widest operand, bits'),
  accumulatorBits: count.max(64).default(25).describe('Width of sums in the array, bits'),
  stallRelief: z
    .enum(STALL_RELIEFS)
    .default('grouped')
    .describe(
      'none: tokens in their order; grouped: tokens of equal width together, as published; chained: also, tiles follow each other without emptying the array; halved: also, wide operands enter as several narrow ones where this saves time; layerwise: also, heads of a layer whose tokens have the same widths follow each other without emptying the array',
    ),
  probabilities: z
    .strictObject({
      width: z
        .enum(['token', 'fixed'])
        .default('token')
        .describe('token: probabilities have the width of their query; fixed: all have the same'),
      bits: count.max(16).default(8).describe('Width where it is fixed, bits'),
    })
    .prefault({}),
  softmax: z
    .strictObject({
      lanes: count.max(4096).default(8).describe('Scores that the softmax takes in a cycle'),
      bits: count.max(32).default(16).describe('Width of scores in the softmax, bits'),
    })
    .prefault({}),
  buffers: z
    .strictObject({
      queryBytes: count.default(4160).describe('Q buffer: two tiles’ rows of Q, bytes'),
      keyBytes: count.default(33792).describe('K buffer: one head’s keys, bytes'),
      valueBytes: count.default(33792).describe('V buffer: one head’s values, bytes'),
      scoreBytes: count.default(32768).describe('Score buffer: two tiles’ rows of scores or probabilities, bytes'),
    })
    .prefault({}),
  scaleBits: z.int().min(0).max(64).default(16).describe('Quantisation step beside each row of Q, K, V, bits'),
  dram: z
    .enum(['none', ...DRAM_TYPES])
    .default('hbm2')
    .describe('Memory that Q, K and V come from and results go to; none: they are in the buffers already'),
  bandwidthBitsPerCycle: z
    .number()
    .positive()
    .optional()
    .describe('Off-chip bandwidth, bits per cycle, instead of the peak of the DRAM type'),
  memory: memorySchema,
});

export type VssaConfig = z.infer<typeof vssaSchema>;
export type StallRelief = VssaConfig['stallRelief'];

/** Whether tiles follow each other without emptying the array in between. */
export const isStreamed = ({ stallRelief }: Pick<VssaConfig, 'stallRelief'>): boolean =>
  stallRelief === 'chained' || isHalved({ stallRelief });

/** Whether wide operands may enter as several narrow ones. */
export const isHalved = ({ stallRelief }: Pick<VssaConfig, 'stallRelief'>): boolean =>
  stallRelief === 'halved' || stallRelief === 'layerwise';
