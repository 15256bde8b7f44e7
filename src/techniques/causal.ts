/** Whether a model hides later tokens from queries: then what they give to tokens is not known yet when an early one is played. */
import { TandemError } from '../errors.js';
import { GraphIndex } from '../graph/edit.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import type { Graph, Node, Tensor } from '../graph/types.js';

const COMPARISONS: ReadonlySet<string> = new Set(['Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual']);
const COUNTING: ReadonlySet<string> = new Set(['Range', 'CumSum']);

/**
 * For techniques that rank tokens by what all queries of a text gave them.
 * @param remedy what to do instead
 * @throws TANDEM_MODEL_UNSUPPORTED where later layers would use that of a causal one
 */
export function refuseCausal(graph: Graph, blocks: readonly AttentionBlock[], remedy: string): void {
  if (blocks.length < 2) return;
  const causal = blocks.find((block) => isCausal(graph, block));
  if (causal === undefined) return;
  throw new TandemError(
    'TANDEM_MODEL_UNSUPPORTED',
    'Queries do not see later tokens, but a token’s importance sums over all of them.',
    {
      place: `attention layer ${causal.layer}`,
      remedy,
    },
  );
}

/**
 * As exporters write it: a triangle is cut out (Trilu), or held as a constant, or positions are compared by their order.
 * Distances either way (a local mask) are no order.
 */
export function isCausal(graph: Graph, { steps }: AttentionBlock): boolean {
  const index = new GraphIndex(graph);
  const masks = steps
    .filter(({ kind }) => kind === 'mask')
    .flatMap(({ node, input }) => node.inputs.filter((_, at) => at !== input));
  return ancestors(index, masks, () => true).some((found) =>
    typeof found === 'string' ? isTriangle(graph.initializers.get(found)) : ordersTokens(index, found),
  );
}

function ordersTokens(index: GraphIndex, node: Node): boolean {
  if (node.opType === 'Trilu') return true;
  if (node.opType === 'Constant') {
    const { value } = node.attributes;
    return value?.kind === 'tensor' && isTriangle(value.value);
  }
  if (!COMPARISONS.has(node.opType)) return false;
  const behind = ancestors(index, node.inputs, ({ opType }) => opType !== 'Abs');
  return behind.some((found) => typeof found !== 'string' && COUNTING.has(found.opType));
}

/** All nodes that values depend on, and names of what no node makes; nothing behind nodes that are not `followed`. */
function ancestors(index: GraphIndex, values: readonly string[], followed: (node: Node) => boolean): (Node | string)[] {
  const seen = new Set(values);
  const found: (Node | string)[] = [];
  for (const value of seen) {
    const node = index.producerOf(value);
    found.push(node ?? value);
    if (node !== undefined && followed(node)) for (const input of node.inputs) seen.add(input);
  }
  return found;
}

/** [..., n, n] with one number above the diagonal, and another one on it and below. */
function isTriangle(tensor: Tensor | undefined): boolean {
  const size = tensor?.shape.at(-1) ?? 0;
  if (tensor === undefined || size < 2 || tensor.shape.at(-2) !== size) return false;
  const { data } = tensor;
  const [seen, hidden] = [data[0], data[1]];
  if (seen === hidden) return false;
  return Array.prototype.every.call(data, (value, at) => {
    const [row, column] = [Math.floor(at / size) % size, at % size];
    return value === (column > row ? hidden : seen);
  });
}
