import { TandemError } from '../errors.js';
import { ONNX_TYPE } from './data-types.js';
import { inferNode } from './shapes.js';
import {
  type Attribute,
  type Attributes,
  constantOf,
  type DataType,
  type Dim,
  floatTensor,
  type Graph,
  int64Tensor,
  type Node,
  type Tensor,
  type TensorType,
  tensor,
  type ValueInfo,
} from './types.js';

export { ONNX_TYPE };

/** The operator-set version of everything Tandem writes. */
export const OPSET = 17;

/**
 * Builds a graph node by node, inferring types on the way. Values are names; every method that adds a node
 * returns the name of its (first) output. Start from an existing graph to rewrite it.
 */
export class GraphBuilder {
  name: string;
  readonly opsets: Record<string, number>;
  readonly inputs: ValueInfo[] = [];
  readonly outputs: ValueInfo[] = [];
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, Tensor>();
  readonly types = new Map<string, TensorType>();
  readonly metadata: Record<string, string> = {};
  readonly #taken = new Set<string>();
  /** Values that exist, of known type or not. */
  readonly #values = new Set<string>();
  readonly #counters = new Map<string, number>();

  constructor(name: string, from?: Graph) {
    this.name = name;
    this.opsets = from ? { ...from.opsets } : { '': OPSET };
    if (!from) return;
    this.inputs.push(...from.inputs);
    this.outputs.push(...from.outputs);
    this.nodes.push(...from.nodes);
    for (const [key, value] of from.initializers) this.initializers.set(key, value);
    for (const [key, value] of from.types) this.types.set(key, value);
    Object.assign(this.metadata, from.metadata);
    for (const name of [...from.inputs.map((input) => input.name), ...from.initializers.keys()]) this.#values.add(name);
    for (const node of from.nodes) {
      this.#taken.add(node.name);
      for (const output of node.outputs) this.#values.add(output);
    }
    for (const name of [...this.#values, ...this.types.keys()]) this.#taken.add(name);
  }

  /** A name not yet used for a value or node: the hint itself, or the hint with a number. */
  unique(hint: string): string {
    let name = hint;
    while (this.#taken.has(name)) {
      const count = (this.#counters.get(hint) ?? 0) + 1;
      this.#counters.set(hint, count);
      name = `${hint}_${count}`;
    }
    this.#taken.add(name);
    return name;
  }

  input(name: string, dtype: DataType, shape: readonly Dim[]): string {
    this.#claim(name);
    this.inputs.push({ name, dtype, shape });
    this.types.set(name, { dtype, shape });
    return name;
  }

  /** Declares a value as a graph output, under its own name. */
  output(value: string): string {
    this.outputs.push({ name: value, ...this.typeOf(value) });
    return value;
  }

  /** A weight or constant, under exactly this name. */
  initializer(name: string, value: Tensor): string {
    this.#claim(name);
    this.initializers.set(name, value);
    this.types.set(name, { dtype: value.dtype, shape: value.shape });
    return name;
  }

  /** A constant with a generated name. A number makes a float32 scalar. */
  constant(value: Tensor | number, hint = 'constant'): string {
    const data = typeof value === 'number' ? floatTensor([value], []) : value;
    const name = this.unique(hint);
    this.#values.add(name);
    this.initializers.set(name, data);
    this.types.set(name, { dtype: data.dtype, shape: data.shape });
    return name;
  }

  /** A one-dimensional int64 constant: axes, shapes, indices. */
  ints(values: readonly number[], hint = 'ints'): string {
    return this.constant(int64Tensor(values), hint);
  }

  /** A scalar of the given type. */
  scalar(dtype: DataType, value: number, hint = 'scalar'): string {
    const make: Partial<Record<DataType, () => Tensor>> = {
      float32: () => floatTensor([value], []),
      float64: () => tensor('float64', [], Float64Array.of(value)),
      int32: () => tensor('int32', [], Int32Array.of(value)),
      int64: () => tensor('int64', [], BigInt64Array.of(BigInt(value))),
      bool: () => tensor('bool', [], Uint8Array.of(value)),
    };
    const made = make[dtype]?.();
    if (!made) throw new TandemError('TANDEM_INTERNAL', `No scalar constants of type ${dtype}.`);
    return this.constant(made, hint);
  }

  /** Adds a node with one output; `hint` names it. */
  op(opType: string, inputs: readonly string[], attributes: Attributes = {}, hint?: string): string {
    return this.node(opType, inputs, 1, attributes, hint)[0]!;
  }

  /** Adds a node with several outputs. */
  node(
    opType: string,
    inputs: readonly string[],
    outputCount: number,
    attributes: Attributes = {},
    hint = opType.toLowerCase(),
    domain = '',
  ): string[] {
    const outputs = Array.from({ length: outputCount }, (_, i) => this.unique(i === 0 ? hint : `${hint}_out${i}`));
    this.append({ name: this.unique(`${outputs[0]}_node`), opType, domain, inputs, outputs, attributes });
    return outputs;
  }

  /** Adds a ready node; its outputs' types are inferred. */
  append(node: Node): void {
    for (const input of node.inputs) {
      if (input !== '' && !this.#values.has(input) && !this.types.has(input)) {
        throw new TandemError(
          'TANDEM_INTERNAL',
          `Node ${node.name} reads "${input}", which nothing produced before it.`,
        );
      }
    }
    const types = inferNode(
      node,
      node.inputs.map((input) => (input === '' ? undefined : this.types.get(input))),
      (input) => constantOf(this, input),
    );
    node.outputs.forEach((output, i) => {
      const type = types[i];
      if (output !== '' && type) this.types.set(output, type);
      this.#taken.add(output);
      this.#values.add(output);
    });
    this.#taken.add(node.name);
    this.nodes.push(node);
  }

  typeOf(value: string): TensorType {
    const type = this.types.get(value);
    if (!type) throw new TandemError('TANDEM_INTERNAL', `The type of value "${value}" is unknown.`);
    return type;
  }

  shapeOf(value: string): readonly Dim[] {
    const { shape } = this.typeOf(value);
    if (!shape) throw new TandemError('TANDEM_INTERNAL', `The rank of value "${value}" is unknown.`);
    return shape;
  }

  finish(): Graph {
    return {
      name: this.name,
      opsets: { ...this.opsets },
      inputs: [...this.inputs],
      outputs: [...this.outputs],
      nodes: [...this.nodes],
      initializers: new Map(this.initializers),
      types: new Map(this.types),
      metadata: { ...this.metadata },
    };
  }

  #claim(name: string): void {
    if (this.#taken.has(name)) throw new TandemError('TANDEM_INTERNAL', `The name "${name}" is already in use.`);
    this.#taken.add(name);
    this.#values.add(name);
  }

  // The operators used most, by name.
  add = (a: string, b: string, hint?: string) => this.op('Add', [a, b], {}, hint);
  sub = (a: string, b: string, hint?: string) => this.op('Sub', [a, b], {}, hint);
  mul = (a: string, b: string, hint?: string) => this.op('Mul', [a, b], {}, hint);
  div = (a: string, b: string, hint?: string) => this.op('Div', [a, b], {}, hint);
  matmul = (a: string, b: string, hint?: string) => this.op('MatMul', [a, b], {}, hint);
  reshape = (x: string, shape: readonly number[], hint?: string) => this.op('Reshape', [x, this.ints(shape)], {}, hint);
  transpose = (x: string, perm: readonly number[], hint?: string) =>
    this.op('Transpose', [x], { perm: { kind: 'ints', value: perm } satisfies Attribute }, hint);
  softmax = (x: string, axis: number, hint?: string) =>
    this.op('Softmax', [x], { axis: { kind: 'int', value: axis } }, hint);
  cast = (x: string, dtype: DataType, hint?: string) =>
    this.op('Cast', [x], { to: { kind: 'int', value: ONNX_TYPE[dtype] } }, hint);
}
