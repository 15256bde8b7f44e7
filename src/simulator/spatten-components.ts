/** What SpAtten is made of, and how a layer's counts use each part. */
import {
  adder,
  adderTree,
  comparator,
  divider,
  exponentUnit,
  mac,
  multiplier,
  sram,
} from '../hardware/components/index.js';
import { type ActionCounts, Composition } from '../hardware/compose.js';
import type { SpattenConfig } from './spatten-config.js';
import type { LayerRun } from './spatten-layer.js';
import { spattenMemory } from './spatten-memory.js';

/** Width of sums, importances and the top-k's entries (value and index), bits; assumed. */
const SUM_BITS = 32;
const ENTRY_BITS = 24;
/** Tokens that the importance and top-k memories hold, SpAtten's largest batch (its published hardware description). */
const TOKENS = 1024;

export function spattenComponents(config: SpattenConfig): Composition {
  const { technology, multipliers, datapathBits, softmaxUnits, topK, buffers, queueRows } = config;
  const operands = { aBits: datapathBits, bBits: datapathBits };
  const word = multipliers * datapathBits;
  return (
    new Composition(technology)
      .add('key multipliers', multiplier.cost(operands, technology), multipliers)
      // One tree over the whole array, cut into one per key.
      .add('key adder tree', adderTree.cost({ inputs: multipliers, bits: 2 * datapathBits }, technology))
      .add('value products', mac.cost({ ...operands, accumulatorBits: SUM_BITS }, technology), multipliers)
      .add('K buffer', sram.cost({ bytes: buffers.keyBytes, wordBits: word }, technology))
      .add('V buffer', sram.cost({ bytes: buffers.valueBytes, wordBits: word }, technology))
      .add('exponent units', exponentUnit.cost({ bits: datapathBits }, technology), softmaxUnits)
      .add('softmax adders', adder.cost({ bits: SUM_BITS }, technology), softmaxUnits)
      .add('dividers', divider.cost({ bits: datapathBits }, technology), softmaxUnits)
      // Between each two of the four stages.
      .add(
        'score queues',
        sram.cost(
          { bytes: (queueRows * TOKENS * datapathBits) / 8, wordBits: softmaxUnits * datapathBits },
          technology,
        ),
        3,
      )
      .add('importance adders', adder.cost({ bits: SUM_BITS }, technology), softmaxUnits)
      .add('importances', sram.cost({ bytes: (TOKENS * SUM_BITS) / 8, wordBits: softmaxUnits * SUM_BITS }, technology))
      // Each value is compared for less and for greater.
      .add('top-k comparators', comparator.cost({ bits: ENTRY_BITS }, technology), 2 * topK.parallelism)
      .add(
        'top-k memories',
        sram.cost({ bytes: (TOKENS * ENTRY_BITS) / 8, wordBits: topK.parallelism * ENTRY_BITS }, technology),
        2,
      )
      .add('DRAM', spattenMemory(config).cost)
  );
}

export function spattenActions(config: SpattenConfig, { counts }: LayerRun): ActionCounts {
  const { multipliers, softmaxUnits, topK } = config;
  const passed = counts.scores + counts.scoresAgain;
  const topKWords = counts.topKComparisons / topK.parallelism;
  return {
    'key multipliers': { multiply: counts.keyMacs },
    'key adder tree': { add: counts.keyMacs / multipliers },
    'value products': { mac: counts.valueMacs },
    'K buffer': { read: counts.keyArrayCycles, write: counts.keyElements / multipliers },
    'V buffer': { read: counts.valueArrayCycles, write: counts.valueElements / multipliers },
    'exponent units': { exponent: passed },
    'softmax adders': { add: passed },
    dividers: { divide: passed },
    'score queues': {
      read: (passed + counts.scores + counts.values) / softmaxUnits,
      write: (passed + counts.scores + counts.values) / softmaxUnits,
    },
    'importance adders': { add: counts.scores },
    importances: { read: counts.scores / softmaxUnits, write: counts.scores / softmaxUnits },
    'top-k comparators': { compare: 2 * counts.topKComparisons },
    'top-k memories': { read: topKWords, write: topKWords },
    DRAM: spattenMemory(config).actions({
      readBits: counts.queryBits + counts.keyHighBits + counts.keyLowBits + counts.valueBits,
      writtenBits: counts.resultBits,
    }),
  };
}
