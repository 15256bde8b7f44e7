/** Reads an encoder's sizes off its graph, for models that come without them. */
import { GraphIndex } from '../graph/edit.js';
import { type AttentionBlock, findAttention } from '../graph/patterns/attention.js';
import type { Graph, Node } from '../graph/types.js';
import type { TransformerArchitecture, TransformerLayer } from '../workload/transformer.js';

/** A product with a weight matrix of `from` inputs and `to` outputs. */
interface Dense {
  readonly from: number;
  readonly to: number;
  /** Whether what it gives, with its bias, is added to another value: the end of a residual branch. */
  readonly joins: boolean;
}

/**
 * The architecture of an encoder of scaled dot-product attention layers whose products with weights are MatMul or Gemm
 * with initializers; undefined where the graph is another or does not show its sizes.
 * @param tokens longest sequence
 */
export function architectureOf(graph: Graph, name: string, tokens: number): TransformerArchitecture | undefined {
  const index = new GraphIndex(graph);
  const blocks = findAttention(graph);
  const layers = blocks.map((block, layer) => layerOf(graph, index, block, blocks[layer + 1]));
  const vocabulary = embeddingRows(graph, index);
  if (vocabulary === undefined || layers.length === 0 || !layers.every((layer) => layer !== undefined))
    return undefined;
  return { name, layers, vocabulary, tokens };
}

/** The products behind the context: the projection to the hidden size, then a chain of stacks back to that size. */
function layerOf(
  graph: Graph,
  index: GraphIndex,
  { heads, headDim, scoreNode, contextNode }: AttentionBlock,
  next: AttentionBlock | undefined,
): TransformerLayer | undefined {
  const at = (node: string) => graph.nodes.findIndex(({ name }) => name === node);
  const nodes = graph.nodes.slice(at(contextNode) + 1, next && at(next.scoreNode));
  const [projection, ...rest] = nodes.map((node) => denseOf(graph, index, node)).filter((found) => found !== undefined);
  if (heads === undefined || headDim === undefined || projection?.from !== heads * headDim) return undefined;
  const hidden = projection.to;
  // The products before the scores read what the layer reads.
  const before = graph.nodes.slice(0, at(scoreNode)).map((node) => denseOf(graph, index, node));
  const input = before.findLast((found) => found !== undefined)?.from ?? hidden;
  const end = rest.findIndex(({ to, joins }, i) => i > 0 && to === hidden && joins);
  const chain = rest.slice(0, end + 1);
  if (chain.length === 0 || chain.some(({ from }, i) => from !== (chain[i - 1]?.to ?? hidden))) return undefined;
  const head = { kind: 'sdp', dim: headDim } as const;
  return {
    hidden,
    ...(input !== hidden && { input }),
    heads: Array.from({ length: heads }, () => head),
    feedForward: chain.slice(0, -1).map(({ to }) => to),
  };
}

function denseOf(graph: Graph, index: GraphIndex, node: Node): Dense | undefined {
  const { opType, domain, inputs, outputs, attributes } = node;
  if (domain !== '' || (opType !== 'MatMul' && opType !== 'Gemm')) return undefined;
  const shape = graph.initializers.get(inputs[1]!)?.shape;
  if (shape?.length !== 2) return undefined;
  const [rows, columns] = shape as [number, number];
  const transposed = opType === 'Gemm' && attributes.transB?.kind === 'int' && attributes.transB.value === 1;
  const sums = index.consumersOf(outputs[0]!).filter((reader) => reader.opType === 'Add');
  const withBias = sums.filter((sum) => sum.inputs.some((input) => graph.initializers.has(input)));
  const joins =
    withBias.length < sums.length ||
    withBias.some((sum) => index.consumersOf(sum.outputs[0]!).some((reader) => reader.opType === 'Add'));
  return transposed ? { from: columns, to: rows, joins } : { from: rows, to: columns, joins };
}

/** Rows of the table that input_ids, cast or not, look words up in. */
function embeddingRows(graph: Graph, index: GraphIndex): number | undefined {
  const open = ['input_ids'];
  for (const value of open) {
    for (const { opType, inputs, outputs } of index.consumersOf(value)) {
      const table = opType === 'Gather' && inputs[1] === value ? graph.initializers.get(inputs[0]!) : undefined;
      if (table?.shape.length === 2) return table.shape[0];
      if (opType === 'Cast' || opType === 'Identity') open.push(outputs[0]!);
    }
  }
  return undefined;
}
