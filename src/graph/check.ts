import { TandemError } from '../errors.js';
import type { Graph, Node } from './types.js';

/** Names that a node reads: its inputs, and what the subgraphs in its attributes take from around them. */
export function readsOf(node: Node): string[] {
  const reads = node.inputs.filter((name) => name !== '');
  for (const attribute of Object.values(node.attributes)) {
    if (attribute.kind === 'graph') reads.push(...capturesOf(attribute.value));
  }
  return reads;
}

/** Names that a subgraph reads without defining them. */
export function capturesOf(graph: Graph): Set<string> {
  const defined = new Set<string>([...graph.inputs.map(({ name }) => name), ...graph.initializers.keys()]);
  for (const node of graph.nodes) for (const output of node.outputs) defined.add(output);
  const read = [...graph.nodes.flatMap(readsOf), ...graph.outputs.map(({ name }) => name)];
  return new Set(read.filter((name) => !defined.has(name)));
}

/**
 * Requires every value to have one name and one producer, and everything read to be produced somewhere. An initializer
 * with the name of an input is its default.
 * @returns the graph itself
 * @throws TANDEM_MODEL_INVALID naming the value and the node
 */
export function validateGraph(graph: Graph): Graph {
  const producers = new Map<string, string>();
  const define = (name: string, by: string) => {
    const before = producers.get(name);
    if (before !== undefined) {
      fail(
        `The value "${name}" is produced twice, by ${before} and by ${by}.`,
        `value "${name}"`,
        'Rename one of the two.',
      );
    }
    producers.set(name, by);
  };
  for (const { name } of graph.inputs) define(name, 'the inputs');
  const inputs = new Set(producers.keys());
  for (const name of graph.initializers.keys()) if (!inputs.has(name)) define(name, 'the initializers');
  for (const node of graph.nodes) {
    for (const output of node.outputs) if (output !== '') define(output, `node "${node.name}"`);
  }
  const missing = 'The model is incomplete: export it again.';
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) {
      if (!producers.has(name)) fail(`Nothing produces "${name}".`, `node "${node.name}" (${node.opType})`, missing);
    }
  }
  for (const { name } of graph.outputs) {
    if (!producers.has(name)) fail(`Nothing produces the output "${name}".`, `output "${name}"`, missing);
  }
  return graph;
}

/**
 * The nodes in topological order: each after the nodes it reads from, otherwise as they stood.
 * @throws TANDEM_MODEL_INVALID when the graph has a cycle, naming a node of it
 */
export function sortNodes(graph: Graph): Graph {
  const producer = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const state = new Map<Node, 'open' | 'done'>();
  const sorted: Node[] = [];
  for (const start of graph.nodes) {
    // Depth first without recursion: a model can be thousands of nodes deep.
    const path: { node: Node; pending: Node[] }[] = [];
    const enter = (node: Node) => {
      if (state.get(node) === 'done') return;
      if (state.get(node) === 'open') {
        fail(
          'The graph has a cycle.',
          `node "${node.name}" (${node.opType})`,
          'Loops are written with the Loop operator.',
        );
      }
      state.set(node, 'open');
      path.push({
        node,
        pending: readsOf(node)
          .flatMap((name) => producer.get(name) ?? [])
          .reverse(),
      });
    };
    enter(start);
    while (path.length > 0) {
      const { node, pending } = path.at(-1)!;
      const next = pending.pop();
      if (next) {
        enter(next);
      } else {
        state.set(node, 'done');
        sorted.push(node);
        path.pop();
      }
    }
  }
  return { ...graph, nodes: sorted };
}

/**
 * Requires every floating-point weight to be finite.
 * @throws TANDEM_WEIGHTS_NOT_FINITE naming the tensor and the index of the first bad element
 */
export function checkFinite(graph: Graph): void {
  for (const [name, { dtype, shape, data }] of graph.initializers) {
    // float16 comes as bits: an exponent of all ones is an infinity or NaN.
    const bad =
      dtype === 'float16'
        ? (data as Uint16Array).findIndex((bits) => (bits & 0x7c00) === 0x7c00)
        : dtype === 'float32' || dtype === 'float64'
          ? firstNotFinite(data as Float32Array | Float64Array)
          : -1;
    if (bad < 0) continue;
    const value = dtype === 'float16' ? 'not finite' : String(data[bad]);
    throw new TandemError('TANDEM_WEIGHTS_NOT_FINITE', `Element ${bad} of "${name}" is ${value}.`, {
      place: `tensor "${name}" [${shape.join(', ')}], index ${bad}`,
      remedy: 'The weights are damaged, or training diverged: train with a lower learning rate or download them again.',
    });
  }
}

/** A plain loop: models have hundreds of millions of weights. */
function firstNotFinite(data: Float32Array | Float64Array): number {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return i;
  return -1;
}

function fail(message: string, place: string, remedy: string): never {
  throw new TandemError('TANDEM_MODEL_INVALID', message, { place, remedy });
}
