/** What the variable-speed array and its surroundings are made of, and how a head's work uses each part. */
import { adder, comparator, divider, exponentUnit, multiplier, register, sram } from '../hardware/components/index.js';
import { type ActionCounts, Composition } from '../hardware/compose.js';
import { combine, toCost } from '../hardware/cost.js';
import type { ComponentCost } from '../hardware/types.js';
import { isHalved, type VssaConfig } from './vssa-config.js';
import { vssaMemory } from './vssa-memory.js';

/** How often the parts worked. */
export interface VssaActivity {
  /** Products of PE-wide parts: PE-cycles at work. */
  readonly partProducts: number;
  /** PE-wide parts written into operand registers. */
  readonly hops: number;
  /** Sums that left the array, and those of them that were added to another one, of the other half of an operand. */
  readonly sums: number;
  readonly combined: number;
  /** Bits through the buffers. */
  readonly queryBitsRead: number;
  readonly queryBitsWritten: number;
  readonly keyBitsRead: number;
  readonly keyBitsWritten: number;
  readonly valueBitsRead: number;
  readonly valueBitsWritten: number;
  readonly scoreBitsRead: number;
  readonly scoreBitsWritten: number;
  /** Through the softmax, and rows of them. */
  readonly scores: number;
  readonly rows: number;
  readonly dramBitsRead: number;
  readonly dramBitsWritten: number;
}

/** Running maximum and sum of a softmax lane. Action: "add". */
function softmaxAccumulator({ technology, softmax }: VssaConfig): ComponentCost {
  const bits = 2 * softmax.bits;
  return toCost(
    combine(
      ['add'],
      [
        { cost: adder.estimate({ bits }, technology), uses: { add: { add: 1 } } },
        { cost: comparator.estimate({ bits: softmax.bits }, technology), uses: { add: { compare: 1 } } },
        { cost: register.estimate({ bits }, technology), uses: { add: { write: 1 } } },
      ],
    ),
  );
}

/** Sum of the probabilities that a token was given: adder and register beside each softmax lane. Action: "add". */
function importanceAccumulator({ technology, softmax }: VssaConfig): ComponentCost {
  const bits = 2 * softmax.bits;
  return toCost(
    combine(
      ['add'],
      [
        { cost: adder.estimate({ bits }, technology), uses: { add: { add: 1 } } },
        { cost: register.estimate({ bits }, technology), uses: { add: { write: 1 } } },
      ],
    ),
  );
}

/** The whole machine. A word of a buffer is one part for each row, or column, of the array. */
export function vssaComposition(config: VssaConfig): Composition {
  const { technology, array, accumulatorBits, softmax, buffers, operandBits } = config;
  const pes = array.rows * array.columns;
  const words = wordBits(config);
  const buffer = (bytes: number, bits: number) => sram.cost({ bytes, wordBits: bits }, technology);
  const composition = new Composition(technology)
    .add('PE multipliers', multiplier.cost({ aBits: array.peBits, bBits: array.peBits }, technology), pes)
    .add('PE adders', adder.cost({ bits: accumulatorBits }, technology), pes)
    .add('sum registers', register.cost({ bits: accumulatorBits }, technology), pes)
    // Sums move aside so that the next tile can start while they leave.
    .add('result registers', register.cost({ bits: accumulatorBits }, technology), pes)
    .add('operand registers', register.cost({ bits: array.peBits }, technology), pes * partsPerPe(config));
  if (isHalved(config))
    composition.add('half adders', adder.cost({ bits: accumulatorBits + operandBits }, technology), array.columns);
  composition
    .add('Q buffer', buffer(buffers.queryBytes, words.rows))
    .add('K buffer', buffer(buffers.keyBytes, words.columns))
    .add('V buffer', buffer(buffers.valueBytes, words.columns))
    .add('score buffer', buffer(buffers.scoreBytes, words.scores))
    .add('exponent units', exponentUnit.cost({ bits: softmax.bits }, technology), softmax.lanes)
    .add('softmax accumulators', softmaxAccumulator(config), softmax.lanes)
    .add('softmax divider', divider.cost({ bits: softmax.bits }, technology))
    .add(
      'softmax multipliers',
      multiplier.cost({ aBits: softmax.bits, bBits: softmax.bits }, technology),
      softmax.lanes,
    )
    .add('importance accumulators', importanceAccumulator(config), softmax.lanes);
  if (config.dram !== 'none') composition.add('DRAM', vssaMemory(config).cost);
  return composition;
}

/** Two links of each PE, as wide as the widest operand; without a bound, what one entry costs. */
const partsPerPe = ({ array, operandBits }: VssaConfig): number =>
  2 * Math.max(1, array.linkDepth) * Math.ceil(operandBits / array.peBits);

const wordBits = ({ array, softmax }: VssaConfig) => ({
  rows: array.rows * array.peBits,
  columns: array.columns * array.peBits,
  scores: softmax.lanes * softmax.bits,
});

export function vssaActions(config: VssaConfig, activity: VssaActivity): ActionCounts {
  const words = wordBits(config);
  return {
    'PE multipliers': { multiply: activity.partProducts },
    'PE adders': { add: activity.partProducts },
    'sum registers': { write: activity.partProducts },
    'result registers': { write: activity.sums },
    'operand registers': { write: activity.hops },
    ...(isHalved(config) && { 'half adders': { add: activity.combined } }),
    'Q buffer': { read: activity.queryBitsRead / words.rows, write: activity.queryBitsWritten / words.rows },
    'K buffer': { read: activity.keyBitsRead / words.columns, write: activity.keyBitsWritten / words.columns },
    'V buffer': { read: activity.valueBitsRead / words.columns, write: activity.valueBitsWritten / words.columns },
    'score buffer': { read: activity.scoreBitsRead / words.scores, write: activity.scoreBitsWritten / words.scores },
    'exponent units': { exponent: activity.scores },
    'softmax accumulators': { add: activity.scores },
    'softmax divider': { divide: activity.rows },
    'softmax multipliers': { multiply: activity.scores },
    'importance accumulators': { add: activity.scores },
    ...(config.dram !== 'none' && {
      DRAM: vssaMemory(config).actions({ readBits: activity.dramBitsRead, writtenBits: activity.dramBitsWritten }),
    }),
  };
}
