/** What techniques that rewrite attention share: finding its layers, and putting new values in place of old ones. */
import { TandemError } from '../errors.js';
import type { GraphBuilder } from '../graph/builder.js';
import { sortNodes } from '../graph/check.js';
import { pruneUnused, replaceInput } from '../graph/edit.js';
import { type AttentionBlock, findAttention } from '../graph/patterns/attention.js';
import type { Graph } from '../graph/types.js';

/**
 * The attention layers, with batch and heads as separate axes: [batch, heads, tokens, dim].
 * @throws TANDEM_MODEL_UNSUPPORTED where there is none, or one whose heads have no fixed axis
 */
export function attentionOf(graph: Graph): AttentionBlock[] {
  const blocks = findAttention(graph);
  const unsupported = (message: string, remedy: string) =>
    new TandemError('TANDEM_MODEL_UNSUPPORTED', message, { place: `graph ${graph.name}`, remedy });
  if (blocks.length === 0) {
    const plain = 'Export it without fused attention operators: plain MatMul, Softmax, MatMul.';
    throw unsupported('The model has no attention that Tandem recognises.', plain);
  }
  for (const { layer, query, heads } of blocks) {
    if (graph.types.get(query)?.shape?.length === 4 && heads !== undefined) continue;
    const separate = 'Export it with batch and heads as separate axes, heads fixed: [batch, heads, tokens, dim].';
    throw unsupported(`The queries of attention layer ${layer} ("${query}") have no fixed axis of heads.`, separate);
  }
  return blocks;
}

/** Lets the original nodes that read an old value (a softmax's input, a context) read its replacement. */
export function rewire(b: GraphBuilder, original: Graph, replaced: ReadonlyMap<string, string>): Graph {
  const old = new Set(original.nodes.map(({ name }) => name));
  const graph = [...replaced].reduce(
    (rewritten, [from, to]) => replaceInput(rewritten, from, to, ({ name }) => old.has(name)),
    b.finish(),
  );
  return sortNodes(graph);
}

/** Drops what neither the outputs nor the values to fetch need. */
export function withoutDeadNodes(graph: Graph, kept: readonly string[]): Graph {
  const outputs = [...graph.outputs, ...kept.map((name) => ({ name, ...graph.types.get(name)! }))];
  return { ...pruneUnused({ ...graph, outputs }), outputs: graph.outputs };
}
