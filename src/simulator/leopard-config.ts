/** Configuration of a LeOPArd tile (Li et al., ISCA 2022), and of the bit-parallel tile it is compared with. */
import { z } from 'zod';
import { DRAM_TYPES } from '../hardware/components/index.js';
import { technologySchema } from '../hardware/presets.js';

const count = z.int().min(1);

export const leopardSchema = z.strictObject({
  technology: technologySchema.default({ nodeNanometres: 65, voltage: 1.0, clockHertz: 800e6 }),
  tiles: count
    .max(1024)
    .default(1)
    .describe('Tiles; head h of a layer runs on tile h mod tiles, and a layer waits for its slowest tile'),
  frontEnd: z
    .strictObject({
      kind: z
        .enum(['bit-serial', 'bit-parallel'])
        .default('bit-serial')
        .describe(
          'bit-serial: K arrives bit by bit and scores stop early; bit-parallel: a score per step, none pruned',
        ),
      units: count.max(4096).default(6).describe('Dot-product units; they share one query'),
      taps: count.max(4096).default(64).describe('Elements a unit multiplies in a cycle'),
      queryBits: z.int().min(2).max(16).default(12).describe('Width of Q, sign included, bits'),
      keyBits: z.int().min(2).max(16).default(12).describe('Width of K, sign included, bits'),
      bitsPerCycle: z.int().min(1).max(16).default(2).describe('Bits of K that a bit-serial unit takes in a cycle'),
      fillCycles: z.int().min(0).max(1000).default(4).describe('Pipeline depth of a dot-product unit, cycles'),
    })
    .prefault({}),
  fifo: z
    .strictObject({
      depth: count.max(65536).default(16).describe('Survivors that wait for the back end, entries'),
    })
    .prefault({}),
  backEnd: z
    .strictObject({
      taps: count.max(4096).default(64).describe('Elements of a value row multiplied in a cycle'),
      valueBits: z.int().min(2).max(32).default(16).describe('Width of V, of probabilities and of FIFO scores, bits'),
      fillCycles: z.int().min(0).max(1000).default(20).describe('Pipeline depth of softmax and value product, cycles'),
    })
    .prefault({}),
  buffers: z
    .strictObject({
      keyBytes: count.default(49152).describe('K buffer of a tile, bytes'),
      valueBytes: count.default(65536).describe('V buffer of a tile, bytes'),
    })
    .prefault({}),
  emptyRow: z
    .enum(['keep-largest', 'drop'])
    .default('keep-largest')
    .describe('A row with every score below the threshold: find and keep its largest score, or attend to nothing'),
  dram: z
    .enum(['none', ...DRAM_TYPES])
    .default('none')
    .describe('Memory that Q, K and V come from and results go to; none: they are in the buffers already'),
});

export type LeopardConfig = z.infer<typeof leopardSchema>;

/** Steps of a unit for a score that does not stop. */
export const stepBits = ({ frontEnd }: LeopardConfig): number =>
  frontEnd.kind === 'bit-serial' ? frontEnd.bitsPerCycle : frontEnd.keyBits;
