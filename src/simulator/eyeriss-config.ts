/** Configuration of Eyeriss (Chen, Krishna, Emer and Sze, JSSC 2017; energy hierarchy: Chen, Emer and Sze, ISCA 2016). */
import { z } from 'zod';
import { DRAM_TYPES } from '../hardware/components/index.js';
import { technologySchema } from '../hardware/presets.js';
import { memorySchema } from './memory/settings.js';

const count = z.int().min(1);

export const eyerissSchema = z.strictObject({
  technology: technologySchema.default({ nodeNanometres: 65, voltage: 1.0, clockHertz: 200e6 }),
  array: z
    .strictObject({
      rows: count.max(256).default(12).describe('Rows of PEs; sums travel along a column, from row to row'),
      columns: count.max(256).default(14).describe('Columns of PEs'),
    })
    .prefault({}),
  operandBits: z.int().min(1).max(32).default(16).describe('Width of operands and of sums, bits'),
  registerFile: z
    .strictObject({
      inputWords: count.max(4096).default(12).describe('Inputs that a PE holds, words'),
      filterWords: count.max(65536).default(224).describe('Filter elements that a PE holds, words'),
      sumWords: count.max(4096).default(24).describe('Partial sums that a PE holds, words'),
    })
    .prefault({}),
  bufferBytes: count.default(110592).describe('Global buffer, bytes'),
  networkWordsPerCycle: count
    .max(1024)
    .default(4)
    .describe('Words a cycle on each of the networks that bring filters, inputs and sums to the PEs and sums back'),
  headWidth: count
    .max(4096)
    .default(64)
    .describe('Width of a head, where neither the trace’s heads nor its note of the architecture tell it'),
  objective: z
    .enum(['energy-delay', 'cycles', 'energy'])
    .default('energy-delay')
    .describe('What the search over mappings minimises for each matrix product'),
  dram: z
    .strictObject({
      type: z
        .enum(['hierarchy', ...DRAM_TYPES])
        .default('hierarchy')
        .describe('Energy of off-chip memory: 200 times a MAC per word (hierarchy), or that of a standard'),
      bytesPerSecond: z.number().positive().default(1.28e10).describe('Bandwidth of off-chip memory, bytes per second'),
    })
    .prefault({}),
  memory: memorySchema,
});

export type EyerissConfig = z.output<typeof eyerissSchema>;

/** Energy of an access relative to a MAC (Chen, Emer and Sze, ISCA 2016). */
export const HIERARCHY = { registerFile: 1, betweenPes: 2, buffer: 6, dram: 200 } as const;
