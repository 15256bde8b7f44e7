import type { Tensor } from '../graph/types.js';

export type Feeds = Readonly<Record<string, Tensor>>;
export type Fetched = Readonly<Record<string, Tensor>>;

export interface RuntimeOptions {
  /** onnxruntime execution providers in order of preference; default ['cpu']. */
  readonly executionProviders: readonly string[];
  /** Intra-operator threads; default: all cores. */
  readonly threads?: number;
  /**
   * Sessions that take turns: threads, which wait for work actively during a run, stop at its end instead of keeping the cores from the
   * session that runs next. Default false.
   */
  readonly takesTurns?: boolean;
}

/** Parameters that share optimiser settings. The first group whose pattern matches a parameter's name takes it. */
export interface ParameterGroup {
  readonly match: RegExp;
  readonly learningRate: number;
  readonly weightDecay: number;
  /**
   * Instead of the common schedule: the rate falls linearly from the first step and is 0 from this share of the steps on.
   */
  readonly until?: number;
}

export interface OptimizerOptions {
  readonly groups: readonly ParameterGroup[];
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Global gradient norm above which gradients are scaled down; 0: off. */
  readonly clipNorm: number;
  /** Share of the steps over which the learning rate rises linearly from 0; it then decays linearly to 0. */
  readonly warmup: number;
  readonly schedule: 'linear' | 'constant' | 'cosine';
  readonly accumulate: number;
}
