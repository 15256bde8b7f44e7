/**
 * The matrices of an encoder whose zeros techniques make or count: found from its attention layers on, whatever the
 * exporter called them.
 *
 * DynaTran (AccelTran, 2022; TransCODE, 2023) prunes queries, keys and values after their projection, raw scores before
 * scale and mask, probabilities, context, the attention's output, what lies in and behind the feed-forward part, and the
 * pooler's output.
 */
import type { AttentionBlock } from '../graph/patterns/attention.js';
import { ProductWalk, type ProductWeight } from '../graph/patterns/products.js';
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
export interface WeightPoint extends ProductWeight {
  readonly layer: number;
  readonly matrix: string;
}

/** Parts of one matrix follow each other: side by side, or below each other where it is `scores`. */
export interface PruningPoints {
  readonly matrices: readonly MatrixPoint[];
  readonly weights: readonly WeightPoint[];
  /** Heads with scores; a layer may have none. */
  readonly headsPerLayer: readonly number[];
  /** The attention of those heads, by layer. */
  readonly blocksPerLayer: readonly (readonly AttentionBlock[])[];
}

/**
 * In order of layer, within one in the order of computation. A layer is what shares one projection behind its heads; of
 * Tandem's own encoders (`layerN.projection`), layers whose heads have no scores count too.
 */
export function findPruningPoints(graph: Graph, blocks: readonly AttentionBlock[]): PruningPoints {
  const finder = new PointFinder(graph);
  const layers = finder.layers(blocks);
  for (const [layer, parts] of layers.entries()) finder.addLayer(parts, layer);
  finder.addPooler();
  const heads = (parts: LayerParts) => parts.blocks.reduce((sum, block) => sum + block.heads!, 0);
  return {
    matrices: finder.matrices,
    weights: finder.weights,
    headsPerLayer: layers.map(heads),
    blocksPerLayer: layers.map((parts) => parts.blocks),
  };
}

/** Weights of all products of activations with a matrix that is fixed: projections, dense layers, classifier. */
export function productWeights(graph: Graph): string[] {
  const walk = new ProductWalk(graph);
  const weights = graph.nodes.map((node) => walk.isProduct(node) && walk.weightOf(node)?.weight);
  return [...new Set(weights.filter((weight) => typeof weight === 'string'))];
}

/** The heads of a layer and the product that projects their contexts. */
interface LayerParts {
  readonly blocks: readonly AttentionBlock[];
  readonly projection: Node | undefined;
}

const OWN_PROJECTION = /^layer\d+\.projection\.weight$/;

class PointFinder extends ProductWalk {
  readonly matrices: MatrixPoint[] = [];
  readonly weights: WeightPoint[] = [];
  /** The last value that was found, and its layer. */
  #last: { value: string; layer: number } | undefined;

  layers(blocks: readonly AttentionBlock[]): LayerParts[] {
    const position = new Map(this.graph.nodes.map(({ name }, index) => [name, index]));
    const found = new Map<string, LayerParts>();
    for (const node of this.graph.nodes) {
      const own = this.isProduct(node) && OWN_PROJECTION.test(this.weightOf(node)?.weight ?? '');
      if (own) found.set(node.name, { blocks: [], projection: node });
    }
    for (const block of blocks) {
      const projection = this.projectionOf(block.context);
      const key = projection?.name ?? block.contextNode;
      found.set(key, { blocks: [...(found.get(key)?.blocks ?? []), block], projection });
    }
    const inOrder = [...found].sort(([a], [b]) => position.get(a)! - position.get(b)!);
    return inOrder.map(([, parts]) => parts);
  }

  addLayer({ blocks, projection }: LayerParts, layer: number): void {
    const operands = blocks.map((block) => this.#operandsOf(block));
    const mixed = projection ? this.#mixedValues(projection, blocks) : [];
    const values = [...operands.map(({ value }) => value), ...mixed];
    const source = this.productBehind((operands[0]?.query ?? mixed[0])?.value ?? '')?.inputs[0];
    if (source !== undefined && this.rows(source)) this.#rows(layer, ACTIVATIONS.input, source, { pruned: false });
    const sides = {
      query: operands.map(({ query }) => query),
      key: operands.map(({ key }) => key),
      value: values,
    };
    for (const name of ['query', 'key', 'value'] as const) {
      for (const { value, tokens } of sides[name]) this.#rows(layer, ACTIVATIONS[name], value, { tokens });
      for (const { value } of sides[name]) this.#weight(layer, WEIGHTS[name], this.productBehind(value));
    }
    const scores = { layer, layout: { kind: 'scores' }, pruned: true } as const;
    for (const [i, { rawScores: value }] of blocks.entries()) {
      const scale = operands[i]!.query.scale * operands[i]!.key.scale;
      this.matrices.push({ ...scores, matrix: ACTIVATIONS.scores, value, scale });
    }
    for (const { probabilities: value } of blocks) {
      this.matrices.push({ ...scores, matrix: ACTIVATIONS.probabilities, value, scale: 1 });
    }
    if (projection && this.rows(projection.inputs[0]!) && this.rows(projection.outputs[0]!)) {
      this.#addOutput(projection, layer);
      return;
    }
    for (const { context } of blocks) this.#rows(layer, ACTIVATIONS.context, context, { tokens: 2 });
    this.#last = { value: blocks.at(-1)!.context, layer };
  }

  #operandsOf({ query, key, keyLayout, value }: AttentionBlock) {
    return {
      query: this.behind(query, 2),
      key: this.behind(key, keyLayout === 'tokens-dim' ? 2 : 3),
      value: this.behind(value, 2),
    };
  }

  /** What heads without scores (transforms, convolutions) mix: projected values that the contexts stand beside. */
  #mixedValues(projection: Node, blocks: readonly AttentionBlock[]): { value: string; tokens: number }[] {
    const beside = this.index.producerOf(projection.inputs[0]!);
    const groups = beside?.opType === 'Concat' ? beside.inputs : [projection.inputs[0]!];
    return groups.flatMap((group) => {
      if (blocks.some(({ context }) => this.comesFrom(group, context))) return [];
      const products = this.productsBehind(group);
      const value = products.length === 1 ? this.withBias(products[0]!) : undefined;
      return value !== undefined && this.rows(value) ? [{ value, tokens: 1 }] : [];
    });
  }

  #addOutput(projection: Node, layer: number): void {
    this.#rows(layer, ACTIVATIONS.context, projection.inputs[0]!);
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
