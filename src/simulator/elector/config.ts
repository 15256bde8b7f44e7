/** Configuration of ELECTOR, the machine of AccelTran and TransCODE: sizes of everything, and how it is simulated. */
import { z } from 'zod';
import { technologySchema } from '../../hardware/presets.js';
import { memorySchema } from '../memory/settings.js';

const natural = z.number().int().positive();

/** Order of the loops over batch (b), rows (i), columns (j) and the inner dimension (k), outermost first: all 24. */
export const LOOP_ORDERS = permutations(['b', 'i', 'j', 'k']) as [string, ...string[]];

/** Main memories by index of the design space (0 … 10): type, banks, ranks, channels. */
export const MEMORIES = [
  'rram-16-2-2',
  'rram-8-2-4',
  'rram-4-2-8',
  'rram-2-2-16',
  'rram-32-2-1',
  'rram-1-2-32',
  'dram-16-2-2',
  'dram-8-2-4',
  'dram-32-2-1',
  'dram-16-4-1',
  'hbm-32-1-4',
] as const;
export type MemoryName = (typeof MEMORIES)[number];

export const MODES = ['cycle', 'fast', 'published-cycle', 'published-fast'] as const;

const megabytes = (what: string) => z.number().positive().describe(`${what}, MB`);
const share = (what: string, value: number) =>
  z.number().min(0).max(1).default(value).describe(`Share of zeros in ${what} where no trace says it`);

export const electorSchema = z.strictObject({
  technology: technologySchema,
  mode: z
    .enum(MODES)
    .default('cycle')
    .describe(
      'cycle: corrected, every tile by its masks; fast: the same in closed form; published-…: the published simulators, quirks included',
    ),
  phase: z.enum(['inference', 'training']).default('inference').describe('Forward pass alone, or forward and backward'),
  tile: z
    .strictObject({
      b: natural.max(512).describe('Sequences in a tile'),
      x: natural.describe('Rows of a tile'),
      y: natural.describe('Columns of a tile'),
    })
    .describe('Part of a matrix that a lane or unit takes at a time'),
  nonLinearity: z.enum(['relu', 'gelu']).default('gelu').describe('Function at the output of a MAC lane'),
  pes: natural.max(4096).describe('Processing elements'),
  lanesPerPe: natural.max(1024).describe('MAC lanes in a PE'),
  macsPerLane: natural.max(1024).describe('Multipliers in a MAC lane: 1 or 16 have published costs'),
  softmaxPerPe: natural.max(1024).describe('Softmax units in a PE; layer norm units: 1'),
  batch: natural.max(512).describe('Sequences that are processed together'),
  buffers: z.strictObject({
    activationMegabytes: megabytes('Activation buffer'),
    weightMegabytes: megabytes('Weight buffer'),
    maskMegabytes: megabytes('Mask buffer'),
  }),
  memory: z.enum(MEMORIES).describe('Main memory: type, banks, ranks, channels'),
  mainMemory: memorySchema.describe(
    'Main memory timed as a DRAM, instead of by the bandwidth and the energy per block of `memory`; modes cycle and fast',
  ),
  loopOrder: z
    .enum(LOOP_ORDERS)
    .default('bijk')
    .describe('Order in which tile products are dealt to the lanes, outermost loop first'),
  schedulerBatch: natural.max(1_000_000).describe('Tile operations that the published scheduler issues together'),
  sparsityModules: z
    .boolean()
    .default(true)
    .describe('Store and multiply non-zeros only; without, the corrected modes store and multiply everything'),
  powerGating: z
    .boolean()
    .default(true)
    .describe(
      'Lanes with their sparsity units, softmax and norm units leak only while they work (as published); without, always',
    ),
  sparsity: z
    .strictObject({
      activation: share('activations', 0.5),
      weight: share('weights', 0.5),
      gradient: share('gradients', 0.9),
    })
    .prefault({}),
});
export type ElectorConfig = z.infer<typeof electorSchema>;

function permutations(items: readonly string[]): string[] {
  if (items.length <= 1) return [...items];
  return items.flatMap((first) =>
    permutations(items.filter((item) => item !== first)).map((rest) => `${first}${rest}`),
  );
}
