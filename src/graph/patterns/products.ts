/** Walks between the products of an encoder with its weight matrices: projections, dense layers, classifier. */
import { GraphIndex } from '../edit.js';
import type { Graph, Node } from '../types.js';
import { ConstantFinder } from './constants.js';

/** Operators that keep every element, with the data as their first input. */
const LAYOUT: ReadonlySet<string> = new Set(['Cast', 'Identity', 'Dropout', 'Reshape', 'Squeeze', 'Unsqueeze']);
/** The same, and whatever else stands beside it. */
const GATHERING: ReadonlySet<string> = new Set(['Transpose', 'Concat']);
/** Operators that look at a value's shape only. */
const SHAPE_ONLY: ReadonlySet<string> = new Set(['Shape', 'Size']);

/** An initializer [inputs, outputs]; [outputs, inputs] where `transposed`. */
export interface ProductWeight {
  readonly weight: string;
  readonly transposed: boolean;
}

export interface Place {
  readonly value: string;
  /** Axis of the tokens. */
  readonly tokens: number;
  /** Product of the fixed factors between here and where the walk began. */
  readonly scale: number;
}

/** Walks between the products of a graph. */
export class ProductWalk {
  readonly index: GraphIndex;
  readonly constants: ConstantFinder;

  constructor(readonly graph: Graph) {
    this.index = new GraphIndex(graph);
    this.constants = new ConstantFinder(graph, this.index);
  }

  /** Of an activation with a fixed matrix. */
  isProduct({ opType, domain, inputs }: Node): boolean {
    if (domain !== '' || (opType !== 'MatMul' && opType !== 'Gemm')) return false;
    return !this.constants.isFixed(inputs[0]!) && this.constants.isFixed(inputs[1]!);
  }

  /** The initializer behind a product's right operand. */
  weightOf({ opType, inputs, attributes }: Node): ProductWeight | undefined {
    let transposed = opType === 'Gemm' && attributes.transB?.kind === 'int' && attributes.transB.value === 1;
    let weight = inputs[1]!;
    for (;;) {
      const found = this.graph.initializers.get(weight);
      if (found) return found.dtype === 'float32' && found.shape.length === 2 ? { weight, transposed } : undefined;
      const node = this.index.producerOf(weight);
      if (node?.opType !== 'Transpose' && node?.opType !== 'Identity') return undefined;
      if (node.opType === 'Transpose') transposed = !transposed;
      weight = node.inputs[0]!;
    }
  }

  /** Nodes that compute with a value. */
  readers(value: string): Node[] {
    return this.index.consumersOf(value).filter(({ opType }) => !SHAPE_ONLY.has(opType));
  }

  /** What a product with bias gives: where a fixed value is added and nothing else reads the product, the sum. */
  withBias(product: Node): string {
    const value = product.outputs[0]!;
    const [next, other] = this.readers(value);
    const isBias =
      !other && next?.opType === 'Add' && next.inputs.some((input) => input !== value && this.constants.isFixed(input));
    return isBias ? next.outputs[0]! : value;
  }

  /** From an operand of an attention product back to what its projection gave, as far as nothing else reads it. */
  behind(operand: string, axis: number): Place {
    let place: Place = { value: operand, tokens: axis, scale: 1 };
    for (;;) {
      const before = this.#before(place);
      if (!before || this.readers(before.value).length > 1) return place;
      place = before;
    }
  }

  #before({ value, tokens, scale }: Place): Place | undefined {
    const node = this.index.producerOf(value);
    if (node?.domain !== '') return undefined;
    const source = node.inputs[0]!;
    const { perm } = node.attributes;
    if (node.opType === 'Transpose' && perm?.kind === 'ints')
      return { value: source, tokens: perm.value[tokens]!, scale };
    if (node.opType === 'Identity') return { value: source, tokens, scale };
    // [batch, tokens, width] split into heads.
    const splits = node.opType === 'Reshape' && tokens === 1 && this.#rank(source) === 3 && this.#rank(value) === 4;
    if (splits) return { value: source, tokens: 1, scale };
    // Keys that a fixed matrix weights for every head: W·kᵀ.
    const weighted = node.opType === 'MatMul' && this.constants.isFixed(source) && tokens === 3;
    if (weighted) return { value: node.inputs[1]!, tokens, scale };
    const scaled = this.constants.scaling(node);
    return scaled && { value: node.inputs[scaled.input]!, tokens, scale: scale * scaled.factor };
  }

  #rank(value: string): number | undefined {
    return this.graph.types.get(value)?.shape?.length;
  }

  rows(value: string): boolean {
    return this.#rank(value) === 3;
  }

  vector(value: string): boolean {
    return this.#rank(value) === 2;
  }

  /** The product that gave a value, with or without bias. */
  productBehind(value: string): Node | undefined {
    const node = this.index.producerOf(value);
    if (!node || this.isProduct(node)) return node;
    if (node.opType !== 'Add') return undefined;
    return node.inputs.map((input) => this.index.producerOf(input)).find((found) => found && this.isProduct(found));
  }

  /** Whether a value is another one in a different layout. */
  comesFrom(value: string, source: string): boolean {
    if (value === source) return true;
    const node = this.index.producerOf(value);
    const passes = node && (node.opType === 'Transpose' || LAYOUT.has(node.opType));
    return passes ? this.comesFrom(node.inputs[0]!, source) : false;
  }

  /** The products nearest behind a value, in the order of its operands. */
  productsBehind(value: string): Node[] {
    const node = this.index.producerOf(value);
    if (!node || this.constants.isFixed(value)) return [];
    return this.isProduct(node) ? [node] : [...new Set(node.inputs.flatMap((input) => this.productsBehind(input)))];
  }

  /** The product with a matrix that reads a value through nothing but layout. */
  projectionOf(value: string): Node | undefined {
    for (const node of this.readers(value)) {
      if (this.isProduct(node)) return node;
      const passes = GATHERING.has(node.opType) || (LAYOUT.has(node.opType) && node.inputs[0] === value);
      const found = passes ? this.projectionOf(node.outputs[0]!) : undefined;
      if (found) return found;
    }
    return undefined;
  }

  /**
   * The first product with a matrix that depends on a value. All others between it and the end of its layer depend on it,
   * so that it is the first in topological order.
   */
  nextProduct(value: string): Node | undefined {
    const reached = new Set([value]);
    for (const node of this.graph.nodes) {
      if (!node.inputs.some((input) => reached.has(input)) || SHAPE_ONLY.has(node.opType)) continue;
      if (this.isProduct(node)) return node;
      for (const output of node.outputs) reached.add(output);
    }
    return undefined;
  }

  /** What becomes of a value alone (its activation function): it enters another product, or joins other values. */
  end(value: string): Node | undefined {
    const derived = new Set([value]);
    for (const node of this.graph.nodes) {
      if (!node.inputs.some((input) => derived.has(input)) || SHAPE_ONLY.has(node.opType)) continue;
      const alone = node.inputs.every((input) => derived.has(input) || this.constants.isFixed(input));
      if (!alone || this.isProduct(node)) return node;
      for (const output of node.outputs) derived.add(output);
    }
    return undefined;
  }
}
