import { isKnownOperator } from './operators.js';
import { ShapeContext } from './shapes/context.js';
import { SHAPE_RULES } from './shapes/rules.js';
import { constantOf, type Graph, type Node, type Tensor, type TensorType } from './types.js';

/**
 * Types of a node's outputs, as far as its inputs' types and constant inputs determine them. Operators outside
 * `OPERATORS` have unknown types, so that foreign models load.
 * @param constant looks up the value of an input that is an initializer
 * @throws TANDEM_SHAPE_MISMATCH when the inputs' shapes do not fit together, naming the node
 */
export function inferNode(
  node: Node,
  inputs: readonly (TensorType | undefined)[],
  constant: (name: string) => Tensor | undefined,
): (TensorType | undefined)[] {
  if (!isKnownOperator(node.opType, node.domain)) return node.outputs.map(() => undefined);
  const types = SHAPE_RULES[node.opType](new ShapeContext(node, inputs, constant));
  return node.outputs.map((_, i) => types[i]);
}

/**
 * Infers the types of all values of a graph whose nodes are in topological order. Types that the graph already
 * declares fill in where inference has nothing to say.
 * @throws TANDEM_SHAPE_MISMATCH
 */
export function inferTypes(graph: Graph): Graph {
  const types = new Map(graph.types);
  for (const [name, { dtype, shape }] of graph.initializers) types.set(name, { dtype, shape });
  for (const { name, dtype, shape } of graph.inputs) types.set(name, { dtype, shape });
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : types.get(name)));
    inferNode(node, inputs, (name) => constantOf(graph, name)).forEach((type, i) => {
      const name = node.outputs[i]!;
      if (name !== '' && type) types.set(name, type.shape ? type : (types.get(name) ?? type));
    });
  }
  return { ...graph, types };
}
