/** Configuration of a weight-streaming machine for decoding with early exit, after ToEx (IEEE TC 2024). */
import { z } from 'zod';
import { DRAM_TYPES } from '../hardware/components/index.js';
import { technologySchema } from '../hardware/presets.js';
import { memorySchema } from './memory/settings.js';

const count = z.int().min(1);
const bits = z.int().min(1).max(32);
const place = z.enum(['dram', 'chip']);

/** What happens to keys and values that exited tokens lack at deeper layers. */
export const BACK_FILLS = ['lazy', 'propagate', 'none'] as const;

export const toexSchema = z.strictObject({
  technology: technologySchema.default({ nodeNanometres: 28, voltage: 0.9, clockHertz: 1e9 }),
  tokens: z
    .enum(['exits', 'dense'])
    .default('exits')
    .describe(
      'exits: tokens run the layers that the trace gives them, with its exit checks; dense: all tokens run all layers, without checks, as on the same machine without ToEx',
    ),
  backFill: z
    .enum(BACK_FILLS)
    .default('lazy')
    .describe(
      'What deeper layers do for tokens that exited before them. lazy: run them when a later token goes that deep, exact; propagate: compute keys and values from the state that the token left with (CALM), inexact; none: later tokens do not see them there',
    ),
  outputEmbedding: z
    .enum(['light', 'full'])
    .default('light')
    .describe(
      'Output embedding of exit checks. light: signs of it pick candidates, of which exact logits are computed; full: exact logits of the whole vocabulary',
    ),
  finalLogits: z
    .enum(['full', 'candidates'])
    .default('full')
    .describe('Logits after the last layer: of the whole vocabulary, or of candidates as in a check'),
  engine: z
    .strictObject({
      lanes: count.max(65536).default(128).describe('Weights, or elements of keys and values, multiplied a cycle'),
      rows: count.max(1024).default(16).describe('Tokens that each of them is multiplied with in the same cycle'),
      accumulatorBits: count.max(64).default(44).describe('Width of sums, bits'),
    })
    .prefault({}),
  words: z
    .strictObject({
      weightBits: bits.default(16).describe('Width of weights, bits'),
      activationBits: bits.default(16).describe('Width of activations, states and logits, bits'),
      keyValueBits: bits.default(16).describe('Width of stored keys and values, bits'),
    })
    .prefault({}),
  specialLanes: count
    .max(4096)
    .default(16)
    .describe(
      'Elements that the special function unit takes a cycle: softmax and layer norm in two passes, GELU in one',
    ),
  exit: z
    .strictObject({
      lanes: count
        .max(1048576)
        .default(16384)
        .describe('Signs that the exit unit adds a cycle: elements of the light output embedding'),
      selectorLanes: count
        .max(4096)
        .default(32)
        .describe(
          'Coarse scores that the candidate selector takes a cycle, once into its histogram, once out of its memory',
        ),
      lightEmbedding: place
        .default('chip')
        .describe('Where the light output embedding is kept: on the chip, or streamed from memory at each check'),
      lightBytes: count.default(12582912).describe('On the chip: bytes for it, a bit per weight and a scale per row'),
      scoreBytes: count.default(131072).describe('Memory for coarse scores of the whole vocabulary, bytes'),
    })
    .prefault({}),
  buffers: z
    .strictObject({
      streamBytes: count
        .min(2)
        .default(131072)
        .describe('Buffer for weights, keys and values, bytes: one half is filled while the other is used'),
      activationBytes: count
        .default(1048576)
        .describe('Buffer for activations, bytes: bounds the tokens that share one pass over a layer’s weights'),
      scoreBytes: count.default(65536).describe('Buffer for attention scores, two groups of rows of one head, bytes'),
    })
    .prefault({}),
  keyValues: z
    .strictObject({
      place: place.default('dram').describe('Where keys and values are kept'),
      bytes: count.default(67108864).describe('On the chip: bytes for them'),
    })
    .prefault({}),
  pending: z
    .strictObject({
      place: place.default('dram').describe('Where states of exited tokens are kept until they are needed'),
      bytes: count.default(2097152).describe('On the chip: bytes for them'),
    })
    .prefault({}),
  depthTable: z
    .strictObject({
      layers: count.max(4096).default(64).describe('Layers that the controller counts completed tokens of'),
      positions: count.max(1048576).default(1024).describe('Tokens of a sequence that it can count'),
    })
    .prefault({}),
  dram: z
    .enum(DRAM_TYPES as [(typeof DRAM_TYPES)[number], ...(typeof DRAM_TYPES)[number][]])
    .default('hbm2')
    .describe('Off-chip memory: energy per bit and, where none is given, bandwidth'),
  bandwidthBytesPerCycle: z
    .number()
    .positive()
    .optional()
    .describe('Off-chip bandwidth, bytes per cycle, instead of the peak of the DRAM type'),
  memory: memorySchema,
});

export type ToexConfig = z.output<typeof toexSchema>;
