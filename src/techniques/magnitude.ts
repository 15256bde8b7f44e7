/**
 * Magnitude pruning as graph operators (DynaTran: Tuli & Jha, AccelTran, 2022; TransCODE, 2023): elements of magnitude at
 * most τ become 0, where τ > 0. Top-k on attention probabilities is the baseline that it is compared with.
 */
import type { GraphBuilder } from '../graph/builder.js';
import { type Graph, int, type Tensor } from '../graph/types.js';
import { type MatrixLayout, type MatrixPoint, productWeights } from './pruning-points.js';
import type { SparsityCounts } from './types.js';

/** From the threshold as given to the one that comparisons use: below every magnitude unless τ > 0. Scalars. */
export function effectiveThreshold(b: GraphBuilder, threshold: string): string {
  return b.op(
    'Where',
    [b.op('Greater', [threshold, b.constant(0)]), threshold, b.constant(-1)],
    {},
    `${threshold}.used`,
  );
}

/** Where(|x| ≤ τ, 0, x), τ an effective threshold in units of x / scale. Not a number stays what it is. */
export function prunedBelow(b: GraphBuilder, x: string, threshold: string, scale: number, hint: string): string {
  const limit = scale === 1 ? threshold : b.mul(threshold, b.constant(Math.abs(scale)));
  const small = b.op('LessOrEqual', [b.op('Abs', [x]), limit]);
  return b.op('Where', [small, b.constant(0), x], {}, hint);
}

/**
 * Keeps the entries of each row that are strictly greater than its k-th largest; all, where k is at least the number of
 * real tokens.
 * @param k int64 scalar
 */
export function aboveKthLargest(b: GraphBuilder, probabilities: string, k: string, hint: string): string {
  const keys = b.op('Gather', [b.op('Shape', [probabilities]), b.ints([-1])]);
  const most = b.op('Min', [b.op('Unsqueeze', [k, b.ints([0])]), keys]);
  const [largest] = b.node('TopK', [probabilities, most], 2, { axis: int(-1) });
  const kth = b.op('Gather', [largest!, b.sub(most, b.ints([1]))], { axis: int(-1) });
  const tokens = b.op('ReduceSum', ['attention_mask', b.ints([1])], { keepdims: int(1) });
  const all = b.op('GreaterOrEqual', [b.cast(k, 'float32'), b.op('Unsqueeze', [tokens, b.ints([2, 3])])]);
  const kept = b.op('Or', [b.op('Greater', [probabilities, kth]), all]);
  return b.op('Where', [kept, probabilities, b.constant(0)], {}, hint);
}

/** The same rule, once, on the weights of all products with a fixed matrix: Q, K, V, dense layers and classifier. */
export function withPrunedWeights(graph: Graph, threshold: number): Graph {
  const initializers = new Map(graph.initializers);
  for (const name of productWeights(graph)) initializers.set(name, prunedTensor(initializers.get(name)!, threshold));
  return { ...graph, initializers };
}

const prunedTensor = (weight: Tensor, threshold: number): Tensor => ({
  ...weight,
  data: (weight.data as Float32Array).map((element) => (threshold > 0 && Math.abs(element) <= threshold ? 0 : element)),
});

/** Counts zeros and elements of the matrices over real tokens: exact, in float64. */
export function countZeros(
  b: GraphBuilder,
  points: readonly Pick<MatrixPoint, 'layer' | 'matrix' | 'value' | 'layout'>[],
  name: string,
): SparsityCounts {
  const size = batchSizes(b);
  const counted = points.map(({ value, layout }) => ({
    zeros: onesOf(b, b.cast(b.op('Equal', [value, b.constant(0)]), 'float32'), layout),
    elements: elementsOf(b, value, layout, size),
  }));
  const side = (part: 'zeros' | 'elements') => {
    const columns = counted.map((one) => b.op('Unsqueeze', [one[part], b.ints([1])]));
    return b.op('Concat', columns, { axis: int(1) }, `${name}.${part}`);
  };
  const matrices = points.map(({ layer, matrix }) => ({ layer, matrix }));
  return { zeros: side('zeros'), elements: side('elements'), matrices };
}

/** [batch, tokens] in float64: sums of more than 2^24 ones are not exact in float32. */
const real = (b: GraphBuilder): string => b.cast('attention_mask', 'float64');

const sumOver = (b: GraphBuilder, value: string, axes: readonly number[]): string =>
  b.op('ReduceSum', [value, b.ints(axes)], { keepdims: int(0) });

/** Ones of real tokens → [batch]. */
export function onesOf(b: GraphBuilder, ones: string, layout: MatrixLayout): string {
  if (layout.kind === 'vector') return b.cast(sumOver(b, ones, [1]), 'float64');
  if (layout.kind === 'rows') {
    const others = b.shapeOf(ones).flatMap((_, axis) => (axis === 0 || axis === layout.tokens ? [] : [axis]));
    const perToken = b.cast(sumOver(b, ones, others), 'float64');
    return sumOver(b, b.mul(perToken, real(b)), [1]);
  }
  const overHeads = sumOver(b, ones, [1]);
  const keys = b.op('Unsqueeze', ['attention_mask', b.ints([1])]);
  const perQuery = b.cast(sumOver(b, b.mul(overHeads, keys), [2]), 'float64');
  return sumOver(b, b.mul(perQuery, real(b)), [1]);
}

export interface BatchSizes {
  /** Real tokens, float64 [batch]; the padded length and the number of sequences, float64 scalars. */
  readonly tokens: string;
  readonly padded: string;
  readonly batch: string;
}

export function batchSizes(b: GraphBuilder): BatchSizes {
  const size = (axis: number) =>
    b.cast(b.op('Gather', [b.op('Shape', ['attention_mask']), b.scalar('int64', axis)]), 'float64');
  return { tokens: sumOver(b, real(b), [1]), padded: size(1), batch: size(0) };
}

/** Elements of real tokens → [batch]. */
export function elementsOf(
  b: GraphBuilder,
  value: string,
  layout: MatrixLayout,
  { tokens, padded, batch }: BatchSizes,
): string {
  const each = b.div(b.cast(b.op('Size', [value]), 'float64'), batch);
  if (layout.kind === 'vector') return b.add(b.mul(tokens, b.scalar('float64', 0)), each);
  const perRow = b.div(each, padded);
  if (layout.kind === 'rows') return b.mul(tokens, perRow);
  return b.mul(b.mul(tokens, tokens), b.div(perRow, padded));
}
