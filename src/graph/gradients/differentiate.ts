import { TandemError } from '../../errors.js';
import { type DataType, type Graph, type Node, tensor } from '../types.js';
import { GradientBuilder } from './builder.js';
import { GradientContext, type GradientEntry, type GradientRule, noGradient } from './rule.js';
import { gradientTable } from './table.js';

export interface DifferentiateOptions {
  /** The value to differentiate: one floating-point number (every dimension 1). */
  readonly loss: string;
  /** Values to differentiate with respect to: inputs, initializers or intermediate values, in floating point. */
  readonly wrt: readonly string[];
  /**
   * Rules that replace the operator's own for some nodes: by the node's name, by the name of one of its outputs, or by
   * a prefix of either ending in `*`. The first entry that fits a node takes it. 'zero' stops the gradient there.
   * An Identity node with a rule is a place to rewrite a passing gradient (to prune, clip or round it).
   * A rule for an operator with a whole-number or Boolean output receives a float32 gradient of that output.
   */
  readonly rules?: Readonly<Record<string, GradientRule | 'zero'>>;
  /** Further outputs: values of the graph, or those that `rules` make under these names (with `append`). */
  readonly outputs?: readonly string[];
  /** What the output with a value's gradient is called; default `grad:<value>`. */
  readonly gradientName?: (value: string) => string;
}

export const defaultGradientName = (value: string): string => `grad:${value}`;

/**
 * Reverse-mode differentiation as a rewrite: the same graph with one more output per value of `wrt`, ∂loss/∂value in
 * the value's shape and type. Only what lies between `wrt` and the loss is differentiated.
 * @throws TANDEM_NO_GRADIENT naming the node whose operator has no gradient, the value the loss does not depend on, or
 *   an output that nothing makes
 */
export function differentiate(graph: Graph, options: DifferentiateOptions): Graph {
  const { loss, wrt, outputs = [], gradientName = defaultGradientName } = options;
  const ruleOf = ruleLookup(options.rules ?? {});
  checkRequest(graph, loss, wrt);
  const reached = dependants(graph, wrt, ruleOf);
  const b = new GradientBuilder(graph, wrt);
  const pending = new Map<string, string[]>();
  const contribute = (value: string, gradient: string) => {
    const list = pending.get(value);
    if (list) list.push(gradient);
    else pending.set(value, [gradient]);
  };
  const gradientOf = (value: string): string | undefined => {
    const parts = pending.get(value);
    if (!parts) return undefined;
    if (parts.length === 1) return parts[0];
    const total = parts.length === 2 ? b.add(parts[0]!, parts[1]!) : b.op('Sum', parts);
    pending.set(value, [total]);
    return total;
  };

  if (reached.has(loss)) contribute(loss, ones(b, loss));
  for (const node of graph.nodes.toReversed()) {
    if (!node.inputs.some((input) => reached.has(input))) continue;
    const dys = node.outputs.map((output) => gradientOf(output));
    if (dys.every((dy) => dy === undefined)) continue;
    const rule = ruleOf(node);
    if (rule === 'zero') continue;
    if (rule === 'not-differentiable') throw noGradient(node, 'Tandem has no derivative of this operator');
    const makers = rule(new GradientContext(b, node, dys));
    node.inputs.forEach((input, i) => {
      const make = makers[i];
      if (!reached.has(input) || make === 'zero') return;
      if (!make) throw noGradient(node, `its input ${i} ("${input}") has no derivative`);
      contribute(input, typed(b, node, make(), input));
    });
  }
  for (const value of wrt) if (!pending.has(value)) throw unreachable(graph, loss, value, ruleOf);
  const gradients = new Map(wrt.map((value) => [gradientName(value), gradientOf(value)!]));
  return withGradients(b, graph, gradients, outputs);
}

type RuleLookup = (node: Node) => GradientEntry;

function ruleLookup(rules: Readonly<Record<string, GradientRule | 'zero'>>): RuleLookup {
  const patterns = Object.entries(rules);
  return (node) => {
    const names = [node.name, ...node.outputs];
    const fits = (pattern: string) =>
      pattern.endsWith('*') ? names.some((name) => name.startsWith(pattern.slice(0, -1))) : names.includes(pattern);
    const own = patterns.find(([pattern]) => fits(pattern))?.[1];
    if (own) return own;
    const table: Readonly<Record<string, GradientEntry>> = gradientTable;
    return (node.domain === '' ? table[node.opType] : undefined) ?? 'not-differentiable';
  };
}

const FLOATS: readonly (DataType | undefined)[] = ['float32', 'float64', 'float16'];

function checkRequest(graph: Graph, loss: string, wrt: readonly string[]): void {
  const type = graph.types.get(loss);
  const scalar = type && FLOATS.includes(type.dtype) && type.shape?.every((dim) => dim === 1);
  if (!scalar) {
    const found = type ? `${type.dtype} [${type.shape ?? '?'}]` : 'not in the graph';
    throw new TandemError(
      'TANDEM_NO_GRADIENT',
      `The loss "${loss}" must be one floating-point number; it is ${found}.`,
      {
        place: `value ${loss}`,
        remedy: 'Reduce it with ReduceMean or ReduceSum over every axis.',
      },
    );
  }
  for (const value of wrt) {
    const found = graph.types.get(value);
    if (found && FLOATS.includes(found.dtype)) continue;
    throw new TandemError(
      'TANDEM_NO_GRADIENT',
      `"${value}" is ${found?.dtype ?? 'not in the graph'}; it can have no gradient.`,
      {
        place: `value ${value}`,
        remedy: 'Name floating-point inputs, initializers or intermediate values.',
      },
    );
  }
  const opset = graph.opsets[''] ?? 0;
  if (opset < OLDEST_OPSET) {
    throw new TandemError(
      'TANDEM_NO_GRADIENT',
      `The graph uses operator set ${opset}; gradients need ${OLDEST_OPSET}.`,
      {
        place: `graph ${graph.name}`,
        remedy: `Convert the model to operator set ${OLDEST_OPSET} or newer.`,
      },
    );
  }
}

/** ScatterND and ScatterElements add since 16; LayerNormalization exists since 17, where it occurs. */
const OLDEST_OPSET = 16;

/**
 * Values that vary differentiably with those of `wrt`, themselves included. Whole-number and Boolean values do not,
 * unless a custom rule makes them.
 */
function dependants(graph: Graph, wrt: readonly string[], ruleOf: RuleLookup): Set<string> {
  const reached = new Set(wrt);
  for (const node of graph.nodes) {
    if (!node.inputs.some((input) => reached.has(input))) continue;
    const rule = ruleOf(node);
    if (rule === 'zero') continue;
    const custom = typeof rule === 'function' && rule !== gradientTable[node.opType as keyof typeof gradientTable];
    for (const output of node.outputs) {
      const dtype = graph.types.get(output)?.dtype;
      if (output !== '' && (custom || dtype === undefined || FLOATS.includes(dtype))) reached.add(output);
    }
  }
  return reached;
}

function ones(b: GradientBuilder, loss: string): string {
  const { dtype, shape } = b.typeOf(loss);
  if (dtype === 'float16') return b.cast(b.constant(1), 'float16');
  const data = dtype === 'float64' ? Float64Array.of(1) : Float32Array.of(1);
  return b.constant(tensor(dtype, shape as readonly number[], data));
}

/** A gradient has its value's shape: checked as far as inference knows both, then taken over. */
function typed(b: GradientBuilder, node: Node, gradient: string, value: string): string {
  const expected = b.types.get(value);
  const found = b.types.get(gradient);
  const clash =
    expected?.shape &&
    found?.shape &&
    (expected.shape.length !== found.shape.length ||
      expected.shape.some(
        (dim, i) => typeof dim === 'number' && typeof found.shape![i] === 'number' && dim !== found.shape![i],
      ));
  if (clash) {
    const [is, should] = [found.shape, expected.shape].map((shape) => `[${shape}]`);
    throw new TandemError(
      'TANDEM_INTERNAL',
      `The gradient rule of ${node.opType} made ${is} for "${value}" ${should}.`,
      {
        place: `node ${node.name}`,
      },
    );
  }
  if (expected && !b.initializers.has(gradient)) {
    const float = FLOATS.includes(expected.dtype);
    b.types.set(gradient, {
      dtype: found?.dtype ?? (float ? expected.dtype : 'float32'),
      shape: expected.shape ?? found?.shape,
    });
  }
  return gradient;
}

/** Why no gradient arrived at a value: an operator on the way is piecewise constant, or there is no way at all. */
function unreachable(graph: Graph, loss: string, value: string, ruleOf: RuleLookup): TandemError {
  const from = new Set([value]);
  for (const node of graph.nodes) {
    if (node.inputs.some((input) => from.has(input))) for (const output of node.outputs) from.add(output);
  }
  const towards = new Set([loss]);
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((output) => towards.has(output))) for (const input of node.inputs) towards.add(input);
  }
  const onTheWay = (node: Node) =>
    node.inputs.some((input) => from.has(input)) && node.outputs.some((output) => towards.has(output));
  const barrier = graph.nodes.find((node) => onTheWay(node) && ruleOf(node) === 'zero');
  if (barrier)
    return noGradient(
      barrier,
      `it is constant wherever its derivative exists, and "${value}" acts on "${loss}" only through such operators`,
    );
  return new TandemError('TANDEM_NO_GRADIENT', `The loss "${loss}" does not depend on "${value}".`, {
    place: `value ${value}`,
    remedy: 'Leave it out of the values to differentiate with respect to.',
  });
}

/** Adds the outputs. A node that makes a gradient gets the output's name; where it cannot, an Identity does. */
function withGradients(
  b: GradientBuilder,
  graph: Graph,
  gradients: ReadonlyMap<string, string>,
  further: readonly string[],
): Graph {
  for (const name of further) if (!b.types.has(name)) throw missing(name);
  const madeHere = new Set(b.nodes.slice(graph.nodes.length).flatMap(({ outputs }) => outputs));
  const renamed = new Map<string, string>();
  for (const [name, gradient] of gradients) {
    if (b.types.has(name)) {
      throw new TandemError('TANDEM_NO_GRADIENT', `The graph already has a value called "${name}".`, {
        place: `value ${name}`,
        remedy: 'Pass gradientName to name the new outputs.',
      });
    }
    if (madeHere.has(gradient) && !renamed.has(gradient) && !further.includes(gradient)) renamed.set(gradient, name);
    else
      b.append({
        name: b.unique(`${name}_node`),
        opType: 'Identity',
        domain: '',
        inputs: [gradient],
        outputs: [name],
        attributes: {},
      });
  }
  const current = (name: string) => renamed.get(name) ?? name;
  const nodes = [
    ...b.nodes.slice(0, graph.nodes.length),
    ...used(b.nodes.slice(graph.nodes.length), [...gradients.keys(), ...further], current),
  ];
  const types = new Map([...b.types].map(([name, type]) => [current(name), type]));
  const finished = b.finish();
  const present = new Set(finished.outputs.map(({ name }) => name));
  const names = [...gradients.keys(), ...further.filter((name) => !present.has(name))];
  const outputs = names.map((name) => ({ name, ...types.get(name)! }));
  return { ...finished, nodes, types, outputs: [...finished.outputs, ...outputs] };
}

const missing = (name: string): TandemError =>
  new TandemError('TANDEM_NO_GRADIENT', `Neither the graph nor a gradient rule makes the value "${name}".`, {
    place: `value ${name}`,
    remedy: 'Name values that the loss depends on through what is differentiated.',
  });

/** The nodes that lead to the outputs: gathering factors leaves some products unused. */
function used(nodes: readonly Node[], outputs: Iterable<string>, current: (name: string) => string): Node[] {
  const wanted = new Set(outputs);
  const kept = nodes.toReversed().flatMap((node) => {
    const renamed = { ...node, inputs: node.inputs.map(current), outputs: node.outputs.map(current) };
    if (!renamed.outputs.some((output) => wanted.has(output))) return [];
    for (const input of renamed.inputs) wanted.add(input);
    return [renamed];
  });
  return kept.reverse();
}
