import { GraphBuilder } from '../../src/graph/builder.js';
import { floatTensor, type Graph, int, type Tensor } from '../../src/graph/types.js';
import type { OptimizerOptions } from '../../src/runtime/types.js';

export const optimizer: OptimizerOptions = {
  groups: [{ match: /./, learningRate: 0.05, weightDecay: 0 }],
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  clipNorm: 0,
  warmup: 0,
  schedule: 'constant',
  accumulate: 1,
};

export const float32 = (value: Tensor | undefined): Float32Array => value!.data as Float32Array;

/** Deterministic values between −1 and 1. */
export const wave = (size: number, phase = 0): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + phase));

/** loss = mean (tanh(x·w1 + b1)·w2 − y)²; w1 is 3 × 5, so that parameters need padding */
export function network(): Graph {
  const b = new GraphBuilder('network');
  const x = b.input('x', 'float32', ['batch', 3]);
  const y = b.input('y', 'float32', ['batch', 1]);
  const w1 = b.initializer('w1', floatTensor(wave(15), [3, 5]));
  const b1 = b.initializer('b1', floatTensor(wave(5, 1)));
  const w2 = b.initializer('w2', floatTensor(wave(5, 2), [5, 1]));
  const hidden = b.op('Tanh', [b.add(b.matmul(x, w1), b1)], {}, 'hidden');
  const error = b.sub(b.matmul(hidden, w2), y, 'error');
  b.output(b.op('ReduceMean', [b.mul(error, error)], { keepdims: int(0) }, 'loss'));
  return b.finish();
}

export const trainable = ['w1', 'b1', 'w2'];

/** Example i of an endless regression task. */
export function batchOf(examples: readonly number[]): { x: Tensor; y: Tensor } {
  const x = examples.flatMap((i) => [Math.sin(i), Math.cos(2 * i), Math.sin(3 * i + 1)]);
  const y = examples.map((i) => Math.sin(i) * Math.cos(2 * i));
  return { x: floatTensor(x, [examples.length, 3]), y: floatTensor(y, [examples.length, 1]) };
}

/** x + x, float32 [n, 4] */
export function doubling(opType = 'Add'): Graph {
  const b = new GraphBuilder('doubling');
  const x = b.input('x', 'float32', ['n', 4]);
  b.output(b.op('Add', [x, x], {}, 'y'));
  const graph = b.finish();
  return { ...graph, nodes: graph.nodes.map((node) => ({ ...node, opType })) };
}
