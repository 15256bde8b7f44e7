/**
 * Thresholds of DynaProp, one for each pruned matrix: fixed ones, or thresholds that follow the sparsity that earlier steps
 * measured. They are host-side numbers that the graph is fed, so that nothing but them need be known to go on.
 */

/** What is pruned: forward activations (τ_I), gradients of activations (τ_A) and of parameters (τ_T). */
export const KINDS = ['forward', 'gradients', 'parameters'] as const;
export type Kind = (typeof KINDS)[number];

/** One absolute threshold for all matrices of a kind, or the share of zeros that each of them is steered to. */
export interface PruningRule {
  readonly threshold?: number;
  readonly sparsity?: number;
}

/** What one step measured of one matrix. */
export interface MatrixMeasure {
  /** Share of zeros after pruning. */
  readonly sparsity: number;
  /** Mean of |x| before pruning. */
  readonly mean: number;
}

/** Nats by which ln τ moves for each unit of sparsity missed. */
const GAIN = 1;
/** A matrix with more natural zeros than wanted would drive its threshold to 0, from where no factor leads back. */
const LOWEST = 1e-30;
const HIGHEST = 1e30;

/** Thresholds of the first step: nothing is known yet of matrices that are steered, so nothing is pruned. */
export const firstThreshold = ({ threshold = 0 }: PruningRule): number => threshold;

/**
 * The next step's threshold. A steered one starts where a matrix with exponentially distributed magnitudes would have
 * the wanted share below it, −ln(1 − p) times its mean magnitude; then ln τ integrates what is missed, so that the mean
 * sparsity over n steps lies within |ln(τ_last / τ_first)| / (GAIN · n) of the one wanted.
 */
export function nextThreshold(rule: PruningRule, threshold: number, { sparsity, mean }: MatrixMeasure): number {
  if (rule.sparsity === undefined) return threshold;
  if (threshold > 0) return clamped(threshold * Math.exp(GAIN * (rule.sparsity - sparsity)));
  return mean > 0 ? clamped(-Math.log(1 - rule.sparsity) * mean) : 0;
}

const clamped = (threshold: number): number => Math.min(HIGHEST, Math.max(LOWEST, threshold));
