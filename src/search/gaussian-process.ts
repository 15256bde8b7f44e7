/**
 * Gaussian process regression (Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006): a linear trend and a
 * Matérn 5/2 kernel over it, length scale and noise chosen by marginal likelihood.
 */
import { mean, standardDeviation } from 'simple-statistics';

export interface Prediction {
  readonly mean: number;
  readonly deviation: number;
}

export interface KernelSettings {
  /** Share of the variance that a linear trend may explain, beside the Matérn part of variance 1. */
  readonly trend: number;
  readonly lengthScale: number;
  /** Variance of the noise, relative to the Matérn part. */
  readonly noise: number;
}

/** Lower triangle L with L·Lᵀ = matrix, row by row; undefined where the matrix is not positive definite. */
export function cholesky(matrix: readonly Float64Array[]): Float64Array[] | undefined {
  const lower = matrix.map(() => new Float64Array(matrix.length));
  for (const [i, row] of lower.entries()) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i]![j]!;
      for (let k = 0; k < j; k++) sum -= row[k]! * lower[j]![k]!;
      if (i > j) row[j] = sum / lower[j]![j]!;
      else if (sum > 0) row[i] = Math.sqrt(sum);
      else return undefined;
    }
  }
  return lower;
}

/** x with L·x = b. */
export function solveLower(lower: readonly Float64Array[], b: ArrayLike<number>): Float64Array {
  const x = new Float64Array(b.length);
  for (let i = 0; i < b.length; i++) {
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= lower[i]![k]! * x[k]!;
    x[i] = sum / lower[i]![i]!;
  }
  return x;
}

/** x with Lᵀ·x = b. */
function solveUpper(lower: readonly Float64Array[], b: ArrayLike<number>): Float64Array {
  const x = new Float64Array(b.length);
  for (let i = b.length - 1; i >= 0; i--) {
    let sum = b[i]!;
    for (let k = i + 1; k < b.length; k++) sum -= lower[k]![i]! * x[k]!;
    x[i] = sum / lower[i]![i]!;
  }
  return x;
}

/** Eq. 4.17 with ν = 5/2, over a linear kernel (eq. 2.15 with unit basis). */
export function kernel(a: readonly number[], b: readonly number[], { trend, lengthScale }: KernelSettings): number {
  let [dot, squared] = [1, 0];
  for (let at = 0; at < a.length; at++) {
    dot += a[at]! * b[at]!;
    squared += (a[at]! - b[at]!) ** 2;
  }
  const r = Math.sqrt(5 * squared) / lengthScale;
  return trend * dot + (1 + r + (r * r) / 3) * Math.exp(-r);
}

const LENGTH_SCALES = [0.5, 1, 2, 4];
const NOISES = [1e-6, 1e-3, 1e-2, 0.1, 0.5];

export class GaussianProcess {
  readonly #lower: readonly Float64Array[];
  readonly #weights: Float64Array;
  /** ln p(values | points) but for a constant that settings do not change (eq. 2.30). */
  readonly logLikelihood: number;

  /** @param values with mean 0 and deviation 1, as `fitted` makes them */
  constructor(
    readonly points: readonly (readonly number[])[],
    values: readonly number[],
    readonly settings: KernelSettings,
  ) {
    const covariance = points.map((a, i) =>
      Float64Array.from(points, (b, j) => kernel(a, b, settings) + (i === j ? settings.noise + JITTER : 0)),
    );
    this.#lower = cholesky(covariance)!;
    const whitened = solveLower(this.#lower, values);
    this.#weights = solveUpper(this.#lower, whitened);
    const fit = whitened.reduce((sum, value) => sum + value * value, 0);
    const volume = this.#lower.reduce((sum, row, i) => sum + Math.log(row[i]!), 0);
    this.logLikelihood = -fit / 2 - volume;
  }

  /** Of the function itself, without noise (eqs. 2.25, 2.26). */
  predict(point: readonly number[]): Prediction {
    const { settings } = this;
    const covariances = this.points.map((known) => kernel(known, point, settings));
    const expected = covariances.reduce((sum, value, i) => sum + value * this.#weights[i]!, 0);
    const explained = solveLower(this.#lower, covariances).reduce((sum, value) => sum + value * value, 0);
    return { mean: expected, deviation: Math.sqrt(Math.max(0, kernel(point, point, settings) - explained)) };
  }
}

/** Keeps equal points apart from a singular matrix. */
const JITTER = 1e-9;

/** The likeliest process on the grid of settings, in the values' own unit. */
export function fitted(
  points: readonly (readonly number[])[],
  values: readonly number[],
  trend: number,
): (point: readonly number[]) => Prediction {
  const centre = mean([...values]);
  const scale = standardDeviation([...values]) || 1;
  const standard = values.map((value) => (value - centre) / scale);
  const width = Math.sqrt(points[0]!.length);
  const processes = LENGTH_SCALES.flatMap((length) =>
    NOISES.map((noise) => new GaussianProcess(points, standard, { trend, lengthScale: length * width, noise })),
  );
  const best = processes.reduce((a, b) => (b.logLikelihood > a.logLikelihood ? b : a));
  return (point) => {
    const { mean: expected, deviation } = best.predict(point);
    return { mean: centre + scale * expected, deviation: scale * deviation };
  };
}
