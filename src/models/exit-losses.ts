/** A decoder that learns to speak after every layer: the language-model loss at each exit, weighted. */
import { GraphBuilder } from '../graph/builder.js';
import { addCrossEntropy } from '../graph/losses.js';
import { float, type Graph, int } from '../graph/types.js';
import { FINAL_NORM, outputLogits } from './gpt2.js';

export interface ExitLosses {
  readonly graph: Graph;
  /** The weighted mean of the exits' losses. */
  readonly loss: string;
  /** Mean cross entropy in nats at each exit, the last layer's included. */
  readonly exits: readonly string[];
}

/** Targets that do not count. */
export const NO_TARGET = -100;
/** Input int64 [exits − 1, rows]: the sequences of the batch that each exit before the last learns from, if not all. */
export const EXIT_ROWS = 'exit_rows';

export interface ExitLossOptions {
  /** Of the final norm. */
  readonly epsilon: number;
  /**
   * Each exit before the last reads the sequences that the input `exit_rows` names for it: the logits of twelve exits cost
   * more than the layers between them, and a part of the batch gives the same gradient on average.
   */
  readonly someRows?: boolean;
}

/**
 * Adds `targets` int64 [batch, tokens] (−100: none) and the loss at every exit. All exits share the final norm and the
 * output embedding with the model's end, as ToEx needs it: an exit has no weights of its own.
 * @param graph a decoder of `buildGpt2`
 * @param weights one for each layer, not all 0
 */
export function addExitLosses(
  graph: Graph,
  weights: readonly number[],
  { epsilon, someRows = false }: ExitLossOptions,
): ExitLosses {
  const b = new GraphBuilder(graph.name, graph);
  const targets = b.input('targets', 'int64', ['batch', 'tokens']);
  const rows = someRows ? b.input(EXIT_ROWS, 'int64', [weights.length - 1, 'rows']) : undefined;
  const norm = [`${FINAL_NORM}.weight`, `${FINAL_NORM}.bias`];
  const attributes = { axis: int(-1), epsilon: float(epsilon) };
  const exits = weights.map((_, layer) => {
    if (layer === weights.length - 1) return addCrossEntropy(b, 'logits', targets, { ignoreIndex: NO_TARGET });
    const own = rows && b.op('Gather', [rows, b.scalar('int64', layer)], { axis: int(0) }, `exit${layer}.rows`);
    const chosen = (value: string) => (own ? b.op('Gather', [value, own], { axis: int(0) }) : value);
    const hidden = chosen(`layer${layer}.output`);
    const normed = b.op('LayerNormalization', [hidden, ...norm], attributes, `exit${layer}.normed`);
    const logits = outputLogits(b, normed, `exit${layer}.logits`);
    return addCrossEntropy(b, logits, chosen(targets), { ignoreIndex: NO_TARGET });
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const terms = exits.flatMap((exit, i) => (weights[i] ? [b.mul(exit, b.constant(weights[i]! / total))] : []));
  const loss = terms.reduce((sum, term) => b.add(sum, term));
  return { graph: b.finish(), loss, exits };
}
