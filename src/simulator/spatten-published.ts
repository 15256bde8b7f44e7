/**
 * SpAtten's published behavioural model (mit-han-lab/spatten, simulator): cycles of one layer in closed form, as a sum of
 * memory, filling, draining and top-k that do not overlap. It is kept as published, for comparison with the cycle model.
 */

/** Defaults of the published program. */
export const PUBLISHED_PARAMETERS: PublishedParameters = { channels: 16, multipliers: 512, topKParallelism: 4 };

export interface PublishedParameters {
  readonly channels: number;
  /** Of one array. */
  readonly multipliers: number;
  /** Elements that leave the zero eliminator a cycle, ZE. */
  readonly topKParallelism: number;
}

export interface PublishedHead {
  /** d */
  readonly headWidth: number;
  /** Queries, L. */
  readonly sentenceLength: number;
  /** Keys, and values, that are left. */
  readonly keys: number;
  readonly keyBits: number;
  readonly valueBits: number;
  readonly topK?: {
    readonly kept: number;
    /** Length of the sequence in each round of the quick-select; the published program draws it at random. */
    readonly rounds: readonly number[];
  };
}

export interface PublishedCycles {
  readonly dram: number;
  readonly fill: number;
  readonly drain: number;
  readonly topK: number;
  readonly total: number;
}

/** Bytes of a memory transaction. */
const TRANSACTION = 32;
/** SRAM, multiplier, reduction tree. */
const KEY_PRODUCT = 1 + 1 + 9;
/** Dequantise, exponent, accumulator, divider, quantise; the FIFO adds one cycle per batch. */
const SOFTMAX = 7 + 21 + 23 + 29 + 7;
/** Requantisation and top-k when they are passed by. */
const BYPASS = 1 + 1;
/** SRAM, multiplier, accumulator. */
const VALUE_PRODUCT = 1 + 1 + 1;
/** Cycles of the pipeline without its FIFO. */
export const PUBLISHED_PIPELINE = KEY_PRODUCT + SOFTMAX + BYPASS + VALUE_PRODUCT;
/** Comparators, zero eliminator, FIFO, and one more for the state after a round. */
const ROUND = 1 + 1 + 1 + 1;

const parallelism = ({ multipliers }: PublishedParameters, { headWidth }: PublishedHead) =>
  Math.max(1, Math.floor(multipliers / headWidth));

const batches = (parameters: PublishedParameters, head: PublishedHead) =>
  Math.ceil(head.keys / parallelism(parameters, head));

/** Array cycles of a batch: 1 as published; a head wider than the array, which the published program cannot have, takes more. */
const passes = ({ multipliers }: PublishedParameters, { headWidth }: PublishedHead) =>
  Math.ceil(headWidth / multipliers);

/** Widths are stored as bytes above 8 bits, and at 6. */
const storedBits = (bits: number) => (bits === 6 || bits > 8 ? 8 : bits);

/** Transactions of the busiest channel for one matrix; divisions round down one after the other, as published. */
function transactions(parameters: PublishedParameters, head: PublishedHead, bits: number): number {
  const elements = batches(parameters, head) * parallelism(parameters, head) * head.headWidth;
  const bytes = Math.floor((elements * storedBits(bits)) / 8);
  return Math.ceil(Math.floor(bytes / TRANSACTION) / parameters.channels);
}

function topKCycles(parameters: PublishedParameters, head: PublishedHead): number {
  if (!head.topK) return 0;
  const { kept, rounds } = head.topK;
  const selecting = rounds.reduce((sum, length) => sum + Math.floor(length / parameters.topKParallelism) + ROUND, 0);
  const moved = batches(parameters, head) + Math.ceil(kept / parallelism(parameters, head));
  return moved * passes(parameters, head) + selecting;
}

/** Cycles of a layer of at least one head. The drain is the last head's. */
export function publishedCycles(parameters: PublishedParameters, heads: readonly PublishedHead[]): PublishedCycles {
  let dram = 0;
  let fill = 0;
  let topK = 0;
  for (const head of heads) {
    dram += transactions(parameters, head, head.keyBits) + transactions(parameters, head, head.valueBits);
    fill += head.sentenceLength * batches(parameters, head) * passes(parameters, head);
    topK += topKCycles(parameters, head);
  }
  const last = heads[heads.length - 1]!;
  const drain = PUBLISHED_PIPELINE + batches(parameters, last) * passes(parameters, last);
  return { dram, fill, drain, topK, total: dram + fill + drain + topK };
}
