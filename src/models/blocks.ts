/**
 * The parts that transformer encoders share, as plain operators: what techniques recognise, what gradients exist for, and
 * what any ONNX runtime executes. Value names are stable; techniques, traces and figures show them.
 */
import type { GraphBuilder } from '../graph/builder.js';
import { float, int, type Tensor } from '../graph/types.js';

/** Weights by name, with the shape they must have. */
export type WeightSource = (name: string, shape: readonly number[]) => Tensor;

/** A score that softmax turns into exactly 0 in float32. */
const MASKED_SCORE = -1e9;

/** x [..., from] · weight [from, to] + bias [to]; initializers `${name}.weight` and `${name}.bias`. */
export function linear(
  b: GraphBuilder,
  weights: WeightSource,
  x: string,
  [from, to]: readonly [number, number],
  name: string,
  output = name,
): string {
  const weight = b.initializer(`${name}.weight`, weights(`${name}.weight`, [from, to]));
  const bias = b.initializer(`${name}.bias`, weights(`${name}.bias`, [to]));
  return b.add(b.matmul(x, weight, `${name}.product`), bias, output);
}

/** Layer normalisation over the last axis; initializers `${name}.weight` and `${name}.bias`. */
export function layerNorm(
  b: GraphBuilder,
  weights: WeightSource,
  x: string,
  { size, epsilon }: { size: number; epsilon: number },
  name: string,
  output = name,
): string {
  const scale = b.initializer(`${name}.weight`, weights(`${name}.weight`, [size]));
  const bias = b.initializer(`${name}.bias`, weights(`${name}.bias`, [size]));
  return b.op('LayerNormalization', [x, scale, bias], { axis: int(-1), epsilon: float(epsilon) }, output);
}

/** From attention_mask [batch, tokens] (1 real, 0 padding) to what is added to scores: [batch, 1, 1, tokens]. */
export function attentionBias(b: GraphBuilder, attentionMask: string): string {
  const padding = b.sub(b.constant(1, 'one'), attentionMask, 'padding');
  const bias = b.mul(padding, b.constant(MASKED_SCORE, 'masked_score'), 'padding.score');
  return b.op('Unsqueeze', [bias, b.ints([1, 2])], {}, 'attention_bias');
}

export interface HeadSizes {
  /** Width of the input. */
  readonly from: number;
  readonly heads: number;
  /** Width of query, key and value of each head. */
  readonly dim: number;
  /** Weighted multiplicative attention: a learned square matrix between query and key. */
  readonly weighted?: boolean;
}

/**
 * Self-attention, x [batch, tokens, from] → contexts side by side [batch, tokens, heads·dim]. Values, each under
 * `${name}.`: query, key, value [batch, heads, tokens, dim]; scores (raw q·k), scores.scaled, scores.masked and
 * probabilities [batch, heads, tokens, tokens]; context [batch, heads, tokens, dim]; context.merged (the result).
 * Where `weighted`, scores are q·W·kᵀ with the initializer `${name}.weighting` W [heads, dim, dim]; key.weighted is W·kᵀ.
 */
export function attentionHeads(
  b: GraphBuilder,
  weights: WeightSource,
  x: string,
  bias: string,
  { from, heads, dim, weighted = false }: HeadSizes,
  name: string,
): string {
  const head = (part: string) => {
    const wide = linear(b, weights, x, [from, heads * dim], `${name}.${part}`, `${name}.${part}.linear`);
    return b.transpose(b.reshape(wide, [0, 0, heads, dim], `${name}.${part}.split`), [0, 2, 1, 3], `${name}.${part}`);
  };
  const [query, key, value] = [head('query'), head('key'), head('value')];
  let keys = b.transpose(key, [0, 1, 3, 2], `${name}.key.transposed`);
  if (weighted) {
    const matrix = b.initializer(`${name}.weighting`, weights(`${name}.weighting`, [heads, dim, dim]));
    keys = b.matmul(matrix, keys, `${name}.key.weighted`);
  }
  const scores = b.matmul(query, keys, `${name}.scores`);
  const scaled = b.mul(scores, b.constant(1 / Math.sqrt(dim), `${name}.scale`), `${name}.scores.scaled`);
  const probabilities = b.softmax(b.add(scaled, bias, `${name}.scores.masked`), -1, `${name}.probabilities`);
  const context = b.matmul(probabilities, value, `${name}.context`);
  return b.reshape(
    b.transpose(context, [0, 2, 1, 3], `${name}.context.transposed`),
    [0, 0, heads * dim],
    `${name}.context.merged`,
  );
}

/** Multi-head self-attention, x [batch, tokens, from] → `${name}.attention` [batch, tokens, to]. */
export function selfAttention(
  b: GraphBuilder,
  weights: WeightSource,
  x: string,
  bias: string,
  { to, ...sizes }: HeadSizes & { readonly to: number },
  name: string,
): string {
  const merged = attentionHeads(b, weights, x, bias, sizes, name);
  return linear(b, weights, merged, [sizes.heads * sizes.dim, to], `${name}.projection`, `${name}.attention`);
}

/** `gelu-tanh` is GPT-2's approximation, which the transformers library calls gelu_new. */
export type Activation = 'relu' | 'gelu' | 'gelu-tanh';

/**
 * Dense layers through `stacks` widths and back to `width`; `${name}.hidden` is what lies behind the first one's
 * activation, `${name}.hidden.1`, … what lies behind the next ones'.
 */
export function feedForward(
  b: GraphBuilder,
  weights: WeightSource,
  x: string,
  { width, stacks, activation }: { width: number; stacks: readonly number[]; activation: Activation },
  name: string,
): string {
  let active = x;
  stacks.forEach((hidden, stack) => {
    const at = stack === 0 ? '' : `.${stack}`;
    const sizes = [stacks[stack - 1] ?? width, hidden] as const;
    active = activate(b, linear(b, weights, active, sizes, `${name}.expand${at}`), activation, `${name}.hidden${at}`);
  });
  return linear(b, weights, active, [stacks.at(-1) ?? width, width], `${name}.contract`);
}

export function activate(b: GraphBuilder, x: string, activation: Activation, name: string): string {
  if (activation === 'relu') return b.op('Relu', [x], {}, name);
  return activation === 'gelu' ? gelu(b, x, name) : geluTanh(b, x, name);
}

/** x·½·(1 + erf(x/√2)), in operators of operator set 17 (Hendrycks & Gimpel, 2016). */
function gelu(b: GraphBuilder, x: string, name: string): string {
  const erf = b.op('Erf', [b.mul(x, b.constant(Math.SQRT1_2, 'sqrt_half'))], {}, `${name}.erf`);
  const gate = b.mul(b.add(erf, b.constant(1, 'one')), b.constant(0.5, 'half'), `${name}.gate`);
  return b.mul(x, gate, name);
}

/** x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³))) (Hendrycks & Gimpel, 2016). */
function geluTanh(b: GraphBuilder, x: string, name: string): string {
  const cubed = b.mul(b.mul(x, x), x);
  const inner = b.mul(b.add(x, b.mul(cubed, b.constant(0.044715))), b.constant(Math.sqrt(2 / Math.PI)));
  const gate = b.mul(b.add(b.op('Tanh', [inner], {}, `${name}.tanh`), b.constant(1, 'one')), b.constant(0.5, 'half'));
  return b.mul(x, gate, name);
}

/** Mean of x [batch, tokens, width] over the real tokens → [batch, width]; 0 where there are none. */
export function meanOverTokens(b: GraphBuilder, x: string, attentionMask: string, name: string): string {
  const weight = b.op('Unsqueeze', [attentionMask, b.ints([2])], {}, `${name}.weight`);
  const sum = b.op('ReduceSum', [b.mul(x, weight), b.ints([1])], { keepdims: int(0) }, `${name}.sum`);
  const count = b.op('ReduceSum', [attentionMask, b.ints([1])], { keepdims: int(1) }, `${name}.count`);
  return b.div(sum, b.op('Max', [count, b.constant(1, 'one')]), name);
}

/** The first n rows of a table [most, width], n the number of tokens of input_ids: [tokens, width]. */
export function positions(b: GraphBuilder, table: string, inputIds: string, name: string): string {
  const most = b.shapeOf(table)[0] as number;
  const count = b.op('Shape', [inputIds], { start: int(1), end: int(2) }, 'token_count');
  const all = b.ints(
    Array.from({ length: most }, (_, position) => position),
    'all_positions',
  );
  const first = b.op('Slice', [all, b.ints([0]), count], {}, 'first_positions');
  // States that there are exactly as many positions as tokens; fails on texts longer than the table.
  const ids = b.op('Reshape', [first, count], {}, 'position_ids');
  return b.op('Gather', [table, ids], {}, name);
}

/** Divides by the Euclidean norm over the last axis. */
export function unitLength(b: GraphBuilder, x: string, epsilon: number, name: string): string {
  const squares = b.op('ReduceSum', [b.mul(x, x), b.ints([-1])], { keepdims: int(1) }, `${name}.squares`);
  return b.div(x, b.op('Sqrt', [b.op('Max', [squares, b.constant(epsilon, 'epsilon')])]), name);
}

/** The first token's row of x [batch, tokens, width]: [batch, width]. */
export const firstToken = (b: GraphBuilder, x: string, name: string): string =>
  b.op('Squeeze', [b.op('Slice', [x, b.ints([0]), b.ints([1]), b.ints([1])]), b.ints([1])], {}, name);
