import type { Node, Tensor, TensorType } from './types.js';

/**
 * Types of a node's outputs, as far as its inputs' types and constant inputs determine them.
 * @param constant looks up the value of an input that is an initializer
 */
export function inferNode(
  _node: Node,
  _inputs: readonly (TensorType | undefined)[],
  _constant: (name: string) => Tensor | undefined,
): (TensorType | undefined)[] {
  return [];
}
