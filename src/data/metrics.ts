/** Quality metrics as the benchmarks define them, over parallel arrays of one entry per example. */
import { sampleCorrelation, sampleRankCorrelation } from 'simple-statistics';
import { TandemError } from '../errors.js';
import { type Named, Registry } from '../registry.js';

export interface Metric extends Named {
  /** 1 is perfect in every metric here; higher is better. */
  compute(predicted: ArrayLike<number>, expected: ArrayLike<number>): number;
}

/** How often each class (row: expected, column: predicted) was predicted; as many classes as occur. */
export function confusionMatrix(predicted: ArrayLike<number>, expected: ArrayLike<number>): number[][] {
  requirePairs(predicted, expected);
  let classes = 0;
  for (const labels of [predicted, expected]) {
    for (let i = 0; i < labels.length; i++) classes = Math.max(classes, labels[i]! + 1);
  }
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < expected.length; i++) matrix[expected[i]!]![predicted[i]!]!++;
  return matrix;
}

function requirePairs(predicted: ArrayLike<number>, expected: ArrayLike<number>): void {
  if (predicted.length === expected.length && expected.length > 0) return;
  throw new TandemError(
    'TANDEM_INTERNAL',
    `A metric needs one prediction per example; it was given ${predicted.length} for ${expected.length}.`,
  );
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const column = (matrix: readonly number[][], c: number): number => sum(matrix.map((row) => row[c]!));

/** 2·TP / (predicted + expected) of one class; 0 where the class neither occurs nor is predicted. */
function f1(matrix: readonly number[][], label: number): number {
  const row = matrix[label];
  if (!row) return 0;
  const total = sum(row) + column(matrix, label);
  return total === 0 ? 0 : (2 * row[label]!) / total;
}

/** Matthews correlation for any number of classes (Gorodkin, 2004); 0 where predictions or labels are constant. */
function matthews(matrix: readonly number[][]): number {
  const expected = matrix.map(sum);
  const predicted = matrix.map((_, c) => column(matrix, c));
  const total = sum(expected);
  const correct = sum(matrix.map((row, c) => row[c]!));
  const product = (a: readonly number[], b: readonly number[]) => sum(a.map((value, i) => value * b[i]!));
  const spread = (total ** 2 - product(predicted, predicted)) * (total ** 2 - product(expected, expected));
  return spread === 0 ? 0 : (correct * total - product(predicted, expected)) / Math.sqrt(spread);
}

/** A constant side has no correlation: 0. */
function correlation(predicted: ArrayLike<number>, expected: ArrayLike<number>, by: typeof sampleCorrelation): number {
  requirePairs(predicted, expected);
  const [x, y] = [Array.from(predicted), Array.from(expected)];
  const constant = (values: readonly number[]) => values.every((value) => value === values[0]);
  return constant(x) || constant(y) ? 0 : by(x, y);
}

export const metrics = new Registry<Metric>('metric');

metrics.register({
  name: 'accuracy',
  description: 'Share of examples whose class is predicted right.',
  compute: (predicted, expected) => {
    const matrix = confusionMatrix(predicted, expected);
    return sum(matrix.map((row, c) => row[c]!)) / expected.length;
  },
});
metrics.register({
  name: 'f1',
  description: 'Harmonic mean of precision and recall of class 1 (MRPC and QQP in GLUE).',
  compute: (predicted, expected) => f1(confusionMatrix(predicted, expected), 1),
});
metrics.register({
  name: 'f1-macro',
  description: 'Unweighted mean of the F1 of every class that occurs or is predicted.',
  compute: (predicted, expected) => {
    const matrix = confusionMatrix(predicted, expected);
    const present = matrix.flatMap((row, c) => (sum(row) + column(matrix, c) > 0 ? [f1(matrix, c)] : []));
    return sum(present) / present.length;
  },
});
metrics.register({
  name: 'matthews',
  description: 'Matthews correlation coefficient (CoLA in GLUE).',
  compute: (predicted, expected) => matthews(confusionMatrix(predicted, expected)),
});
metrics.register({
  name: 'pearson',
  description: 'Pearson correlation of predicted and expected values (STS-B in GLUE).',
  compute: (predicted, expected) => correlation(predicted, expected, sampleCorrelation),
});
metrics.register({
  name: 'spearman',
  description: 'Spearman rank correlation of predicted and expected values, ties at their mean rank (STS-B in GLUE).',
  compute: (predicted, expected) => correlation(predicted, expected, sampleRankCorrelation),
});
