/** Finds out which tokens a classifier reads. */
import { GraphIndex } from '../graph/edit.js';
import { ConstantFinder } from '../graph/patterns/constants.js';
import type { Graph, Node } from '../graph/types.js';
import type { PruningPoints } from './pruning-points.js';

/** Whether something behind the last attention picks the first token's row of [batch, tokens, width]. */
export function readsFirstToken(graph: Graph, { blocksPerLayer }: PruningPoints): boolean {
  const constants = new ConstantFinder(graph, new GraphIndex(graph));
  const rank = (value: string) => graph.types.get(value)?.shape?.length;
  const is = (value: string | undefined, number: number) =>
    value !== undefined && value !== '' && constants.number(value) === number;
  const picksFirst = ({ opType, inputs, attributes: { axis } }: Node): boolean => {
    if (rank(inputs[0]!) !== 3) return false;
    if (opType === 'Gather') return axis?.kind === 'int' && axis.value === 1 && is(inputs[1], 0);
    return opType === 'Slice' && is(inputs[1], 0) && is(inputs[2], 1) && is(inputs[3], 1);
  };
  const reached = new Set([blocksPerLayer.flat().at(-1)!.context]);
  for (const node of graph.nodes) {
    if (!node.inputs.some((input) => reached.has(input))) continue;
    if (reached.has(node.inputs[0]!) && picksFirst(node)) return true;
    for (const output of node.outputs) reached.add(output);
  }
  return false;
}
