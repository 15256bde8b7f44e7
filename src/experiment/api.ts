/** What the command line asks of the pipeline (run.ts), as types only. */
import type { DecoderWidthsResult } from './decoder-widths/result.js';
import type { DecodingResult } from './decoding/result.js';
import type { LoadedDecoderWidths, LoadedDecoding, LoadedExperiment } from './load.js';
import type { Progress } from './progress.js';
import type { RunResult } from './result.js';
import type { RunFolder } from './run-folder.js';

export interface RunContext {
  readonly progress: Progress;
  /** When it fires: finish the current step, save, and throw TANDEM_INTERRUPTED. */
  readonly signal?: AbortSignal;
}

export interface TrainingSummary {
  /** Shares in 0 … 1 on the held-out test split. */
  readonly accuracy: { readonly baseline: number; readonly adapted: number; readonly examples: number };
  readonly pruningRate: number;
  /** By layer and head, in units of the scaled score. */
  readonly thresholds: readonly { readonly layer: number; readonly head: number; readonly threshold: number }[];
}

export interface EvaluationRequest {
  /** A run folder whose training is done, or an .onnx file that `exportModel` wrote. */
  readonly source: string;
  /** Default: the data set of the run or of the exported model. */
  readonly dataset?: string;
  /** Folder of the data, for data sets that need one; relative to the working folder. */
  readonly folder?: string;
  readonly split: 'validation' | 'test';
  /** Number of examples; default: all of the split that the run used. */
  readonly examples?: number;
  /** For an adapted model whose threshold may change at run time; default: the one that it was given. */
  readonly threshold?: number;
}

export interface EvaluationResult {
  readonly model: 'baseline' | 'adapted';
  readonly dataset: string;
  readonly split: 'validation' | 'test';
  readonly examples: number;
  /** By name; shares in 0 … 1. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Of a model that has a threshold at run time: the one it was measured at, to float32. */
  readonly threshold?: number;
  /** Of a model that counts its zeros: zeros over elements of its pruned activations, real tokens only. */
  readonly sparsity?: number;
}

export interface ExportRequest {
  readonly run: string;
  /** The .onnx file to write; appears whole or not at all. */
  readonly output: string;
  readonly model: 'adapted' | 'baseline';
}

export interface ExportSummary {
  readonly output: string;
  readonly model: 'adapted' | 'baseline';
  readonly bytes: number;
  readonly sha256: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Implemented by run.ts. `folder` is open when these are called; the caller releases it. */
export interface Pipeline {
  /** All stages; writes result.json, report, figures and trace, and marks the run finished. */
  runExperiment(loaded: LoadedExperiment, folder: RunFolder, context: RunContext): Promise<RunResult>;
  /** The stages up to the trained models and their accuracy; `runExperiment` on the same folder goes on from there. */
  trainModel(loaded: LoadedExperiment, folder: RunFolder, context: RunContext): Promise<TrainingSummary>;
  /** One result per model that the source holds. */
  evaluateModel(request: EvaluationRequest, context: RunContext): Promise<EvaluationResult[]>;
  exportModel(request: ExportRequest, context: RunContext): Promise<ExportSummary>;
}

/** What training a decoder came to. */
export interface DecoderSummary {
  /** Nats a token on the test split, at the exit of each layer. */
  readonly losses: readonly number[];
  readonly testTokens: number;
}

export interface GenerationRequest {
  /** A decoder that comes with Tandem, by name, or a Hugging Face folder. */
  readonly model: string;
  readonly prompt: string;
  /** Most tokens to generate. */
  readonly tokens: number;
  readonly seed: number;
  /** 0: the likeliest token, always. */
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  /** Whether tokens may stop early. */
  readonly exit: boolean;
  /** Lead of the likeliest token from which one stops, 0 … 1; absent: as calibrated for the decoder, if it was. */
  readonly threshold?: number;
  readonly threads?: number;
}

/** A generated token. */
export interface GeneratedPiece {
  readonly id: number;
  /** What it completes; nothing where a character goes on in the next token. */
  readonly text: string;
  /** Layers that ran before it was chosen, and those that there are. */
  readonly exit: number;
  readonly layers: number;
  /** Of the last token: why it is the last. */
  readonly end?: 'end-of-text' | 'tokens' | 'context';
}

/** Implemented by decoding/generate.ts: token by token, as they come. */
export interface TextGenerator {
  generateText(request: GenerationRequest, context: RunContext): AsyncGenerator<GeneratedPiece>;
}

/** Implemented by decoding/run.ts; as `Pipeline`, for experiments on decoding. */
export interface DecodingPipeline {
  /** The stages up to the trained decoder, which lies in the run's folder `model`. */
  trainDecoding(loaded: LoadedDecoding, folder: RunFolder, context: RunContext): Promise<DecoderSummary>;
  /** All stages, as `runExperiment`. */
  runDecoding(loaded: LoadedDecoding, folder: RunFolder, context: RunContext): Promise<DecodingResult>;
}

/** Implemented by decoder-widths/run.ts; as `Pipeline`, for experiments on the widths of a decoder's tokens. */
export interface DecoderWidthsPipeline {
  /** All stages, as `runExperiment`. */
  runDecoderWidths(loaded: LoadedDecoderWidths, folder: RunFolder, context: RunContext): Promise<DecoderWidthsResult>;
}
