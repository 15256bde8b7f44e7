/** How likely a decoder holds the tokens that follow. */
import { GraphBuilder } from '../../graph/builder.js';
import { type Graph, int } from '../../graph/types.js';

export const LIKELIHOOD = 'decoding.likelihood';

/** Adds log probabilities of the input `targets`, [batch, tokens]. @param logits [batch, tokens, vocabulary] */
export function withLikelihood(graph: Graph, logits: string): Graph {
  const b = new GraphBuilder(graph.name, graph);
  const targets = b.op('Unsqueeze', [b.input('targets', 'int64', ['batch', 'tokens']), b.ints([-1])]);
  const logarithms = b.op('LogSoftmax', [logits], { axis: int(-1) });
  b.op('Squeeze', [b.op('GatherElements', [logarithms, targets], { axis: int(-1) }), b.ints([-1])], {}, LIKELIHOOD);
  return b.finish();
}
