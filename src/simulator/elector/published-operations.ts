/**
 * The published simulators' view of a model: a sequence of memory operations and one of compute operations, each with
 * one entry per step, where the heads of a layer run side by side.
 */

/** [batch, rows, columns] */
export type Dims = readonly [number, number, number];

export interface MemoryOperation {
  readonly kind: 'load' | 'store';
  /**
   * Name of the data, e.g. "layer0_head1_q". A store bears the name of the compute operation that produces its data;
   * loaded weights end in "-weights".
   */
  readonly name: string;
  readonly dims: Dims;
  /** Loads go to the weight buffer, forward stores to the activation buffer. */
  readonly buffer: 'weight' | 'activation';
  /** Gradients of weights, which replace them. */
  readonly overwrite: boolean;
  /** Never leaves its buffer: the embeddings. */
  readonly pinned: boolean;
}

export interface ComputeOperation {
  readonly kind: 'matmul' | 'conv' | 'softmax' | 'layer-norm' | 'non-linearity';
  readonly name: string;
  /** Of a product: (batch, i, k) × (batch, k, j). Others have one operand. */
  readonly left: Dims;
  readonly right?: Dims;
  /** Kernel of a convolution. */
  readonly kernel?: number;
  /** Names of data that must be in a buffer. */
  readonly requires: readonly string[];
  /** Uses the gradients' sparsity. */
  readonly backward: boolean;
}

/** A step: one operation, or the heads of a layer side by side. */
export type Entry<Operation> = Operation | { readonly heads: readonly (readonly Operation[])[] };

export interface PublishedOperations {
  readonly memory: readonly Entry<MemoryOperation>[];
  readonly compute: readonly Entry<ComputeOperation>[];
}

/** Whether a step holds the heads of a layer. */
export function isHeads<Operation extends object>(
  entry: Entry<Operation>,
): entry is { readonly heads: readonly (readonly Operation[])[] } {
  return 'heads' in entry;
}
