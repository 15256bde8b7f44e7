/**
 * Names of the matrices whose zero masks a trace holds (MaskRecord.matrix): the vocabulary shared by whoever records
 * them and by the machines that play them. Rows are the real tokens of one sequence, n; H the heads of the layer.
 *
 * In phase `forward` a mask is that of the value or weight, in `backward` of the loss's gradient with respect to the
 * value, in `update` of the gradient with respect to the weight (after all pruning).
 */

/** Values of a layer, with their shapes. A head's part of a matrix [n × H·dim] are its dim columns. */
export const ACTIVATIONS = {
  /** Input of the layer's projections to query, key and value: [n × hidden] */
  input: 'input',
  /** [n × H·dim], heads side by side */
  query: 'query',
  key: 'key',
  value: 'value',
  /** Raw scores q·k, before scale and mask: [H·n × n], heads below each other */
  scores: 'scores',
  /** After the softmax: [H·n × n], heads below each other */
  probabilities: 'probabilities',
  /** probabilities · value: [n × H·dim], heads side by side */
  context: 'context',
  /** Output of the attention's projection, before residual and norm: [n × hidden] */
  attentionOutput: 'attention.output',
  /** Input of the feed-forward part, after the first norm: [n × hidden] */
  feedForwardInput: 'ffn.input',
  /** Output of the feed-forward part, before residual and norm: [n × hidden] */
  feedForwardOutput: 'ffn.output',
} as const;

/** Value behind feed-forward stack `stack` (from 0), after the activation function: [n × width] */
export const feedForwardHidden = (stack: number): string => `ffn.hidden.${stack}`;

/** What the classifier reads, after its activation function, recorded with the last layer: [1 × width] */
export const POOLER = 'pooler';

/** Weights of a layer, rows = input width, columns = output width. */
export const WEIGHTS = {
  /** [hidden × H·dim], heads side by side */
  query: 'query.weight',
  key: 'key.weight',
  value: 'value.weight',
  /** Projection of the context: [H·dim × hidden], heads below each other */
  attention: 'attention.weight',
} as const;

/** Weight of the feed-forward product `product` (from 0; one more than there are stacks). */
export const feedForwardWeight = (product: number): string => `ffn.weight.${product}`;

/** Whether a matrix of this name is a weight. */
export const isWeight = (matrix: string): boolean => /\.weight(\.|$)/.test(matrix);

/** Key of TraceHeader.notes that holds the TransformerArchitecture of the model as JSON. */
export const ARCHITECTURE_NOTE = 'architecture';

/**
 * Key of TraceHeader.notes: bits of the value that stands for all removed tokens of a head, in heads that have any; absent:
 * removed tokens leave nothing.
 */
export const PSEUDO_TOKEN_NOTE = 'pseudoTokenBits';
