/**
 * A model as the corrected ELECTOR sees it: matrices, and operations that read and write them. Everything that the
 * machine does follows from these: what must be loaded, what waits for what, when a matrix is needed last.
 */
import { ACTIVATIONS, feedForwardHidden, feedForwardWeight, WEIGHTS } from '../../trace/matrices.js';
import type { HeadOperation, TransformerArchitecture, TransformerLayer } from '../../workload/transformer.js';
import type { Convolution, MaskPlace, Matrix, Program } from './operations.js';
import { operand, ProgramBuilder } from './program-builder.js';

/** What the backward pass of a step needs of its forward pass; it returns the gradient of the step's input. */
type Backward = (gradient: Matrix) => Matrix;

/** Gradients come as terms of a sum: one through the layer's heads, one past them. */
interface ForwardLayer {
  readonly output: Matrix;
  backward(gradients: readonly Matrix[]): readonly Matrix[];
}

/** The operations of one batch: forward, and for training backward in reverse order. */
export function buildProgram(
  architecture: TransformerArchitecture,
  phase: 'inference' | 'training',
  tokens: number,
): Program {
  const b = new ProgramBuilder(tokens);
  const first = architecture.layers[0]!;
  const width = first.input ?? first.hidden;
  const embedding = b.weight('embedding', architecture.vocabulary + architecture.tokens, width, {});
  let x = b.activation('layer0.input', width, { layer: 0, matrix: ACTIVATIONS.input });
  b.pass('gather', 'embedding', -1, [embedding], x);
  const embedded = x;
  const backward: ForwardLayer['backward'][] = [];
  architecture.layers.forEach((layer, index) => {
    const done = encoderLayer(b, x, layer, index, architecture.layers[index + 1]);
    x = done.output;
    backward.push(done.backward);
  });
  if (phase === 'training') {
    // The task's loss and head are a vector a sequence: too small to be modelled. Its gradient is there.
    let gradients: readonly Matrix[] = [b.gradient('loss.gradient', x)];
    for (const step of backward.reverse()) gradients = step(gradients);
    b.pass('gather', "embedding'", 0, gradients, b.embeddingGradient(embedded));
  }
  return { matrices: b.matrices, operations: b.operations, embedding };
}

function encoderLayer(
  b: ProgramBuilder,
  x: Matrix,
  layer: TransformerLayer,
  index: number,
  next: TransformerLayer | undefined,
): ForwardLayer {
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
  const widened = x.columns === hidden ? undefined : widen(b, x, hidden, index);
  b.pass('layer-norm', `${name}.norm1`, index, [attention, widened?.output ?? x], ffnInput);
  const ffn = feedForward(b, ffnInput, layer, index);
  const last = next === undefined || next.hidden === hidden;
  const nextInput = next ? { layer: index + 1, matrix: ACTIVATIONS.input } : { layer: index };
  const normed = b.activation(`${name}.output`, hidden, last ? nextInput : { layer: index });
  b.pass('layer-norm', `${name}.norm2`, index, [ffn.output, ffnInput], normed);
  const projected = last
    ? undefined
    : dense(b, normed, next.hidden, `${name}.resize`, index, { layer: index }, nextInput);
  return {
    output: projected?.output ?? normed,
    backward(gradients) {
      const dNormed = projected ? [projected.backward(gradients)] : gradients;
      const dFfn = b.gradient(`${name}.ffn.output'`, ffn.output);
      b.pass('layer-norm', `${name}.norm2'`, index, [...dNormed, ffn.output], dFfn);
      const dFfnInput = ffn.backward(dFfn);
      const dAttention = b.gradient(`${name}.attention'`, attention);
      b.pass('layer-norm', `${name}.norm1'`, index, [dFfnInput, attention, dFfn], dAttention);
      const dX = b.gradient(`${name}.input'`, x);
      for (const head of heads) head(dAttention, dX);
      if (!widened) return [dX, dAttention];
      widened.backward(dAttention, dX);
      return [dX];
    },
  };
}

/** Brings a residual of another width to the layer's. */
function widen(b: ProgramBuilder, x: Matrix, hidden: number, layer: number) {
  const name = `layer${layer}.widen`;
  const output = b.activation(name, hidden, { layer, content: 'dense' });
  return { output, backward: linear(b, x, output, name, layer, { layer }) };
}

/** Products with weight and, between the stacks, the non-linearity. */
function feedForward(b: ProgramBuilder, x: Matrix, { hidden, feedForward: stacks }: TransformerLayer, index: number) {
  const name = `layer${index}.ffn`;
  const steps: Dense[] = [];
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
    steps.reduceRight((dy, step) => step.backward([dy]), contract(gradient, b.gradient(`${input.name}'`, input)));
  return { output, backward };
}

interface Dense {
  readonly output: Matrix;
  /** @param gradients whose sum is that of the output */
  backward(gradients: readonly Matrix[]): Matrix;
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
): Dense {
  const linearOutput = b.activation(`${name}.linear`, width, { layer, content: 'dense' });
  const backward = linear(b, x, linearOutput, name, layer, weight);
  const active = b.activation(`${name}.active`, width, output);
  b.pass('non-linearity', `${name}.activation`, layer, [linearOutput], active);
  return {
    output: active,
    backward(gradients) {
      const dLinear = b.gradient(`${name}.linear'`, active);
      b.pass('non-linearity', `${name}.activation'`, layer, [...gradients, linearOutput], dLinear);
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
  b.product(name, layer, operand(x), operand(weight), output);
  return (gradient, dX) => {
    b.product(`${name}.weight'`, layer, operand(x, true), operand(gradient), b.weightGradient(weight));
    b.product(`${name}.input'`, layer, operand(gradient), operand(weight, true), dX);
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
  const weigh = weighted && linear(b, key.output, weighted, `${name}.weighting`, layer, { layer });
  const keys = weighted ?? key.output;
  const rows = { layer, rowBlock: number };
  const scores = b.activation(`${name}.scores`, tokens, { ...rows, matrix: ACTIVATIONS.scores });
  b.product(`${name}.scores`, layer, operand(query.output), operand(keys, true), scores);
  const probabilities = b.activation(`${name}.probabilities`, tokens, { ...rows, matrix: ACTIVATIONS.probabilities });
  b.pass('softmax', `${name}.softmax`, layer, [scores], probabilities);
  b.product(`${name}.context`, layer, operand(probabilities), operand(value.output), context);
  return (dContext, dX) => {
    const grad = (of: Matrix) => b.gradient(`${of.name}'`, of);
    const [dValue, dProbabilities, dScores] = [grad(value.output), grad(probabilities), grad(scores)];
    const [dQuery, dKeys] = [grad(query.output), grad(keys)];
    b.product(`${name}.value'`, layer, operand(probabilities, true), operand(dContext), dValue);
    b.product(`${name}.probabilities'`, layer, operand(dContext), operand(value.output, true), dProbabilities);
    b.pass('softmax', `${name}.softmax'`, layer, [dProbabilities, probabilities], dScores);
    b.product(`${name}.query'`, layer, operand(dScores), operand(keys), dQuery);
    b.product(`${name}.key'`, layer, operand(dScores, true), operand(query.output), dKeys);
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
  const place = { layer, matrix: WEIGHTS.value, firstColumn };
  const value = b.activation(`${name}.value`, head.dim, { layer, matrix: ACTIVATIONS.value, firstColumn });
  const project = linear(b, x, value, `${name}.value`, layer, place);
  if (head.kind === 'conv') {
    const taps = head.kernel;
    const kernel = b.weight(`${name}.kernel`, taps, head.dim, { layer });
    const convolution = (of: string, finds: Convolution['finds'], input: Matrix, other: Matrix, writes: Matrix) =>
      b.convolution(`${name}.${of}`, layer, { finds, input, other, kernel: taps }, writes);
    convolution('convolution', 'output', value, kernel, context);
    return (dContext, dX) => {
      const dValue = b.gradient(`${name}.value'`, value);
      convolution("kernel'", 'kernel gradient', dContext, value, b.weightGradient(kernel));
      convolution("value'", 'input gradient', dContext, kernel, dValue);
      project(dValue, dX);
    };
  }
  const table = b.table(head.kind);
  b.product(`${name}.${head.kind}`, layer, operand(table), operand(value), context);
  return (dContext, dX) => {
    const dValue = b.gradient(`${name}.value'`, value);
    b.product(`${name}.value'`, layer, operand(table, true), operand(dContext), dValue);
    project(dValue, dX);
  };
}
