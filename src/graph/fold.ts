import { constantValue } from './shapes/constants.js';
import type { Graph, Node, Tensor, TensorType } from './types.js';

/** Turns Constant nodes into initializers of the same name. Those whose value is of an unread kind stay. */
export function foldConstants(graph: Graph): Graph {
  const initializers = new Map<string, Tensor>(graph.initializers);
  const types = new Map<string, TensorType>(graph.types);
  const nodes = graph.nodes.filter((node: Node) => {
    const value = node.opType === 'Constant' && node.domain === '' ? constantValue(node.attributes) : undefined;
    const name = node.outputs[0];
    if (!value || !name) return true;
    initializers.set(name, value);
    types.set(name, { dtype: value.dtype, shape: value.shape });
    return false;
  });
  return { ...graph, nodes, initializers, types };
}
