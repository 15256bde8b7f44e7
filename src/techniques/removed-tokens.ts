/** What removing a token means for the rest of its layer. */
import type { GraphBuilder } from '../graph/builder.js';
import { ACTIVATIONS } from '../trace/matrices.js';
import type { PruningPoints } from './pruning-points.js';

const ADDED: ReadonlySet<string> = new Set([ACTIVATIONS.attentionOutput, ACTIVATIONS.feedForwardOutput]);

/**
 * Nothing is added to the residual stream of a removed token: neither by attention nor by the feed-forward part.
 * @param removed bool [batch, tokens]
 * @param replaced by old value; what stands there for contexts is zeroed where no projection of them is found
 * @param hint prefix of value names
 */
export function stopTokens(
  b: GraphBuilder,
  { matrices, blocksPerLayer }: PruningPoints,
  layer: number,
  removed: string,
  replaced: Map<string, string>,
  hint: string,
): void {
  const outputs = matrices.filter((point) => point.layer === layer && ADDED.has(point.matrix));
  const zeroed = (value: string, axes: readonly number[], matrix: string) => {
    const at = b.op('Unsqueeze', [removed, b.ints(axes)]);
    return b.op('Where', [at, b.constant(0), value], {}, `${hint}.${matrix}`);
  };
  for (const { value, matrix } of outputs) replaced.set(value, zeroed(value, [2], matrix));
  if (outputs.some(({ matrix }) => matrix === ACTIVATIONS.attentionOutput)) return;
  for (const { context } of blocksPerLayer[layer]!) {
    replaced.set(context, zeroed(replaced.get(context)!, [1, 3], ACTIVATIONS.context));
  }
}
