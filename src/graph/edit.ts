/** Pure steps that rewrites are made of: each takes a graph and gives a new one. */
import { TandemError } from '../errors.js';
import { readsOf } from './check.js';
import { type Graph, type Node, sizeOf, type Tensor, type TensorType, type ValueInfo } from './types.js';

/**
 * Who produces and who reads each value, for walking a graph.
 */
export class GraphIndex {
  readonly #producers = new Map<string, Node>();
  readonly #consumers = new Map<string, Node[]>();

  constructor(readonly graph: Graph) {
    for (const node of graph.nodes) {
      for (const output of node.outputs) if (output !== '') this.#producers.set(output, node);
      for (const name of new Set(readsOf(node))) {
        const consumers = this.#consumers.get(name);
        if (consumers) consumers.push(node);
        else this.#consumers.set(name, [node]);
      }
    }
  }

  /** The node that makes a value; undefined for inputs and initializers. */
  producerOf(value: string): Node | undefined {
    return this.#producers.get(value);
  }

  /** The nodes that read a value, in order, each once; reading from inside a subgraph counts. */
  consumersOf(value: string): readonly Node[] {
    return this.#consumers.get(value) ?? [];
  }
}

/** Turns weights into inputs of the same name, after the present ones, so that a trainer can feed them. */
export function inputsFromInitializers(graph: Graph, names: readonly string[]): Graph {
  const initializers = new Map(graph.initializers);
  const inputs = graph.inputs.filter(({ name }) => !names.includes(name));
  for (const name of names) {
    const value = initializers.get(name) ?? unknown(name, 'initializer', [...graph.initializers.keys()]);
    inputs.push({ name, dtype: value.dtype, shape: value.shape });
    initializers.delete(name);
  }
  return { ...graph, inputs, initializers };
}

/** Turns inputs into weights that hold these values. Their shapes must be those declared. */
export function initializersFromInputs(graph: Graph, values: ReadonlyMap<string, Tensor>): Graph {
  return withFixedDefaults(withDefaults(graph, values), [...values.keys()]);
}

/** Gives inputs values to take where they are not fed. Their shapes must be those declared. */
export function withDefaults(graph: Graph, values: ReadonlyMap<string, Tensor>): Graph {
  const initializers = new Map(graph.initializers);
  const declared = new Map(graph.inputs.map((input) => [input.name, input]));
  for (const [name, value] of values) {
    const input = declared.get(name) ?? unknown(name, 'input', [...declared.keys()]);
    requireFit(input, value);
    initializers.set(name, value);
  }
  return { ...graph, initializers };
}

/** Turns inputs that have a default into weights that hold it; by default all such inputs. */
export function withFixedDefaults(graph: Graph, names: readonly string[] = [...graph.initializers.keys()]): Graph {
  const fixed = new Set(names.filter((name) => graph.initializers.has(name)));
  const types = new Map(graph.types);
  for (const name of fixed) {
    const { dtype, shape } = graph.initializers.get(name)!;
    types.set(name, { dtype, shape });
  }
  return { ...graph, inputs: graph.inputs.filter(({ name }) => !fixed.has(name)), types };
}

function requireFit({ name, dtype, shape }: ValueInfo, value: Tensor): void {
  const fits =
    dtype === value.dtype &&
    (shape === undefined ||
      (shape.length === value.shape.length &&
        shape.every((dim, i) => typeof dim === 'string' || dim === value.shape[i])));
  if (fits) return;
  throw new TandemError(
    'TANDEM_SHAPE_MISMATCH',
    `The input "${name}" is ${dtype} [${shape?.join(', ') ?? '?'}]; its value is ${value.dtype} [${value.shape.join(', ')}].`,
    { place: `input "${name}"` },
  );
}

/** Makes exactly these values the graph's outputs, in this order; any value can be one. Repeated names count once. */
export function withOutputs(graph: Graph, names: readonly string[]): Graph {
  const declared = new Map<string, TensorType>([
    ...graph.types,
    ...graph.outputs.map((output) => [output.name, output] as const),
  ]);
  const outputs = [...new Set(names)].map((name): ValueInfo => {
    const { dtype, shape } = declared.get(name) ?? unknown(name, 'value of known type', [...declared.keys()]);
    return { name, dtype, shape };
  });
  return { ...graph, outputs };
}

/** Drops the nodes and weights on which no output depends. Inputs stay, with their defaults: a caller may feed them. */
export function pruneUnused(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    nodes.push(node);
    for (const name of readsOf(node)) needed.add(name);
  }
  nodes.reverse();
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const alive = new Set([...needed, ...inputs, ...nodes.flatMap(({ outputs }) => outputs)]);
  return {
    ...graph,
    nodes,
    initializers: new Map([...graph.initializers].filter(([name]) => needed.has(name) || inputs.has(name))),
    types: new Map([...graph.types].filter(([name]) => alive.has(name))),
  };
}

/** Lets every node that reads `from` (or those that `where` picks) read `to` instead. Outputs of the graph stay. */
export function replaceInput(
  graph: Graph,
  from: string,
  to: string,
  where: (node: Node) => boolean = () => true,
): Graph {
  const rename = (name: string) => (name === from ? to : name);
  return { ...graph, nodes: graph.nodes.map((node) => (where(node) ? renameReads(node, rename) : node)) };
}

/** Renames values everywhere: inputs, outputs, weights, nodes. A new name must not be in use. */
export function renameValues(graph: Graph, names: Readonly<Record<string, string>>): Graph {
  const rename = (name: string) => (Object.hasOwn(names, name) ? names[name]! : name);
  const renameKeys = <T>(map: ReadonlyMap<string, T>) => new Map([...map].map(([key, value]) => [rename(key), value]));
  const used = new Set([...graph.types.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)]);
  for (const [from, to] of Object.entries(names)) {
    if (used.has(to) && !Object.hasOwn(names, to)) {
      throw new TandemError('TANDEM_INTERNAL', `"${from}" cannot be renamed to "${to}": the name is in use.`);
    }
  }
  const renameInfo = (info: ValueInfo): ValueInfo => ({ ...info, name: rename(info.name) });
  return {
    ...graph,
    inputs: graph.inputs.map(renameInfo),
    outputs: graph.outputs.map(renameInfo),
    nodes: graph.nodes.map((node) => ({ ...renameReads(node, rename), outputs: node.outputs.map(rename) })),
    initializers: renameKeys(graph.initializers),
    types: renameKeys(graph.types),
  };
}

/** Renames what a node reads, inside its subgraphs too as far as they do not define the name themselves. */
function renameReads(node: Node, rename: (name: string) => string): Node {
  const attributes = Object.entries(node.attributes).map(([key, attribute]) =>
    attribute.kind === 'graph'
      ? ([key, { kind: 'graph', value: renameCaptures(attribute.value, rename) }] as const)
      : ([key, attribute] as const),
  );
  return { ...node, inputs: node.inputs.map(rename), attributes: Object.fromEntries(attributes) };
}

function renameCaptures(graph: Graph, rename: (name: string) => string): Graph {
  const defined = new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const outer = (name: string) => (defined.has(name) ? name : rename(name));
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameReads(node, outer)),
    outputs: graph.outputs.map((output) => ({ ...output, name: outer(output.name) })),
  };
}

/** Number of weights: elements of the floating-point initializers, scalar constants left out. */
export function parameterCount(graph: Graph): number {
  let count = 0;
  for (const { dtype, shape } of graph.initializers.values()) {
    if (dtype.startsWith('float') && shape.length > 0) count += sizeOf(shape);
  }
  return count;
}

function unknown(name: string, kind: string, known: readonly string[]): never {
  throw new TandemError('TANDEM_INTERNAL', `The graph has no ${kind} "${name}".`, {
    remedy: `There are: ${known.slice(0, 20).join(', ')}${known.length > 20 ? ', …' : ''}.`,
  });
}
