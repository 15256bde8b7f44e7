/** What a search is made of: a space of ordered choices, a sampler that proposes points, and what is found out about them. */
import type { ZodType } from 'zod';
import type { Named } from '../registry.js';

/** One choice: its values in order, from the one that changes the model least (and costs most) to the cheapest one. */
export interface Dimension {
  readonly name: string;
  readonly values: readonly number[];
}

export interface Space {
  readonly dimensions: readonly Dimension[];
}

/** For each dimension, the index of one of its values. */
export type Point = readonly number[];

/** What is found out about a point. */
export interface Judgement {
  /** To be made small; above 0. */
  readonly cost: number;
  /** How far a limit is passed, in the limit's own unit; 0 or less: it is kept. */
  readonly violation: number;
}

export interface Trial extends Judgement {
  readonly point: Point;
}

export interface SamplerContext {
  /** Of every random choice of the sampler. */
  readonly seed: number;
  /** How many points it may ask for. */
  readonly trials: number;
}

/** Proposes points one after the other. */
export interface Sampling {
  /** A point of the space; undefined when there is none left that is worth a trial. */
  ask(): Point | undefined;
  /** What was found out about the point that was asked for last. */
  tell(trial: Trial): void;
}

/** A way to look for the cheapest point that keeps the limit. */
export interface Sampler<Options = unknown> extends Named {
  readonly schema: ZodType<Options>;
  start(space: Space, options: Options, context: SamplerContext): Sampling;
}
