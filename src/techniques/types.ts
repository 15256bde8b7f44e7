import type { ZodType } from 'zod';
import type { GradientRule } from '../graph/gradients/rule.js';
import type { Graph, Tensor } from '../graph/types.js';
import type { Named } from '../registry.js';
import type { Feeds, Fetched } from '../runtime/types.js';
import type { MaskRecord, TraceRecord } from '../trace/types.js';
import type { SparsityProfile } from './profile.js';

/** A model graph made ready to learn a technique's parameters together with its weights. */
export interface TrainingRewrite {
  readonly graph: Graph;
  /** New parameters (initializers of `graph`). */
  readonly trainable: readonly string[];
  readonly learningRate: number;
  /** Share of the steps over which these parameters move; the weights then settle around fixed ones. */
  readonly learnedUntil: number;
  /** Scalar value to add to the task loss, weighted by `penaltyWeight`; absent: the task's loss is all there is. */
  readonly penalty?: string;
  readonly penaltyWeight?: number;
  /** Gradients that replace an operator's own, as in `differentiate`. */
  readonly gradientRules?: Readonly<Record<string, GradientRule | 'zero'>>;
  /**
   * Inputs that change over training, for step 0 … steps − 1.
   * @param carried what `feedback` handed on from the step before; undefined at the first
   */
  feeds(step: number, steps: number, carried?: Carried): Feeds;
  /** Scalars worth recording at each step, by what reports call them. */
  readonly monitors: Readonly<Record<string, string>>;
  readonly feedback?: StepFeedback;
  readonly observer?: TrainingObserver;
}

/** What one step hands to the next besides the weights: part of what an interrupted training needs to go on. */
export type Carried = readonly number[];

/** Lets the feeds of a step depend on what the steps before it measured. */
export interface StepFeedback {
  /** Values fetched at each step, of `graph` or made by `gradientRules` under these names; of the step's last batch. */
  readonly measured: readonly string[];
  /** After a step: what to record of it, and what to hand on. */
  next(measured: Fetched, carried: Carried | undefined): { monitors: Record<string, number>; carried: Carried };
  /** What `forInference` gets beside the trained values, once training is over. */
  found(carried: Carried | undefined): Parameters;
}

/** Masks of the matrices of a training step. */
export interface TrainingObserver {
  /** Attention heads of each layer. */
  readonly headsPerLayer: readonly number[];
  /** Values to know at a step that is traced: of `graph`, made by `gradientRules`, weights, or gradients (`grad:<weight>`). */
  readonly observed: readonly string[];
  /**
   * Records of one batch, sequence by sequence from 0. Masks of weights and of their gradients, which the batch shares,
   * come with sequence 0.
   * @param lengths real tokens of each sequence in the batch
   */
  record(fetched: Fetched, lengths: readonly number[], step: number): Generator<MaskRecord>;
}

/** Trained values by initializer name: weights and the technique's own parameters. */
export type Parameters = ReadonlyMap<string, Tensor>;

/** What one attention head was taught. */
export interface HeadRule {
  readonly layer: number;
  readonly head: number;
  /** Scores below are pruned, in units of the scaled score q·k/√d. */
  readonly threshold: number;
  /** Width of its integer queries and keys, sign included. */
  readonly bits: number;
}

/** A model graph that decides at run time, with what must be fetched to know what it decided. */
export interface InferenceRewrite {
  readonly graph: Graph;
  /** Attention heads of each layer. */
  readonly headsPerLayer: readonly number[];
  /** Rules of heads that were taught one each, in order of layer, then head; empty for a technique that has none. */
  readonly heads: readonly HeadRule[];
  /** Values of the inputs that the rewrite added, the same for every batch: parameters that may change at run time. */
  readonly feeds?: Feeds;
  /** Values to fetch when a trace is recorded. */
  readonly observed: readonly string[];
  /** Where the graph counts the zeros that the technique makes. */
  readonly counts?: SparsityCounts;
  /** For the headers of its traces: what machines must know beside the records. */
  readonly notes?: Readonly<Record<string, string>>;
  /**
   * Records of one batch, sequence by sequence.
   * @param lengths real tokens of each sequence in the batch
   * @param firstSequence number of the batch's first sequence in the trace
   */
  record(fetched: Fetched, lengths: readonly number[], firstSequence: number): Generator<TraceRecord>;
}

/** Zeros that a graph counts in its own matrices, real tokens only. */
export interface SparsityCounts {
  /** Values, float64 [batch, matrices]: zeros, and elements, of each sequence. */
  readonly zeros: string;
  readonly elements: string;
  /** By column: the matrix's layer and its name in traces. */
  readonly matrices: readonly { readonly layer: number; readonly matrix: string }[];
}

/** A pruning rule whose curves are measured: its parameter is an input of one graph. */
export interface ProfiledRule {
  /** As curves name it, with what moves along them: "dynatran" and "τ", "top-k" and "k". */
  readonly rule: string;
  readonly parameter: string;
  /** Where to measure, in ascending order. */
  readonly values: readonly number[];
  /** The pruned model at a value: the same graph for all of them, with other feeds. It counts its zeros. */
  rewrite(value: number): InferenceRewrite & { readonly counts: SparsityCounts };
}

/** Chooses a parameter of the technique from curves that are measured beside the test split. */
export interface Profiler<Options> {
  /** The input of adapted graphs, a float32 scalar, that the chosen parameter is: it may change at run time. */
  readonly input: string;
  /**
   * The rules that curves show; the technique's own comes first, and is the one to choose from.
   * @param graph the original model with its trained weights
   * @param tokens of the longest text
   */
  rules(graph: Graph, options: Options, tokens: number): readonly ProfiledRule[];
  /**
   * The options with the chosen parameter in them, ready for `forInference`.
   * @throws TANDEM_TARGET_UNREACHABLE when no measured parameter does what is asked for
   */
  settle(options: Options, profile: SparsityProfile): { options: Options; parameter: number };
}

/** Options of a technique as a space of ordered choices, for whoever searches them on a trained model. */
export interface OptionsSpace<Options> {
  /** Values of each choice, from the one that changes the model least to the one that saves most. */
  readonly dimensions: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** @param point for each dimension, the index of one of its values; every combination is allowed */
  options(point: readonly number[]): Options;
  /** The model with these options. Points that differ in feeds alone share one graph object. */
  rewrite(point: readonly number[]): InferenceRewrite;
}

/** Largest magnitudes seen on calibration data, by value name. */
export type Ranges = ReadonlyMap<string, number>;

/** A technique decides at run time how much work each part of a model needs. It is a pair of graph rewrites. */
export interface Technique<Options = unknown> extends Named {
  readonly schema: ZodType<Options>;
  /** Undefined for a technique that leaves the weights as they are: its model is the baseline's, rewritten. */
  forTraining(graph: Graph, options: Options): TrainingRewrite | undefined;
  /** Values whose largest magnitude must be known before `forInference` (quantiser ranges); they exist in both graphs. */
  calibrated(graph: Graph, options: Options): readonly string[];
  /** @param graph the original model with its trained weights */
  forInference(graph: Graph, options: Options, parameters: Parameters, ranges: Ranges): InferenceRewrite;
  readonly profiler?: Profiler<Options>;
  /** Rules whose curves are measured on the trained model, for a technique that chooses nothing from them. */
  readonly curves?: (graph: Graph, options: Options, tokens: number) => readonly ProfiledRule[];
  /** Options that may be searched on a trained model: only of a technique that trains nothing. */
  readonly space?: (graph: Graph, options: Options, ranges: Ranges) => OptionsSpace<Options>;
  /** Options that a search finds, and that may therefore not be given beside one. */
  readonly searched?: readonly string[];
  /** Widths that tokens may have in its traces, bits; absent for a technique that gives tokens none. */
  readonly tokenWidths?: (options: Options) => readonly number[];
  /** What its rate of pruning counts, for reports; by default activations that are zero. */
  readonly pruned?: string;
}
