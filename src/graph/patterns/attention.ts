/**
 * Finds attention in a graph, however its exporter wrote it: softmax(scale · Q·Kᵀ, masked) · V, anchored at the Softmax
 * over the last axis.
 */
import { TandemError } from '../../errors.js';
import { GraphIndex } from '../edit.js';
import { knownFactor } from '../shapes/dims.js';
import type { Dim, Graph, Node } from '../types.js';
import { ConstantFinder } from './constants.js';

/** One node between the raw scores and the softmax, or between the softmax and the context product. */
export interface ScoreStep {
  readonly node: Node;
  /** Which input of the node carries the scores. */
  readonly input: number;
  /** Multiplies by a fixed number; combines with another value (mask, bias); or only changes type or layout. */
  readonly kind: 'scale' | 'mask' | 'layout';
  /** The number of a 'scale'; else 1. */
  readonly factor: number;
}

/**
 * One attention layer. Values are named; [batch, heads, tokens, dim] may also be [batch·heads, tokens, dim].
 * rawScores = query · keyᵀ; softmaxInput = `steps` applied to rawScores; context = softmax(softmaxInput) · value.
 */
export interface AttentionBlock {
  /** Position among the graph's attention layers, in topological order, from 0. */
  readonly layer: number;
  /** Whether queries and keys are projected from the same value; 'unknown' where there are no projections. */
  readonly source: 'self' | 'cross' | 'unknown';
  /** [batch, heads, queries, headDim], as fed to the score product: after any scale on the query side. */
  readonly query: string;
  /** The keys, after any scale on the key side, laid out as `keyLayout` says. */
  readonly key: string;
  /**
   * 'tokens-dim': `key` is [batch, heads, keys, headDim], and a Transpose of its last two axes feeds the product;
   * 'dim-tokens': `key` is [batch, heads, headDim, keys] and feeds the product itself (the exporter merged the
   * transpose into another one).
   */
  readonly keyLayout: 'tokens-dim' | 'dim-tokens';
  readonly scoreNode: string;
  /** [batch, heads, queries, keys], what the score product gives. */
  readonly rawScores: string;
  /** Factor from rawScores to softmaxInput: product of the 'scale' steps. */
  readonly scale: number;
  /** Factor already in `query` and `key`: product of all on their paths back to their projections. */
  readonly operandScale: number;
  /** scale · operandScale: usually 1/√headDim. */
  readonly effectiveScale: number;
  /** From rawScores to softmaxInput, in order. `replaySteps` repeats them on other scores. */
  readonly steps: readonly ScoreStep[];
  /** The value added to the scaled scores when that is all the masking there is (one Add, after the scale). */
  readonly mask: string | undefined;
  readonly softmaxInput: string;
  readonly softmaxNode: string;
  readonly probabilities: string;
  /** The probabilities as fed to the context product: after dropout or a head mask. */
  readonly contextProbabilities: string;
  readonly contextNode: string;
  /** [batch, heads, keys, valueDim], as fed to the context product. */
  readonly value: string;
  /** [batch, heads, queries, valueDim] */
  readonly context: string;
  /** Where static. */
  readonly heads: number | undefined;
  readonly headDim: number | undefined;
}

/** All attention layers, in topological order. Shapes come from `graph.types`: infer them first. */
export function findAttention(graph: Graph): AttentionBlock[] {
  const finder = new AttentionFinder(graph);
  const blocks: AttentionBlock[] = [];
  for (const node of graph.nodes) {
    const block = finder.at(node, blocks.length);
    if (block) blocks.push(block);
  }
  return blocks;
}

const FUSED: ReadonlySet<string> = new Set([
  'Attention',
  'MultiHeadAttention',
  'GroupQueryAttention',
  'PackedAttention',
  'PackedMultiHeadAttention',
  'DecoderMaskedMultiHeadAttention',
  'DecoderMaskedSelfAttention',
  'LongformerAttention',
  'QAttention',
  'SparseAttention',
]);

/** Attention that is hidden inside one operator, each as an error (TANDEM_FUSED_ATTENTION) with a remedy. */
export function fusedAttention(graph: Graph): TandemError[] {
  return graph.nodes
    .filter(({ opType }) => FUSED.has(opType))
    .map(
      ({ name, opType, domain }) =>
        new TandemError(
          'TANDEM_FUSED_ATTENTION',
          `${domain === '' ? '' : `${domain}.`}${opType} hides its scores and probabilities.`,
          {
            place: `node "${name}"`,
            remedy:
              'Export the model again without attention fusion (no graph optimisation; in PyTorch, attn_implementation="eager").',
          },
        ),
    );
}

/** Operators that change type or layout only, with the data as their first input. */
const LAYOUT: ReadonlySet<string> = new Set([
  'Cast',
  'Identity',
  'Dropout',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Expand',
]);
/** Operators that combine scores with something else, and the inputs that may carry the scores. */
const COMBINING: Readonly<Record<string, readonly number[]>> = {
  Add: [0, 1],
  Sub: [0],
  Mul: [0, 1],
  Div: [0],
  Where: [1, 2],
  Max: [0, 1],
  Min: [0, 1],
  Clip: [0],
};

class AttentionFinder {
  readonly index: GraphIndex;
  readonly constants: ConstantFinder;

  constructor(readonly graph: Graph) {
    this.index = new GraphIndex(graph);
    this.constants = new ConstantFinder(graph, this.index);
  }

  /** The block whose softmax is this node. */
  at(softmax: Node, layer: number): AttentionBlock | undefined {
    if (softmax.opType !== 'Softmax' || softmax.domain !== '' || !this.#overLastAxis(softmax)) return undefined;
    const [softmaxInput, probabilities] = [softmax.inputs[0]!, softmax.outputs[0]!];
    const scores = this.#backToScores(softmaxInput, new Set());
    const context = scores && this.#onToContext(probabilities);
    if (!context) return undefined;
    const { product, steps } = scores;
    const key = this.#key(product.inputs[1]!);
    const query = product.inputs[0]!;
    const scale = steps.reduce((total, { factor }) => total * factor, 1);
    const operandScale = this.#scaleBehind(query) * this.#scaleBehind(product.inputs[1]!);
    return {
      layer,
      source: this.#source(query, product.inputs[1]!),
      query,
      ...key,
      scoreNode: product.name,
      rawScores: product.outputs[0]!,
      scale,
      operandScale,
      effectiveScale: scale * operandScale,
      steps,
      mask: soleMask(steps),
      softmaxInput,
      softmaxNode: softmax.name,
      probabilities,
      contextProbabilities: context.node.inputs[0]!,
      contextNode: context.node.name,
      value: context.node.inputs[1]!,
      context: context.node.outputs[0]!,
      heads: this.#heads([query, product.outputs[0]!, ...steps.map(({ node }) => node.outputs[0]!)]),
      headDim: size(this.#shape(query)?.at(-1)),
    };
  }

  #shape(value: string): readonly Dim[] | undefined {
    return this.graph.types.get(value)?.shape;
  }

  #overLastAxis({ attributes: { axis }, inputs }: Node): boolean {
    const fallback = (this.graph.opsets[''] ?? 13) < 13 ? 1 : -1;
    const given = axis?.kind === 'int' ? axis.value : fallback;
    return given === -1 || given + 1 === this.#shape(inputs[0]!)?.length;
  }

  /** Follows the scores back to the product of two activations that made them. */
  #backToScores(value: string, failed: Set<string>): { product: Node; steps: ScoreStep[] } | undefined {
    const node = this.index.producerOf(value);
    if (node?.domain !== '' || failed.has(value)) return undefined;
    if (this.#isScoreProduct(node)) return { product: node, steps: [] };
    for (const step of this.#steps(node)) {
      const before = this.#backToScores(node.inputs[step.input]!, failed);
      if (before) return { product: before.product, steps: [...before.steps, step] };
    }
    failed.add(value);
    return undefined;
  }

  #isScoreProduct({ opType, inputs }: Node): boolean {
    return opType === 'MatMul' && inputs.every((input) => !this.constants.isFixed(input));
  }

  /** The ways in which scores may flow through a node. */
  #steps(node: Node): ScoreStep[] {
    if (LAYOUT.has(node.opType)) return [{ node, input: 0, kind: 'layout', factor: 1 }];
    const scaled = this.constants.scaling(node);
    if (scaled) return [{ node, kind: 'scale', ...scaled }];
    return (COMBINING[node.opType] ?? []).map((input) => ({ node, input, kind: 'mask', factor: 1 }));
  }

  /** Follows the probabilities on to the product with the values. */
  #onToContext(probabilities: string): { node: Node } | undefined {
    const open = [probabilities];
    for (const value of open) {
      for (const node of this.index.consumersOf(value)) {
        if (node.opType === 'MatMul' && node.inputs[0] === value && !this.constants.isFixed(node.inputs[1]!))
          return { node };
        const passes = LAYOUT.has(node.opType)
          ? node.inputs[0] === value
          : ['Mul', 'Div', 'Where'].includes(node.opType);
        if (passes && !open.includes(node.outputs[0]!)) open.push(node.outputs[0]!);
      }
    }
    return undefined;
  }

  /** The keys behind the product's right operand: before the transpose, where it swaps just the last two axes. */
  #key(operand: string): Pick<AttentionBlock, 'key' | 'keyLayout'> {
    let value = operand;
    let node = this.index.producerOf(value);
    while (node?.opType === 'Identity') {
      value = node.inputs[0]!;
      node = this.index.producerOf(value);
    }
    if (node?.opType === 'Transpose' && swapsLastTwo(node)) return { key: node.inputs[0]!, keyLayout: 'tokens-dim' };
    return { key: operand, keyLayout: 'dim-tokens' };
  }

  /** Product of the fixed factors applied to an operand since its projection. */
  #scaleBehind(operand: string): number {
    let factor = 1;
    let value = operand;
    for (;;) {
      const node = this.index.producerOf(value);
      if (node?.domain !== '') return factor;
      const scaled = this.constants.scaling(node);
      if (!scaled && !LAYOUT.has(node.opType) && node.opType !== 'Transpose') return factor;
      factor *= scaled?.factor ?? 1;
      value = node.inputs[scaled?.input ?? 0]!;
    }
  }

  #source(query: string, key: string): AttentionBlock['source'] {
    const [left, right] = [this.#projected(query), this.#projected(key)];
    if (left.size === 0 || right.size === 0) return 'unknown';
    return [...left].some((value) => right.has(value)) ? 'self' : 'cross';
  }

  /** What the nearest projections (products with weights) behind a value project. */
  #projected(value: string): Set<string> {
    const projected = new Set<string>();
    const open = [value];
    for (const current of open) {
      const node = this.index.producerOf(current);
      if (!node) continue;
      const isProjection =
        (node.opType === 'MatMul' || node.opType === 'Gemm') && this.constants.isFixed(node.inputs[1]!);
      if (isProjection) projected.add(this.#beforeLayout(node.inputs[0]!));
      else for (const input of node.inputs) if (input !== '' && !open.includes(input)) open.push(input);
    }
    return projected;
  }

  #beforeLayout(value: string): string {
    const node = this.index.producerOf(value);
    return node && LAYOUT.has(node.opType) ? this.#beforeLayout(node.inputs[0]!) : value;
  }

  /** Axis 1 where there are four; of [batch·heads, …], the known factor where the batch is symbolic. */
  #heads(values: readonly string[]): number | undefined {
    const shapes = values.map((value) => this.#shape(value));
    const separate = shapes.find((shape) => shape?.length === 4);
    return separate ? size(separate[1]) : knownFactor(shapes[0]?.length === 3 ? shapes[0][0]! : 1);
  }
}

const size = (dim: Dim | undefined): number | undefined => (typeof dim === 'number' ? dim : undefined);

function swapsLastTwo({ attributes: { perm } }: Node): boolean {
  if (perm?.kind !== 'ints') return false;
  const rank = perm.value.length;
  return perm.value.every((from, to) => from === (to < rank - 2 ? to : 2 * rank - 3 - to));
}

/** The added value when the only masking is one Add with no scale after it. */
function soleMask(steps: readonly ScoreStep[]): string | undefined {
  const first = steps.findIndex(({ kind }) => kind === 'mask');
  const step = steps[first];
  const alone = step?.node.opType === 'Add' && steps.slice(first + 1).every(({ kind }) => kind === 'layout');
  return alone ? step.node.inputs[1 - step.input] : undefined;
}
