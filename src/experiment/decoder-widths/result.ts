/** What an experiment on a decoder's widths writes to result.json. `schemaVersion` rises with any incompatible change. */
import type { DecodingResult } from '../decoding/result.js';
import type {
  ConfirmationSteps,
  MachineOutcome,
  RunResult,
  SearchOutcome,
  TokenWidthsExample,
  WidthShares,
} from '../result.js';

export const DECODER_WIDTHS_SCHEMA_VERSION = 1;

/** A choice of widths on the test split, teacher-forced. */
export interface WidthsQuality {
  readonly name: string;
  /** exp of the mean cross entropy. */
  readonly perplexity: number;
  /** 95 % interval for the relative change of perplexity, over sequences; absent for the decoder as it is, and for a single sequence. */
  readonly interval?: readonly [low: number, high: number];
  /**
   * Bits of keys and values that steps of the traced sequences read, over those of the experiment's largest width for all tokens; absent
   * for the decoder as it is.
   */
  readonly bitsRead?: number;
}

/** One trial of a search. */
export interface WidthsTrial {
  /** For each dimension, the index of one of its values. */
  readonly point: readonly number[];
  /** Relative to `referenceCost`. */
  readonly cost: number;
  /** On the sequences that calibrate. */
  readonly perplexity: number;
  /** Upper end of the interval for the share of perplexity lost there, at `confidence`. */
  readonly atMost: number;
}

/** As `SearchOutcome`, with perplexities in place of accuracies. */
export interface WidthsSearch
  extends Pick<SearchOutcome, 'machine' | 'minimised' | 'confidence' | 'dimensions' | 'referenceCost'> {
  /** Share of the perplexity that may be lost. */
  readonly perplexityBudget: number;
  readonly calibration: { readonly sequences: number; readonly baseline: number };
  readonly confirmation: { readonly sequences: number; readonly baseline: number } & ConfirmationSteps;
  readonly samplers: readonly {
    readonly name: string;
    readonly runs: readonly { readonly seed: number; readonly trials: readonly WidthsTrial[] }[];
  }[];
  readonly chosen: WidthsTrial & {
    /** Perplexity on the sequences that confirm. */
    readonly confirmed: number;
    /** Upper end of the interval for the share of perplexity lost there, at `confidence`. */
    readonly confirmedAtMost: number;
  };
}

/** Other widths on the same decoder, with machines of their own. */
export interface WidthsRival extends Pick<DecodingResult, 'trace'> {
  readonly name: string;
  readonly technique: { readonly name: string; readonly options: unknown };
  readonly search?: WidthsSearch;
  readonly widthShares: readonly WidthShares[];
  /** Names of its machines among `DecoderWidthsResult.machines`. */
  readonly machines: readonly string[];
}

export interface DecoderWidthsResult
  extends Pick<
      DecodingResult,
      'name' | 'tandemVersion' | 'seed' | 'decoder' | 'text' | 'trace' | 'timings' | 'remarks'
    >,
    Pick<RunResult, 'shapes' | 'equal'> {
  readonly schemaVersion: typeof DECODER_WIDTHS_SCHEMA_VERSION;
  readonly kind: 'decoder-widths';
  readonly technique: { readonly name: string; readonly options: unknown };
  readonly search?: WidthsSearch;
  readonly rivals: readonly WidthsRival[];
  /** On the test split: the decoder as it is first, rivals by their names, what the experiment is about last. */
  readonly quality: { readonly tokens: number; readonly choices: readonly WidthsQuality[] };
  /** Of the tokens that steps of the traced sequences see. */
  readonly widthShares: readonly WidthShares[];
  /** A passage, and the widths that its tokens have for its last step. */
  readonly tokenWidths: readonly TokenWidthsExample[];
  readonly machines: readonly MachineOutcome[];
}
