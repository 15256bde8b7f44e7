/** What a LeOPArd tile is made of, and how a head's activity uses each part. */
import {
  adder,
  adderTree,
  bitSerialMultiplier,
  comparator,
  divider,
  dram,
  exponentUnit,
  fifo,
  mac,
  multiplier,
  register,
  sram,
} from '../hardware/components/index.js';
import { type ActionCounts, Composition } from '../hardware/compose.js';
import { combine, toCost } from '../hardware/cost.js';
import type { ComponentCost } from '../hardware/types.js';
import { type LeopardConfig, stepBits } from './leopard-config.js';

/** How often the parts of a tile worked. Words are as wide as a unit's taps. */
export interface TileActivity {
  /** Unit-cycles at work: each reads a word of K. */
  readonly busyUnitCycles: number;
  /** Decisions of the termination logic: steps of all scores. */
  readonly unitSteps: number;
  readonly pruned: number;
  readonly queryWords: number;
  readonly keyWordsWritten: number;
  readonly survivors: number;
  /** Rows that got a softmax. */
  readonly rows: number;
  readonly valueElements: number;
  readonly valueWordsRead: number;
  readonly valueWordsWritten: number;
  readonly dramBitsRead: number;
  readonly dramBitsWritten: number;
}

/** Width of Σ q·k over a unit's taps. */
const scoreBits = ({ frontEnd }: LeopardConfig): number =>
  frontEnd.queryBits + frontEnd.keyBits + Math.ceil(Math.log2(frontEnd.taps));

/** Enough to number every key that the K buffer holds at full width. */
const indexBits = ({ frontEnd, buffers }: LeopardConfig): number =>
  Math.max(1, Math.ceil(Math.log2((buffers.keyBytes * 8) / (frontEnd.taps * frontEnd.keyBits))));

/** A dot product of one step: multipliers, adder tree, accumulator. Action: "step". */
function dotProductUnit(config: LeopardConfig): ComponentCost {
  const { technology, frontEnd } = config;
  const { taps, queryBits, keyBits, bitsPerCycle } = frontEnd;
  const serial = frontEnd.kind === 'bit-serial';
  const taken = serial ? bitsPerCycle : keyBits;
  const product = serial
    ? { cost: bitSerialMultiplier.estimate({ aBits: queryBits, bitsPerCycle }, technology), action: 'step' }
    : { cost: multiplier.estimate({ aBits: queryBits, bBits: keyBits }, technology), action: 'multiply' };
  const bits = scoreBits(config);
  return toCost(
    combine(
      ['step'],
      [
        { count: taps, cost: product.cost, uses: { step: { [product.action]: taps } } },
        { cost: adderTree.estimate({ inputs: taps, bits: queryBits + taken }, technology), uses: { step: { add: 1 } } },
        { cost: adder.estimate({ bits }, technology), uses: { step: { add: 1 } } },
        { cost: register.estimate({ bits }, technology), uses: { step: { write: 1 } } },
      ],
    ),
  );
}

/**
 * Bound and decision. The unit accumulates Σ q·(2t + R·s), a bit-serial sum like any other (digits 2g − (2^B − 1) times the
 * sign of k), so that the bound needs one addition of R·Σ|q|, the same for all keys of a query. Action: "step".
 */
function terminationLogic(config: LeopardConfig): ComponentCost {
  const bits = scoreBits(config) + 1;
  return toCost(
    combine(
      ['step'],
      [
        { cost: adder.estimate({ bits }, config.technology), uses: { step: { add: 1 } } },
        { cost: comparator.estimate({ bits }, config.technology), uses: { step: { compare: 1 } } },
      ],
    ),
  );
}

/** Largest lower bound of a row so far, and the key it belongs to. Action: "update". */
function largestBound(config: LeopardConfig): ComponentCost {
  const bits = scoreBits(config) + 1;
  return toCost(
    combine(
      ['update'],
      [
        { cost: comparator.estimate({ bits }, config.technology), uses: { update: { compare: 1 } } },
        {
          cost: register.estimate({ bits: bits + indexBits(config) }, config.technology),
          uses: { update: { write: 1 } },
        },
      ],
    ),
  );
}

/** Running maximum and sum of exponentials. Action: "add". */
function softmaxAccumulator({ technology, backEnd }: LeopardConfig): ComponentCost {
  const bits = 2 * backEnd.valueBits;
  return toCost(
    combine(
      ['add'],
      [
        { count: 2, cost: adder.estimate({ bits }, technology), uses: { add: { add: 2 } } },
        { cost: comparator.estimate({ bits: backEnd.valueBits }, technology), uses: { add: { compare: 1 } } },
        { count: 2, cost: register.estimate({ bits }, technology), uses: { add: { write: 1 } } },
      ],
    ),
  );
}

/** All tiles, with their parts by role. */
export function tileComponents(config: LeopardConfig): Composition {
  const { technology, tiles, frontEnd, backEnd, buffers } = config;
  const units = frontEnd.units * tiles;
  const composition = new Composition(technology).add('dot product', dotProductUnit(config), units);
  if (frontEnd.kind === 'bit-serial') {
    composition.add('termination logic', terminationLogic(config), units);
    composition.add(
      'query margin',
      adderTree.cost({ inputs: frontEnd.taps, bits: frontEnd.queryBits }, technology),
      tiles,
    );
    if (config.emptyRow === 'keep-largest') composition.add('largest bound', largestBound(config), units);
  }
  const valueAccumulator = 2 * backEnd.valueBits + indexBits(config);
  composition
    .add('query register', register.cost({ bits: frontEnd.taps * frontEnd.queryBits }, technology), tiles)
    // One bank per unit, so that all can read in the same cycle; a word holds one step's bits of all taps.
    .add(
      'K buffer',
      sram.cost({ bytes: buffers.keyBytes / frontEnd.units, wordBits: frontEnd.taps * stepBits(config) }, technology),
      units,
    )
    .add(
      'survivor FIFO',
      fifo.cost({ depth: config.fifo.depth, wordBits: backEnd.valueBits + indexBits(config) }, technology),
      tiles,
    )
    .add('exponent unit', exponentUnit.cost({ bits: backEnd.valueBits }, technology), tiles)
    .add('softmax accumulator', softmaxAccumulator(config), tiles)
    .add('divider', divider.cost({ bits: backEnd.valueBits }, technology), tiles)
    .add(
      'value product',
      mac.cost({ aBits: backEnd.valueBits, bBits: backEnd.valueBits, accumulatorBits: valueAccumulator }, technology),
      backEnd.taps * tiles,
    )
    .add(
      'V buffer',
      sram.cost({ bytes: buffers.valueBytes, wordBits: backEnd.taps * backEnd.valueBits }, technology),
      tiles,
    );
  if (config.dram !== 'none') composition.add('DRAM', dram.cost({ type: config.dram }, technology));
  return composition;
}

/** Actions of the parts named above. */
export function tileActions(config: LeopardConfig, activity: TileActivity): ActionCounts {
  const serial = config.frontEnd.kind === 'bit-serial';
  return {
    'dot product': { step: activity.busyUnitCycles },
    ...(serial && {
      'termination logic': { step: activity.unitSteps },
      'query margin': { add: activity.queryWords },
      ...(config.emptyRow === 'keep-largest' && { 'largest bound': { update: activity.pruned } }),
    }),
    'query register': { write: activity.queryWords },
    'K buffer': { read: activity.busyUnitCycles, write: activity.keyWordsWritten },
    'survivor FIFO': { push: activity.survivors, pop: activity.survivors },
    'exponent unit': { exponent: activity.survivors },
    'softmax accumulator': { add: activity.survivors },
    divider: { divide: activity.rows },
    // Each survivor's value row times its weight, then each output row times the reciprocal of the sum.
    'value product': { mac: activity.valueElements },
    'V buffer': { read: activity.valueWordsRead, write: activity.valueWordsWritten },
    ...(config.dram !== 'none' && { DRAM: { read: activity.dramBitsRead, write: activity.dramBitsWritten } }),
  };
}
