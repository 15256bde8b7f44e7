/** What an experiment on decoding writes to result.json. `schemaVersion` rises with any incompatible change. */
import type { MachineOutcome, ShapeOutcome } from '../result.js';
import type { DecoderTrainingPoint } from './train.js';

export const DECODING_SCHEMA_VERSION = 1;

/** Quality and depth of one way to decode, teacher-forced on held-out text. */
export interface DecodingQuality {
  /** exp of the mean cross entropy; each token counts with the distribution at its exit. */
  readonly perplexity: number;
  /** Share of tokens whose most probable next token is the full model's. */
  readonly agreement: number;
  /** Decoder layers that a token runs at its own step, on average. */
  readonly meanDecoders: number;
}

export interface DecodingResult {
  readonly schemaVersion: typeof DECODING_SCHEMA_VERSION;
  readonly kind: 'decoding';
  readonly name: string;
  readonly tandemVersion: string;
  readonly seed: number;
  readonly decoder: {
    readonly name: string;
    readonly parameters: number;
    readonly layers: number;
    readonly hidden: number;
    readonly heads: number;
    readonly vocabulary: number;
    readonly context: number;
    readonly source: string;
    readonly licence: string;
    readonly sha256: string;
  };
  readonly text: {
    readonly corpora: readonly string[];
    /** Tokens of each split; 0 for a training split that was not read. */
    readonly training: number;
    readonly validation: number;
    readonly test: number;
    readonly sha256: { readonly training: string; readonly validation: string; readonly test: string };
  };
  readonly technique: { readonly name: string; readonly options: unknown };
  /** Cross entropy in nats a token at each layer's exit, on the test split. */
  readonly exitLosses: readonly number[];
  /** Where thresholds come from; absent where the experiment gives them. */
  readonly calibration?: {
    /** Tokens of the validation split. */
    readonly tokens: number;
    /** What may be lost there: relative perplexity, or 1 − agreement. */
    readonly budget: { readonly measure: 'perplexity' | 'agreement'; readonly loss: number };
    readonly full: DecodingQuality;
    readonly calibrated: DecodingQuality;
    /** The best single threshold for all layers that keeps the same budget there. */
    readonly uniform: DecodingQuality;
    /** All tokens leaving after the same layer, the first that keeps the budget. */
    readonly fixed: DecodingQuality;
  };
  /** By layer from the first; the last has none. Above 1: no check is made after that layer. */
  readonly thresholds: readonly number[];
  /** On the test split. `adapted` is ToEx with lazy back-fill. */
  readonly quality: {
    readonly tokens: number;
    readonly full: DecodingQuality;
    readonly adapted: DecodingQuality;
    /** The same thresholds with another treatment of missing keys and values, or the full output embedding for checks. */
    readonly rivals: readonly (DecodingQuality & { readonly name: string })[];
    /** Share of the tokens that left early whose candidates held the most probable token. */
    readonly candidateHits: number;
  };
  /** Quality against depth on the test split, one threshold for all layers, by rising threshold. */
  readonly curves: readonly {
    /** "light output embedding", "full output embedding". */
    readonly name: string;
    readonly points: readonly (DecodingQuality & { readonly threshold: number })[];
  }[];
  /** Share of the test tokens that exit after each layer; adds up to 1. */
  readonly exitShares: readonly number[];
  /** A passage of the test split: each token's text and its exit layer, 1 … layers. */
  readonly example: { readonly tokens: readonly string[]; readonly exits: readonly number[] };
  readonly machines: readonly MachineOutcome[];
  readonly shapes: readonly ShapeOutcome[];
  readonly training: readonly DecoderTrainingPoint[];
  readonly trace: { readonly file: string; readonly sequences: number; readonly bytes: number };
  /** Wall-clock seconds by stage: the only part that differs between equal runs. */
  readonly timings: Readonly<Record<string, number>>;
  readonly remarks: readonly string[];
}
