/** The matrix products of dense attention. */
import type { GemmLayer } from './types.js';

/** Sizes of one head on one sequence; an attention-head record of a trace has them. */
export interface AttentionShape {
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  readonly valueDim: number;
}

/**
 * Scores Q·Kᵀ [queries × keys] and output P·V [queries × valueDim], with nothing pruned. Softmax is not a matrix product
 * and is not among them; a causal mask saves a dense array nothing.
 */
export function attentionGemms({ queries, keys, headDim, valueDim }: AttentionShape, name: string): GemmLayer[] {
  return [
    { name: `${name}.scores`, m: queries, n: keys, k: headDim },
    { name: `${name}.output`, m: queries, n: valueDim, k: keys },
  ];
}
