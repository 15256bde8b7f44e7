/** Configuration of SpAtten (Wang, Zhang and Han, HPCA 2021, arXiv 2012.09852). */
import { z } from 'zod';
import { DRAM_TYPES } from '../hardware/components/index.js';
import { technologySchema } from '../hardware/presets.js';
import { memorySchema } from './memory/settings.js';

const count = z.int().min(1);
const bits = z.int().min(1).max(16);

export const spattenSchema = z.strictObject({
  technology: technologySchema.default({ nodeNanometres: 40, voltage: 0.9, clockHertz: 1e9 }),
  multipliers: count
    .max(65536)
    .default(512)
    .describe(
      'Multipliers of each of the two arrays, Q·Kᵀ and P·V; a head of width d works on multipliers / d keys a cycle, a wider one takes several cycles a key',
    ),
  softmaxUnits: count.max(4096).default(8).describe('Scores that softmax takes a cycle'),
  datapathBits: z
    .int()
    .min(4)
    .max(32)
    .default(12)
    .describe('Width of the multipliers’ operands and of buffered elements, bits'),
  pipelineCycles: z
    .int()
    .min(0)
    .max(10000)
    .default(103)
    .describe('Depth of the pipeline from the first key to the last result, cycles; charged once a layer'),
  queueRows: count.max(1024).default(2).describe('Rows of scores that wait between two stages of the pipeline'),
  topK: z
    .strictObject({
      parallelism: count.max(1024).default(16).describe('Values that the quick-select compares a cycle'),
      seed: z.int().min(0).default(1).describe('Seed of the quick-select’s pivots'),
    })
    .prefault({}),
  buffers: z
    .strictObject({
      keyBytes: count.default(196608).describe('K buffer, bytes; holds two heads where they fit, one otherwise'),
      valueBytes: count.default(196608).describe('V buffer, bytes; likewise'),
    })
    .prefault({}),
  fetch: z
    .strictObject({
      queryBits: bits.default(12).describe('Width of Q in memory, and of results, bits'),
      keyBits: bits.default(8).describe('Most significant bits of K, fetched for every key that is left, bits'),
      valueBits: bits.default(8).describe('Width of V in memory, bits'),
      lowBits: z
        .int()
        .min(0)
        .max(12)
        .default(4)
        .describe('Least significant bits of K, fetched when a row’s probabilities are flat; 0: never'),
      flatThreshold: z
        .number()
        .min(0)
        .max(1)
        .default(0.1)
        .describe('A row is flat when its largest probability lies below this; decided where a trace has Q and K'),
      flatShare: z
        .number()
        .min(0)
        .max(1)
        .default(0)
        .describe('Share of rows that are flat, where a trace does not have Q and K'),
    })
    .prefault({}),
  valueShare: z
    .number()
    .positive()
    .max(1)
    .default(1)
    .describe(
      'Local value pruning: share of a row’s keys, those of the largest probabilities, whose V is used; 1: all',
    ),
  headWidth: count
    .max(4096)
    .default(64)
    .describe('Width of a head, where neither the trace’s heads nor its note of the architecture tell it'),
  dram: z
    .strictObject({
      type: z
        .enum(DRAM_TYPES as [(typeof DRAM_TYPES)[number], ...(typeof DRAM_TYPES)[number][]])
        .default('hbm2')
        .describe('Off-chip memory: energy per bit'),
      channels: count.max(1024).default(16).describe('Channels that a matrix is spread over'),
      bytesPerCycle: count
        .max(4096)
        .default(32)
        .describe('Bytes that a channel delivers a cycle; also the size of a transaction'),
    })
    .prefault({}),
  memory: memorySchema,
  published: z
    .strictObject({
      coreMilliwatts: z.number().positive().describe('Published power of the chip, mW'),
      dramMilliwatts: z.number().positive().describe('Published power of the off-chip memory, mW'),
    })
    .optional()
    .describe('Published power: the energy that it gives for the same time stands beside the modelled one in a remark'),
});

export type SpattenConfig = z.output<typeof spattenSchema>;

/** Cycles of an array over so many keys: as many keys side by side as fit, or several passes for a head wider than the array. */
export function arrayCycles(
  { multipliers }: Pick<SpattenConfig, 'multipliers'>,
  headWidth: number,
  keys: number,
): number {
  if (headWidth > multipliers) return keys * Math.ceil(headWidth / multipliers);
  return Math.ceil(keys / Math.floor(multipliers / headWidth));
}
