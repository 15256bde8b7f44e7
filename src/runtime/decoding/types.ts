/** A decoder cut into the pieces that generation runs: graphs and tables in, tokens out. */
import type { Graph, Tensor } from '../../graph/types.js';

export interface DecoderSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly vocabulary: number;
  /** Most tokens of a sequence. */
  readonly context: number;
}

/**
 * Rows are tokens of any sequences, side by side: what happens in `enter`, `leave` and `norm` happens to each row alone.
 * Only `attention` sees the tokens of one sequence together.
 */
export interface DecoderStages {
  readonly sizes: DecoderSizes;
  /** float32 [vocabulary, hidden]: what a token is at first, and the rows of the output embedding. */
  readonly words: Tensor;
  /** float32 [context, hidden]: what is added for a token's place. */
  readonly positions: Tensor;
  /** One a layer: `rows` [rows, hidden] → `query`, `key`, `value`, each [rows, hidden]. */
  readonly enter: readonly Graph[];
  /**
   * For all layers: `query` [queries, hidden], `keys` and `values` [keys, hidden], `mask` [queries, keys] added to the
   * scores → `context` [queries, hidden].
   */
  readonly attention: Graph;
  /** One a layer: `context` and the layer's `rows` [rows, hidden] → `output` [rows, hidden]. */
  readonly leave: readonly Graph[];
  /** `rows` [rows, hidden] → `normed` [rows, hidden], which the output embedding reads. */
  readonly norm: Graph;
  /** `normed` [rows, hidden] → `logits` [rows, vocabulary]. */
  readonly logits: Graph;
}
