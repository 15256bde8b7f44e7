/**
 * A model as the corrected ELECTOR sees it: matrices, and operations that read and write them. Everything that the
 * machine does follows from these: what must be loaded, what waits for what, when a matrix is needed last.
 */
import { ACTIVATIONS, feedForwardHidden, feedForwardWeight, WEIGHTS } from '../../trace/matrices.js';
import type { MaskRecord } from '../../trace/types.js';
import type { HeadOperation, TransformerArchitecture, TransformerLayer } from '../../workload/transformer.js';

/** Where the zero mask of a matrix is found: a recorded matrix, or a part of its rows or columns. */
export interface MaskPlace {
  readonly phase: MaskRecord['phase'];
  readonly layer: number;
  /** A name of trace/matrices.ts; undefined: no trace records it. */
  readonly matrix: string | undefined;
  readonly firstRow: number;
  readonly firstColumn: number;
  /** Of matrices that hold the rows of one head below those of another: the head, with as many rows as tokens. */
  readonly rowBlock: number;
  /** Which share of zeros holds where no trace says it; tables such as the Fourier matrix are dense. */
  readonly content: 'activation' | 'weight' | 'gradient' | 'dense';
}

export interface Matrix {
  readonly id: number;
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  /** One for all sequences of the batch: weights and their gradients. */
  readonly shared: boolean;
  readonly buffer: 'activation' | 'weight';
  readonly mask: MaskPlace;
  /** Lies in main memory before the run. */
  readonly stored: boolean;
  /** Must be in main memory after the run: gradients of weights. */
  readonly kept: boolean;
}

export interface Operand {
  readonly matrix: Matrix;
  readonly transposed: boolean;
}

interface OperationBase {
  readonly id: number;
  readonly name: string;
  /** −1: before the first layer. */
  readonly layer: number;
  readonly reads: readonly Matrix[];
  /** A matrix with several writers is their sum; it is there when all of them are done. */
  readonly writes: Matrix;
  /** All of them, once. */
  readonly touches: readonly Matrix[];
}

/** Left [i × k] · right [k × j]. */
export interface Product extends OperationBase {
  readonly kind: 'product';
  readonly left: Operand;
  readonly right: Operand;
}

/** Depth-wise convolution over the tokens: rows · kernel · columns multiplications a sequence. */
export interface Convolution extends OperationBase {
  readonly kind: 'convolution';
  readonly input: Matrix;
  readonly kernel: number;
}

/** One pass over each element of `input`. `gather` takes rows of the embedding. */
export interface Pass extends OperationBase {
  readonly kind: 'non-linearity' | 'softmax' | 'layer-norm' | 'gather';
  readonly input: Matrix;
}

export type Operation = Product | Convolution | Pass;

export interface Program {
  readonly matrices: readonly Matrix[];
  /** In program order: an operation reads only what stands before it. */
  readonly operations: readonly Operation[];
  readonly embedding: Matrix;
}

interface Size {
  readonly rows: number;
  readonly columns: number;
}

const left = (matrix: Matrix, transposed = false): Operand => ({ matrix, transposed });

class ProgramBuilder {
  readonly matrices: Matrix[] = [];
  readonly operations: Operation[] = [];

  constructor(readonly tokens: number) {}

  activation(name: string, columns: number, mask: Partial<MaskPlace>, rows = this.tokens): Matrix {
    return this.#matrix(name, { rows, columns }, { content: 'activation', ...mask }, {});
  }

  gradient(name: string, of: Matrix): Matrix {
    const mask = { ...of.mask, phase: 'backward', content: 'gradient' } as const;
    return this.#matrix(name, of, mask, {});
  }

  weight(name: string, rows: number, columns: number, mask: Partial<MaskPlace>): Matrix {
    return this.#matrix(name, { rows, columns }, { content: 'weight', ...mask }, WEIGHT);
  }

  weightGradient(of: Matrix): Matrix {
    const mask = { ...of.mask, phase: 'update', content: 'gradient' } as const;
    return this.#matrix(`${of.name}'`, of, mask, { ...WEIGHT, stored: false, kept: true });
  }

  product(name: string, layer: number, l: Operand, r: Operand, writes: Matrix): void {
    this.#add({ kind: 'product', name, layer, left: l, right: r, reads: [l.matrix, r.matrix], writes });
  }

  convolution(name: string, layer: number, input: Matrix, weight: Matrix, kernel: number, writes: Matrix): void {
    this.#add({ kind: 'convolution', name, layer, input, kernel, reads: [input, weight], writes });
  }

  pass(kind: Pass['kind'], name: string, layer: number, reads: readonly Matrix[], writes: Matrix): void {
    this.#add({ kind, name, layer, input: reads[0]!, reads, writes });
  }

  #add(operation: Distributive<Operation>): void {
    const touches = [...new Set([...operation.reads, operation.writes])];
    this.operations.push({ ...operation, touches, id: this.operations.length } as Operation);
  }

  #matrix(
    name: string,
    { rows, columns }: Size,
    {
      phase = 'forward',
      layer = -1,
      matrix,
      firstRow = 0,
      firstColumn = 0,
      rowBlock = 0,
      content = 'dense',
    }: Partial<MaskPlace>,
    { shared = false, buffer = 'activation', stored = false, kept = false }: Partial<Matrix>,
  ): Matrix {
    const mask = { phase, layer, matrix, firstRow, firstColumn, rowBlock, content };
    const made = { id: this.matrices.length, name, rows, columns, shared, buffer, mask, stored, kept };
    this.matrices.push(made);
    return made;
  }
}

type Distributive<T> = T extends Operation ? Omit<T, 'id' | 'touches'> : never;
const WEIGHT = { shared: true, buffer: 'weight', stored: true } as const;

/** What the backward pass of a step needs of its forward pass; it returns the gradient of the step's input. */
type Backward = (gradient: Matrix) => Matrix;

/** Input gradients of several users are written into one matrix. */
interface Forward {
  readonly output: Matrix;
  readonly backward: Backward;
}

/** The operations of one batch: forward, and for training backward in reverse order. */
export function buildProgram(
  architecture: TransformerArchitecture,
  phase: 'inference' | 'training',
  tokens: number,
): Program {
  const b = new ProgramBuilder(tokens);
  const first = architecture.layers[0]!;
  const embedding = b.weight('embedding', architecture.vocabulary + architecture.tokens, first.hidden, {});
  let x = b.activation('layer0.input', first.hidden, { layer: 0, matrix: ACTIVATIONS.input });
  b.pass('gather', 'embedding', -1, [embedding], x);
  const backward: Backward[] = [];
  architecture.layers.forEach((layer, index) => {
    const done = encoderLayer(b, x, layer, index, architecture.layers[index + 1]);
    x = done.output;
    backward.push(done.backward);
  });
  if (phase === 'training') {
    // The task's loss and head are a vector a sequence: too small to be modelled. Its gradient is there.
    let gradient = b.gradient('loss.gradient', x);
    for (const step of backward.reverse()) gradient = step(gradient);
  }
  return { matrices: b.matrices, operations: b.operations, embedding };
}

function encoderLayer(
  b: ProgramBuilder,
  x: Matrix,
  layer: TransformerLayer,
  index: number,
  next: TransformerLayer | undefined,
): Forward {
  const name = `layer${index}`;
  const at = (matrix: string) => ({ layer: index, matrix });
  const { hidden } = layer;
  const attention = b.activation(`${name}.attention`, hidden, at(ACTIVATIONS.attentionOutput));
  let firstColumn = 0;
  const heads = layer.heads.map((head, number) => {
    const made = headOperations(b, x, attention, head, { layer: index, number, firstColumn, hidden });
    firstColumn += head.dim;
    return made;
  });
  const ffnInput = b.activation(`${name}.ffn.input`, hidden, at(ACTIVATIONS.feedForwardInput));
  b.pass('layer-norm', `${name}.norm1`, index, [attention, x], ffnInput);
  const ffn = feedForward(b, ffnInput, layer, index);
  const last = next === undefined || next.hidden === hidden;
  const nextInput = { layer: index + 1, matrix: next && ACTIVATIONS.input };
  const normed = b.activation(`${name}.output`, hidden, last ? nextInput : {});
  b.pass('layer-norm', `${name}.norm2`, index, [ffn.output, ffnInput], normed);
  const projected = last ? undefined : dense(b, normed, next.hidden, `${name}.resize`, index, {}, nextInput);
  return {
    output: projected?.output ?? normed,
    backward(gradient) {
      const dNormed = projected ? projected.backward(gradient) : gradient;
      const dFfn = b.gradient(`${name}.ffn.output'`, ffn.output);
      b.pass('layer-norm', `${name}.norm2'`, index, [dNormed, ffn.output], dFfn);
      const dFfnInput = ffn.backward(dFfn);
      const dAttention = b.gradient(`${name}.attention'`, attention);
      b.pass('layer-norm', `${name}.norm1'`, index, [dFfnInput, attention, dFfn], dAttention);
      const dX = b.gradient(`${name}.input'`, x);
      for (const head of heads) head(dAttention, dX);
      return dX;
    },
  };
}

/** Products with weight and, between the stacks, the non-linearity. */
function feedForward(b: ProgramBuilder, x: Matrix, { hidden, feedForward: stacks }: TransformerLayer, index: number) {
  const name = `layer${index}.ffn`;
  const steps: Forward[] = [];
  let input = x;
  stacks.forEach((width, stack) => {
    const weight = { layer: index, matrix: feedForwardWeight(stack) };
    const output = { layer: index, matrix: feedForwardHidden(stack) };
    const step = dense(b, input, width, `${name}.${stack}`, index, weight, output);
    steps.push(step);
    input = step.output;
  });
  const output = b.activation(`${name}.output`, hidden, { layer: index, matrix: ACTIVATIONS.feedForwardOutput });
  const place = { layer: index, matrix: feedForwardWeight(stacks.length) };
  const contract = linear(b, input, output, `${name}.${stacks.length}`, index, place);
  const backward: Backward = (gradient) =>
    steps.reduceRight((dy, step) => step.backward(dy), contract(gradient, b.gradient(`${input.name}'`, input)));
  return { output, backward };
}

/** A product with a weight, then the non-linearity at the lanes' output. */
function dense(
  b: ProgramBuilder,
  x: Matrix,
  width: number,
  name: string,
  layer: number,
  weight: Partial<MaskPlace>,
  output: Partial<MaskPlace>,
): Forward {
  const linearOutput = b.activation(`${name}.linear`, width, { content: 'dense' });
  const backward = linear(b, x, linearOutput, name, layer, weight);
  const active = b.activation(`${name}.active`, width, output);
  b.pass('non-linearity', `${name}.activation`, layer, [linearOutput], active);
  return {
    output: active,
    backward(gradient) {
      const dLinear = b.gradient(`${name}.linear'`, active);
      b.pass('non-linearity', `${name}.activation'`, layer, [gradient, linearOutput], dLinear);
      return backward(dLinear, b.gradient(`${x.name}'`, x));
    },
  };
}

/** output += x · W; backward: W' = xᵀ · output' and x' += output' · Wᵀ. */
function linear(
  b: ProgramBuilder,
  x: Matrix,
  output: Matrix,
  name: string,
  layer: number,
  place: Partial<MaskPlace>,
): (gradient: Matrix, dX: Matrix) => Matrix {
  const weight = b.weight(`${name}.weight`, x.columns, output.columns, place);
  b.product(name, layer, left(x), left(weight), output);
  return (gradient, dX) => {
    b.product(`${name}.weight'`, layer, left(x, true), left(gradient), b.weightGradient(weight));
    b.product(`${name}.input'`, layer, left(gradient), left(weight, true), dX);
    return dX;
  };
}

interface HeadPlace {
  readonly layer: number;
  readonly number: number;
  readonly firstColumn: number;
  readonly hidden: number;
}

/** Adds the head's part of the attention output; returns what adds its part of the input's gradient. */
function headOperations(
  b: ProgramBuilder,
  x: Matrix,
  attention: Matrix,
  head: HeadOperation,
  place: HeadPlace,
): (dAttention: Matrix, dX: Matrix) => void {
  const name = `layer${place.layer}.head${place.number}`;
  const context = b.activation(`${name}.context`, head.dim, {
    layer: place.layer,
    matrix: ACTIVATIONS.context,
    firstColumn: place.firstColumn,
  });
  const mix =
    head.kind === 'sdp' || head.kind === 'wma'
      ? selfAttention(b, x, context, head, place, name)
      : tokenMixing(b, x, context, head, place, name);
  const weight = { layer: place.layer, matrix: WEIGHTS.attention, firstRow: place.firstColumn };
  const project = linear(b, context, attention, `${name}.projection`, place.layer, weight);
  return (dAttention, dX) => mix(project(dAttention, b.gradient(`${name}.context'`, context)), dX);
}

function selfAttention(
  b: ProgramBuilder,
  x: Matrix,
  context: Matrix,
  { kind, dim }: HeadOperation,
  { layer, number, firstColumn }: HeadPlace,
  name: string,
): (dContext: Matrix, dX: Matrix) => void {
  const { tokens } = b;
  const part = (of: 'query' | 'key' | 'value') => {
    const output = b.activation(`${name}.${of}`, dim, { layer, matrix: ACTIVATIONS[of], firstColumn });
    const weight = { layer, matrix: WEIGHTS[of], firstColumn };
    return { output, backward: linear(b, x, output, `${name}.${of}`, layer, weight) };
  };
  const [query, key, value] = [part('query'), part('key'), part('value')];
  // Weighted multiplicative attention puts a learned square matrix between query and key.
  const weighted = kind === 'wma' ? b.activation(`${name}.key.weighted`, dim, { layer, matrix: undefined }) : undefined;
  const weigh = weighted && linear(b, key.output, weighted, `${name}.weighting`, layer, {});
  const keys = weighted ?? key.output;
  const rows = { layer, rowBlock: number };
  const scores = b.activation(`${name}.scores`, tokens, { ...rows, matrix: ACTIVATIONS.scores });
  b.product(`${name}.scores`, layer, left(query.output), left(keys, true), scores);
  const probabilities = b.activation(`${name}.probabilities`, tokens, { ...rows, matrix: ACTIVATIONS.probabilities });
  b.pass('softmax', `${name}.softmax`, layer, [scores], probabilities);
  b.product(`${name}.context`, layer, left(probabilities), left(value.output), context);
  return (dContext, dX) => {
    const grad = (of: Matrix) => b.gradient(`${of.name}'`, of);
    const [dValue, dProbabilities, dScores] = [grad(value.output), grad(probabilities), grad(scores)];
    const [dQuery, dKeys] = [grad(query.output), grad(keys)];
    b.product(`${name}.value'`, layer, left(probabilities, true), left(dContext), dValue);
    b.product(`${name}.probabilities'`, layer, left(dContext), left(value.output, true), dProbabilities);
    b.pass('softmax', `${name}.softmax'`, layer, [dProbabilities, probabilities], dScores);
    b.product(`${name}.query'`, layer, left(dScores), left(keys), dQuery);
    b.product(`${name}.key'`, layer, left(dScores, true), left(query.output), dKeys);
    const dKey = weigh ? weigh(dKeys, grad(key.output)) : dKeys;
    query.backward(dQuery, dX);
    key.backward(dKey, dX);
    value.backward(dValue, dX);
  };
}

/** Heads that mix tokens without scores: a product with a fixed square matrix, or a convolution. */
function tokenMixing(
  b: ProgramBuilder,
  x: Matrix,
  context: Matrix,
  head: HeadOperation,
  { layer, firstColumn }: HeadPlace,
  name: string,
): (dContext: Matrix, dX: Matrix) => void {
  const { tokens } = b;
  const place = { layer, matrix: WEIGHTS.value, firstColumn };
  const value = b.activation(`${name}.value`, head.dim, { layer, matrix: ACTIVATIONS.value, firstColumn });
  const project = linear(b, x, value, `${name}.value`, layer, place);
  if (head.kind === 'conv') {
    const kernel = b.weight(`${name}.kernel`, head.kernel, head.dim, {});
    b.convolution(`${name}.convolution`, layer, value, kernel, head.kernel, context);
    return (dContext, dX) => {
      const dValue = b.gradient(`${name}.value'`, value);
      b.convolution(`${name}.kernel'`, layer, dContext, value, head.kernel, b.weightGradient(kernel));
      b.convolution(`${name}.value'`, layer, dContext, kernel, head.kernel, dValue);
      project(dValue, dX);
    };
  }
  const table = b.weight(`${name}.${head.kind}`, tokens, tokens, { content: 'dense' });
  b.product(`${name}.${head.kind}`, layer, left(table), left(value), context);
  return (dContext, dX) => {
    const dValue = b.gradient(`${name}.value'`, value);
    b.product(`${name}.value'`, layer, left(table, true), left(dContext), dValue);
    project(dValue, dX);
  };
}
