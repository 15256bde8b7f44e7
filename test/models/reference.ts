/** Transformer encoders in double precision and plain loops: the formulas, written a second time. */
import type { Tensor } from '../../src/graph/types.js';

export type Matrix = number[][];
/** Initializers of the graph under test. */
export type Lookup = (name: string) => Tensor;

const cache = new WeakMap<Tensor, Matrix>();

/** A tensor as rows of its last axis. */
export function matrixOf(tensor: Tensor): Matrix {
  const known = cache.get(tensor);
  if (known) return known;
  const columns = tensor.shape.at(-1)!;
  const values = Array.from(tensor.data as Float32Array);
  const rows = Array.from({ length: values.length / columns }, (_, i) => values.slice(i * columns, (i + 1) * columns));
  cache.set(tensor, rows);
  return rows;
}

export const add = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((value, j) => value + b[i]![j]!));

export function dense(x: Matrix, weights: Lookup, name: string): Matrix {
  const weight = matrixOf(weights(`${name}.weight`));
  const bias = matrixOf(weights(`${name}.bias`))[0]!;
  return x.map((row) => {
    const sums = [...bias];
    row.forEach((value, from) => {
      const weightRow = weight[from]!;
      for (let to = 0; to < sums.length; to++) sums[to]! += value * weightRow[to]!;
    });
    return sums;
  });
}

export function norm(x: Matrix, weights: Lookup, name: string, epsilon: number): Matrix {
  const scale = matrixOf(weights(`${name}.weight`))[0]!;
  const bias = matrixOf(weights(`${name}.bias`))[0]!;
  return x.map((row) => {
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
    return row.map((value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * scale[i]! + bias[i]!);
  });
}

export function attention(x: Matrix, weights: Lookup, name: string, heads: number): Matrix {
  const [query, key, value] = ['query', 'key', 'value'].map((part) => dense(x, weights, `${name}.${part}`)) as [
    Matrix,
    Matrix,
    Matrix,
  ];
  const dim = query[0]!.length / heads;
  const context = x.map(() => new Array<number>(heads * dim).fill(0));
  for (let head = 0; head < heads; head++) {
    const columns = Array.from({ length: dim }, (_, i) => head * dim + i);
    query.forEach((q, i) => {
      const scores = key.map((k) => columns.reduce((sum, c) => sum + q[c]! * k[c]!, 0) / Math.sqrt(dim));
      const largest = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - largest));
      const total = shares.reduce((sum, share) => sum + share, 0);
      for (const c of columns) context[i]![c] = value.reduce((sum, v, j) => sum + (shares[j]! / total) * v[c]!, 0);
    });
  }
  return dense(context, weights, `${name}.projection`);
}

export const map = (x: Matrix, f: (value: number) => number): Matrix => x.map((row) => row.map(f));
