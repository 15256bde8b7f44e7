/**
 * What a step asks of the machine's units, operation by operation, and how often its parts work. An operation streams
 * its operands from memory through the stream buffer, tile by tile, and uses them as they come.
 */
import type { ToexConfig } from './toex-config.js';

export const UNITS = ['engine', 'special functions', 'exit unit'] as const;
export const ENGINE = 0;
export const SPECIAL = 1;
export const EXIT = 2;
export type Unit = typeof ENGINE | typeof SPECIAL | typeof EXIT;

/** Work of one head, in cycles, and bytes of its keys, and of its values, that come from memory. */
export interface HeadWork {
  readonly heads: number;
  readonly scoreCycles: number;
  readonly softmaxCycles: number;
  readonly contextCycles: number;
  readonly bytes: number;
}

export interface Operation {
  readonly name: string;
  readonly unit: Unit;
  /** Of the unit; of attention's engine, all heads. */
  readonly cycles: number;
  /** Bytes from memory, and those to it once the operation is done. */
  readonly read: number;
  readonly write: number;
  /** What is read after this operation depends on its result. */
  readonly decides?: boolean;
  /** Attention: heads of equal width, which follow each other in a pipeline with the special function unit. */
  readonly attention?: readonly HeadWork[];
}

/** How often things happened. Bytes are off-chip traffic, except of what is kept on the chip. */
export interface Activity {
  decodersLoaded: number;
  weightPasses: number;
  tokenLayers: number;
  backFilledTokenLayers: number;
  keyValueProjections: number;
  checks: number;
  macs: number;
  engineCycles: number;
  specialCycles: number;
  exitCycles: number;
  weightBytes: number;
  /** Of those, in passes over a layer's weights beyond one a step. */
  repeatedWeightBytes: number;
  outputEmbeddingBytes: number;
  candidateBytes: number;
  lightEmbeddingBytes: number;
  inputEmbeddingBytes: number;
  keyValueBytesRead: number;
  keyValueBytesWritten: number;
  stateBytesRead: number;
  stateBytesWritten: number;
  /** Elements that the units produced. */
  results: number;
  normElements: number;
  normRows: number;
  geluElements: number;
  softmaxElements: number;
  softmaxRows: number;
  signs: number;
  coarseScores: number;
  comparedLogits: number;
}

export function noActivity(): Activity {
  return {
    decodersLoaded: 0,
    weightPasses: 0,
    tokenLayers: 0,
    backFilledTokenLayers: 0,
    keyValueProjections: 0,
    checks: 0,
    macs: 0,
    engineCycles: 0,
    specialCycles: 0,
    exitCycles: 0,
    weightBytes: 0,
    repeatedWeightBytes: 0,
    outputEmbeddingBytes: 0,
    candidateBytes: 0,
    lightEmbeddingBytes: 0,
    inputEmbeddingBytes: 0,
    keyValueBytesRead: 0,
    keyValueBytesWritten: 0,
    stateBytesRead: 0,
    stateBytesWritten: 0,
    results: 0,
    normElements: 0,
    normRows: 0,
    geluElements: 0,
    softmaxElements: 0,
    softmaxRows: 0,
    signs: 0,
    coarseScores: 0,
    comparedLogits: 0,
  };
}

/** Softmax and layer norm look at each element twice: for sums, then for results. */
export const SPECIAL_PASSES = 2;

export const bytesOf = (words: number, bits: number): number => Math.ceil((words * bits) / 8);

export const specialCycles = (config: ToexConfig, elements: number): number =>
  Math.ceil(elements / config.specialLanes);

/** Layer norm of `tokens` states. */
export function norm(config: ToexConfig, activity: Activity, hidden: number, tokens: number, read = 0): Operation {
  activity.normElements += tokens * hidden;
  activity.normRows += tokens;
  activity.results += tokens * hidden;
  const cycles = tokens * SPECIAL_PASSES * specialCycles(config, hidden);
  return { name: 'norm', unit: SPECIAL, cycles, read, write: 0 };
}

/** Cycles of a matrix of `words`, one weight a lane, with `tokens` rows. */
export const productCycles = ({ engine }: ToexConfig, words: number, tokens: number): number =>
  Math.ceil(words / engine.lanes) * Math.ceil(tokens / engine.rows);
