/**
 * The matrices of an encoder whose zeros techniques make or count: found from its attention layers on, whatever the
 * exporter called them.
 *
 * DynaTran (AccelTran, 2022; TransCODE, 2023) prunes queries, keys and values after their projection, raw scores before
 * scale and mask, probabilities, context, the attention's output, what lies in and behind the feed-forward part, and the
 * pooler's output.
 */
import { GraphIndex } from '../graph/edit.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import { ConstantFinder } from '../graph/patterns/constants.js';
import type { Graph, Node } from '../graph/types.js';
import { ACTIVATIONS, feedForwardHidden, feedForwardWeight, POOLER, WEIGHTS } from '../trace/matrices.js';

/**
 * How a value holds the matrix of each sequence:
 * - rows: axis `tokens` are the rows, all others but the batch the columns: [batch, tokens, width], [batch, heads, tokens, dim] …
 * - scores: [batch, heads, queries, keys], heads below each other
 * - vector: [batch, width], one row
 */
export type MatrixLayout =
  | { readonly kind: 'rows'; readonly tokens: number }
  | { readonly kind: 'scores' }
  | { readonly kind: 'vector' };

export interface MatrixPoint {
  readonly layer: number;
  /** Name in traces. */
  readonly matrix: string;
  readonly value: string;
  readonly layout: MatrixLayout;
  /** The value is this multiple of the matrix that is meant: raw scores of queries that were scaled before the product. */
  readonly scale: number;
  /** Whether DynaTran prunes it; false for what norms give, which is only recorded. */
  readonly pruned: boolean;
}

/** A weight matrix of a layer. */
export interface WeightPoint {
  readonly layer: number;
  readonly matrix: string;
  /** Initializer [inputs, outputs]; [outputs, inputs] where `transposed`. */
  readonly weight: string;
  readonly transposed: boolean;
}

export interface PruningPoints {
  readonly matrices: readonly MatrixPoint[];
  readonly weights: readonly WeightPoint[];
  readonly headsPerLayer: readonly number[];
}

/** In order of layer, within one in the order of computation. */
export function findPruningPoints(graph: Graph, blocks: readonly AttentionBlock[]): PruningPoints {
  const finder = new PointFinder(graph);
  for (const [layer, block] of blocks.entries()) finder.addLayer(block, layer);
  finder.addPooler();
  return { matrices: finder.matrices, weights: finder.weights, headsPerLayer: blocks.map(({ heads }) => heads!) };
}

/** Weights of all products of activations with a matrix that is fixed: projections, dense layers, classifier. */
export function productWeights(graph: Graph): string[] {
  const walk = new ProductWalk(graph);
  const weights = graph.nodes.map((node) => walk.isProduct(node) && walk.weightOf(node)?.weight);
  return [...new Set(weights.filter((weight) => typeof weight === 'string'))];
}

/** Operators that keep every element, with the data as their first input. */
const LAYOUT: ReadonlySet<string> = new Set(['Cast', 'Identity', 'Dropout', 'Reshape', 'Squeeze', 'Unsqueeze']);
/** Operators that look at a value's shape only. */
const SHAPE_ONLY: ReadonlySet<string> = new Set(['Shape', 'Size']);

interface Place {
  readonly value: string;
  /** Axis of the tokens. */
  readonly tokens: number;
  /** Product of the fixed factors between here and where the walk began. */
  readonly scale: number;
}

/** Walks between the products of a graph. */
class ProductWalk {
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
  weightOf({ opType, inputs, attributes }: Node): Pick<WeightPoint, 'weight' | 'transposed'> | undefined {
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

  /** The product with a matrix that reads a value through nothing but layout. */
  projectionOf(value: string): Node | undefined {
    for (const node of this.readers(value)) {
      if (this.isProduct(node)) return node;
      const passes = node.opType === 'Transpose' || (LAYOUT.has(node.opType) && node.inputs[0] === value);
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

class PointFinder extends ProductWalk {
  readonly matrices: MatrixPoint[] = [];
  readonly weights: WeightPoint[] = [];
  /** The last value that was found, and its layer. */
  #last: { value: string; layer: number } | undefined;

  addLayer(block: AttentionBlock, layer: number): void {
    const { key: keys, keyLayout } = block;
    const query = this.behind(block.query, 2);
    const key = this.behind(keys, keyLayout === 'tokens-dim' ? 2 : 3);
    const value = this.behind(block.value, 2);
    const source = this.productBehind(query.value)?.inputs[0];
    if (source !== undefined && this.rows(source)) this.#rows(layer, ACTIVATIONS.input, source, { pruned: false });
    const operands = { query, key, value };
    for (const name of ['query', 'key', 'value'] as const) {
      const place = operands[name];
      this.#rows(layer, ACTIVATIONS[name], place.value, { tokens: place.tokens });
      this.#weight(layer, WEIGHTS[name], this.productBehind(place.value));
    }
    const scale = query.scale * key.scale;
    const scores = { layer, layout: { kind: 'scores' }, pruned: true } as const;
    this.matrices.push(
      { ...scores, matrix: ACTIVATIONS.scores, value: block.rawScores, scale },
      { ...scores, matrix: ACTIVATIONS.probabilities, value: block.probabilities, scale: 1 },
    );
    this.#rows(layer, ACTIVATIONS.context, block.context, { tokens: 2 });
    const projection = this.projectionOf(block.context);
    this.#last = { value: block.context, layer };
    if (!projection || !this.rows(projection.outputs[0]!)) return;
    this.#weight(layer, WEIGHTS.attention, projection);
    const output = this.withBias(projection);
    this.#rows(layer, ACTIVATIONS.attentionOutput, output);
    this.#last = { value: output, layer };
    this.#addFeedForward(output, layer);
  }

  /** Products with something between them, until the last one's result joins the residual. */
  #addFeedForward(attention: string, layer: number): void {
    const first = this.nextProduct(attention);
    if (!first) return;
    const hidden: string[] = [];
    const products = [first];
    let output = this.withBias(first);
    let end = this.end(output);
    while (end && this.isProduct(end)) {
      hidden.push(end.inputs[0]!);
      products.push(end);
      output = this.withBias(end);
      end = this.end(output);
    }
    const isFeedForward = end?.opType === 'Add' && hidden.length > 0 && [...hidden, output].every((v) => this.rows(v));
    if (!isFeedForward) return;
    this.#rows(layer, ACTIVATIONS.feedForwardInput, first.inputs[0]!, { pruned: false });
    for (const [stack, value] of hidden.entries()) this.#rows(layer, feedForwardHidden(stack), value);
    for (const [number, product] of products.entries()) this.#weight(layer, feedForwardWeight(number), product);
    this.#rows(layer, ACTIVATIONS.feedForwardOutput, output);
    this.#last = { value: output, layer };
  }

  /** One product behind the last layer whose result, activated, is what the classifier reads. */
  addPooler(): void {
    if (!this.#last) return;
    const { layer } = this.#last;
    const dense = this.nextProduct(this.#last.value);
    const classifier = dense && this.end(this.withBias(dense));
    const value = classifier && this.isProduct(classifier) ? classifier.inputs[0]! : undefined;
    if (value === undefined || !this.vector(value)) return;
    this.matrices.push({ layer, matrix: POOLER, value, layout: { kind: 'vector' }, scale: 1, pruned: true });
  }

  #rows(layer: number, matrix: string, value: string, { pruned = true, tokens = 1 } = {}): void {
    this.matrices.push({ layer, matrix, value, layout: { kind: 'rows', tokens }, scale: 1, pruned });
  }

  #weight(layer: number, matrix: string, product: Node | undefined): void {
    const found = product && this.weightOf(product);
    if (found) this.weights.push({ layer, matrix, ...found });
  }
}
