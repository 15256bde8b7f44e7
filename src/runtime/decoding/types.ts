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
 * Rows are tokens of any sequences, side by side: what happens to a row happens to it alone, but for attention, which sees
 * the tokens of one sequence together.
 */
export interface DecoderStages {
  readonly sizes: DecoderSizes;
  /** What a layer's weights take, about. */
  readonly layerBytes: number;
  /** float32 [vocabulary, hidden]: what a token is at first, and the rows of the output embedding. */
  readonly words: Tensor;
  /** float32 [context, hidden]: what is added for a token's place. */
  readonly positions: Tensor;
  /**
   * Layers `from` to `to` (exclusive) as one graph: `rows` [rows, hidden] → `output` of the same shape. Tokens may enter at
   * any of the layers, but a row that has entered stays: a layer's rows are the last ones. Inputs of layer N, `layerN.…`:
   *   `entering`, `whole` [1]: minus the number of rows whose keys and values are computed, and of those that run it whole
   *   `keys`, `values` [batch, known, hidden]: of the sequences that take part, with room for those of the rows that enter
   *   `places` [entering, 2]: sequence and place among its keys of every row that enters
   *   `asked` [batch, queries]: rows that ask, counted from the last one, which is -1
   *   `mask` [batch, 1, queries, known]: added to the scores
   *   `answers` [whole]: which of the batch · queries questions is that of each whole row
   * Outputs of layer N: `layerN.key`, `layerN.value` [entering, hidden].
   */
  span(from: number, to: number): Graph;
  /** `rows` [rows, hidden] → `normed` [rows, hidden], which the output embedding reads. */
  readonly norm: Graph;
  /** `normed` [rows, hidden] → `logits` [rows, vocabulary]. */
  readonly logits: Graph;
}
