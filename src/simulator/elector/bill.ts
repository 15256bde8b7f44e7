/** What a played operation or transfer costs: actions of the components of `electorComposition`. */

import type { ActionCounts } from '../../hardware/compose.js';
import type { Memory } from '../memory/types.js';
import type { Footprint } from './buffers.js';
import type { ElectorConfig } from './config.js';
import { WORD_BITS } from './constants.js';
import { trafficOf } from './main-memory.js';
import type { Matrix, Operation } from './operations.js';
import type { PlayedOperation, Transfer } from './played.js';
import { FIFO_WORDS } from './tile-costs.js';
import type { OperandReads } from './units.js';

/** FinCACTI's and NVSim's blocks are 64 bytes. The published simulators count 64 words. */
const BLOCK_BITS = 512;

const BUFFER = { activation: 'activation buffer', weight: 'weight buffer' } as const;

const blocks = (bits: number): number => bits / BLOCK_BITS;

/** Adds up actions, of one operation or of a whole run. */
export class Actions {
  readonly #counts: Record<string, Record<string, number>> = {};

  add(component: string, action: string, times: number): this {
    if (times === 0) return this;
    this.#counts[component] ??= {};
    const counts = this.#counts[component];
    counts[action] = (counts[action] ?? 0) + times;
    return this;
  }

  access({ buffer }: Matrix, { data, mask }: Footprint): this {
    return this.add(BUFFER[buffer], 'access', blocks(data)).add('mask buffer', 'access', blocks(mask));
  }

  get counts(): ActionCounts {
    return this.#counts;
  }
}

const UNIT: Readonly<Record<Operation['kind'], string | undefined>> = {
  product: 'MAC lanes',
  convolution: 'MAC lanes',
  'non-linearity': 'MAC lanes',
  softmax: 'softmax',
  'layer-norm': 'layer norm',
  gather: undefined,
};

export const unitOf = ({ kind }: Operation): string | undefined => UNIT[kind];

/**
 * Units for their busy cycles. The sparsity units work as long as their lane (their share of AccelTran's published power,
 * a tenth of the lanes', agrees), the FIFOs while operands stream in, the DMA port once an operand tile, the dataflow unit
 * (which compares with the threshold) once a tile, as does the rounding in training.
 */
export function operationActions(
  { operation, dispatch, written }: PlayedOperation,
  { phase, sparsityModules }: Pick<ElectorConfig, 'phase' | 'sparsityModules'>,
  actions = new Actions(),
): ActionCounts {
  const { busy, tiles, leftReads, rightReads } = dispatch;
  const unit = unitOf(operation);
  const [left, right] =
    operation.kind === 'product' ? [operation.left.matrix, operation.right.matrix] : operation.reads;
  if (unit) actions.add(unit, 'cycle', busy);
  if (operation.kind === 'product' || operation.kind === 'convolution') {
    if (sparsityModules) {
      actions.add('pre-compute sparsity', 'cycle', busy).add('post-compute sparsity', 'cycle', busy);
    }
    actions.add('FIFOs', 'cycle', (leftReads.words + rightReads.words) / FIFO_WORDS);
    if (phase === 'training') actions.add('stochastic rounding', 'cycle', tiles);
  }
  actions.add('DMA', 'cycle', leftReads.tiles + rightReads.tiles).add('dataflow', 'cycle', tiles);
  const reads = ({ words, maskBits }: OperandReads) => ({
    data: words * WORD_BITS,
    mask: sparsityModules ? maskBits : 0,
  });
  actions.access(left!, reads(leftReads));
  if (right) actions.access(right, reads(rightReads));
  return actions.access(operation.writes, written).counts;
}

/** Main memory and the buffer on the chip, a block at a time; a timed main memory by its commands. */
export function transferActions(
  { matrix, size, direction }: Transfer,
  timed: Memory | undefined,
  actions = new Actions(),
): ActionCounts {
  const accesses = timed ? timed.actions(trafficOf(size, direction)) : { access: blocks(size.data + size.mask) };
  for (const [action, times] of Object.entries(accesses)) actions.add('main memory', action, times);
  return actions.access(matrix, size).counts;
}
