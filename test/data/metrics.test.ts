import { describe, expect, it } from 'vitest';
import { confusionMatrix, metrics } from '../../src/data/metrics.js';

const of = (name: string, predicted: number[], expected: number[]) => metrics.get(name).compute(predicted, expected);

// Of ten examples, class 1: 3 true positives, 1 false positive, 2 false negatives, 4 true negatives.
const expected = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const predicted = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0];

describe('metrics of two classes', () => {
  it('counts expected classes by row and predicted ones by column', () => {
    expect(confusionMatrix(predicted, expected)).toEqual([
      [4, 1],
      [2, 3],
    ]);
  });

  it('gives accuracy, F1 and Matthews correlation by their definitions', () => {
    expect(of('accuracy', predicted, expected)).toBeCloseTo((3 + 4) / 10, 12);
    const [precision, recall] = [3 / 4, 3 / 5];
    expect(of('f1', predicted, expected)).toBeCloseTo((2 * precision * recall) / (precision + recall), 12);
    const negative = (2 * 4) / (2 * 4 + 1 + 2);
    expect(of('f1-macro', predicted, expected)).toBeCloseTo((negative + 6 / 9) / 2, 12);
    expect(of('matthews', predicted, expected)).toBeCloseTo((3 * 4 - 1 * 2) / Math.sqrt(4 * 5 * 5 * 6), 12);
  });

  it('gives 0 for a model that always answers the same', () => {
    expect(
      of(
        'matthews',
        expected.map(() => 0),
        expected,
      ),
    ).toBe(0);
    expect(
      of(
        'f1',
        expected.map(() => 0),
        expected,
      ),
    ).toBe(0);
    expect(of('f1', [0, 0], [0, 0])).toBe(0);
    expect(of('pearson', [2, 2, 2], [1, 2, 3])).toBe(0);
    expect(of('spearman', [2, 2, 2], [1, 2, 3])).toBe(0);
  });

  it('gives 1 for a perfect model', () => {
    for (const name of metrics.names()) expect(of(name, expected, expected)).toBeCloseTo(1, 12);
  });
});

describe('metrics of more classes', () => {
  const labels = [0, 0, 1, 1, 2, 2];
  const answers = [0, 1, 1, 1, 2, 0];

  it('averages F1 over the classes', () => {
    // precision and recall of class 0: 1/2, 1/2; of class 1: 2/3, 1; of class 2: 1, 1/2
    expect(of('f1-macro', answers, labels)).toBeCloseTo((1 / 2 + 4 / 5 + 2 / 3) / 3, 12);
  });

  it('leaves out classes that neither occur nor are predicted', () => {
    expect(of('f1-macro', [0, 3], [0, 3])).toBe(1);
  });

  it('gives the Matthews correlation as the correlation of one-hot labels', () => {
    // Gorodkin 2004: the covariance of one-hot predictions and labels over both their deviations.
    const oneHot = (values: number[]) => values.flatMap((value) => [0, 1, 2].map((c) => Number(c === value)));
    const centre = (values: number[]) => {
      const hot = oneHot(values);
      const means = [0, 1, 2].map((c) => values.filter((value) => value === c).length / values.length);
      return hot.map((value, i) => value - means[i % 3]!);
    };
    const dot = (a: number[], b: number[]) => a.reduce((total, value, i) => total + value * b[i]!, 0);
    const [x, y] = [centre(answers), centre(labels)];
    expect(of('matthews', answers, labels)).toBeCloseTo(dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y)), 12);
  });
});

describe('correlations', () => {
  it('gives Pearson and Spearman by hand', () => {
    expect(of('pearson', [1, 2, 3], [1, 2, 4])).toBeCloseTo(3 / Math.sqrt(2 * (14 / 3)), 12);
    expect(of('spearman', [1, 10, 100], [1, 2, 3])).toBeCloseTo(1, 12);
    // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5.
    expect(of('spearman', [1, 2, 2, 4], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 12);
  });

  it('refuses sides of different lengths', () => {
    expect(() => of('accuracy', [1], [1, 0])).toThrowError(expect.objectContaining({ code: 'TANDEM_INTERNAL' }));
  });
});
