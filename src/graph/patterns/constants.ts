import type { GraphIndex } from '../edit.js';
import { constantValue } from '../shapes/constants.js';
import type { Graph, Node, Tensor } from '../types.js';

/** Finds out which values of a graph are fixed, and the number that a fixed scalar holds. */
export class ConstantFinder {
  readonly #fixed = new Map<string, boolean>();

  constructor(
    readonly graph: Graph,
    readonly index: GraphIndex,
  ) {}

  /** Whether a value depends on weights and constants only. */
  isFixed(value: string): boolean {
    if (value === '' || this.graph.initializers.has(value)) return true;
    const known = this.#fixed.get(value);
    if (known !== undefined) return known;
    const node = this.index.producerOf(value);
    // A graph input has no producer; random operators have no inputs but are not fixed.
    const fixed =
      node !== undefined &&
      (node.opType === 'Constant' || (node.inputs.length > 0 && node.inputs.every((name) => this.isFixed(name))));
    this.#fixed.set(value, fixed);
    return fixed;
  }

  /** The single number that a value always holds, also where exporters compute it from a shape (1/√headDim). */
  number(value: string): number | undefined {
    const tensor = this.graph.initializers.get(value);
    if (tensor) return only(tensor);
    const contents = this.graph.types.get(value)?.contents;
    if (contents) return contents.length === 1 && typeof contents[0] === 'number' ? contents[0] : undefined;
    const node = this.index.producerOf(value);
    return node?.domain === '' ? this.#computed(node) : undefined;
  }

  /** What a node multiplies its input `input` by, where that is a product with, or quotient by, a fixed number. */
  scaling({ opType, inputs }: Node): { input: number; factor: number } | undefined {
    if (opType !== 'Mul' && opType !== 'Div') return undefined;
    const right = this.number(inputs[1]!);
    if (right !== undefined) return { input: 0, factor: opType === 'Mul' ? right : 1 / right };
    const left = opType === 'Mul' ? this.number(inputs[0]!) : undefined;
    return left === undefined ? undefined : { input: 1, factor: left };
  }

  #computed(node: Node): number | undefined {
    if (node.opType === 'Constant') return only(constantValue(node.attributes));
    const compute = SCALAR[node.opType];
    if (!compute) return undefined;
    const [a, b] = [this.number(node.inputs[0]!), compute.length > 1 ? this.number(node.inputs[1]!) : 0];
    return a === undefined || b === undefined ? undefined : compute(a, b);
  }
}

const SCALAR: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Sqrt: (a) => Math.sqrt(a),
  Reciprocal: (a) => 1 / a,
  Cast: (a) => a,
  Identity: (a) => a,
  Squeeze: (a) => a,
  Unsqueeze: (a) => a,
  Reshape: (a) => a,
};

const only = (tensor: Tensor | undefined): number | undefined =>
  tensor?.data.length === 1 && tensor.dtype !== 'string' && tensor.dtype !== 'float16'
    ? Number(tensor.data[0])
    : undefined;
