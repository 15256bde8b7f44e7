/**
 * The trace: what a run really needed. It stands between "what the model did" and "what the machine costs"; anyone may
 * produce or consume it. The binary format that carries these records is docs/trace-format.md. No dependencies.
 */

/** Describes the whole trace; the file's first block, as JSON. */
export interface TraceHeader {
  /** Who wrote it, e.g. "tandem 0.1.0". */
  readonly producer: string;
  readonly model: string;
  readonly task: string;
  readonly technique: string;
  /** Number of sequences the run processed; undefined when not known at the start of writing. */
  readonly sequences?: number;
  readonly layers: number;
  readonly headsPerLayer: readonly number[];
  /** Anything else worth keeping (seed, hashes of model and data): strings only. */
  readonly notes: Readonly<Record<string, string>>;
}

/** One attention head of one layer on one sequence: everything a score-level machine needs. */
export interface AttentionHeadRecord {
  readonly kind: 'attention-head';
  readonly sequence: number;
  readonly layer: number;
  readonly head: number;
  /** Real (not padding) queries and keys; padding was `paddedLength − queries` more. */
  readonly queries: number;
  readonly keys: number;
  readonly paddedLength: number;
  readonly headDim: number;
  readonly valueDim: number;
  /** Width of the integers in q and k, sign included. */
  readonly bits: number;
  readonly valueBits: number;
  /** Quantisation steps Δ_Q and Δ_K: real value = integer · step. */
  readonly queryStep: number;
  readonly keyStep: number;
  /** Keep a score iff Σ q·k ≥ threshold (integer domain). −Infinity: no pruning. */
  readonly threshold: number;
  /** True when query i sees keys 0…i only. */
  readonly causal: boolean;
  /** Row-major [queries × headDim]. */
  readonly q: Int16Array;
  /** Row-major [keys × headDim]. */
  readonly k: Int16Array;
  /**
   * Scores that took part in the softmax: bit (i·keys + j) & 7 of byte (i·keys + j) >> 3, [queries × keys].
   * Includes the one kept in a row where every score is below the threshold.
   */
  readonly survivors: Uint8Array;
}

/** Bit width given to each token at a layer (0: removed). Recorded by token-wise quantisation. */
export interface TokenBitsRecord {
  readonly kind: 'token-bits';
  readonly sequence: number;
  readonly layer: number;
  /** −1: all heads of the layer. */
  readonly head: number;
  readonly bits: Uint8Array;
}

/** What one attention head multiplied, with widths by token: integers, a row for each token that was not removed, in their order. */
export interface TokenOperandsRecord {
  readonly kind: 'token-operands';
  readonly sequence: number;
  readonly layer: number;
  /** Among the layer's attention heads. */
  readonly head: number;
  /** Rows: tokens that the sequence's record of bits gives any. */
  readonly tokens: number;
  readonly headDim: number;
  readonly valueDim: number;
  /** Row-major, [tokens × headDim], [tokens × headDim], [tokens × valueDim]. */
  readonly q: Int16Array;
  readonly k: Int16Array;
  readonly v: Int16Array;
  /** Quantisation steps of the rows of Q, then K, then V: real value = integer · step; 0 for a row of zeros. */
  readonly steps: Float32Array;
}

/** Number of decoder layers each token ran at its own step. Recorded by early exit. */
export interface TokenExitsRecord {
  readonly kind: 'token-exits';
  readonly sequence: number;
  /** Layers of the decoder. */
  readonly layers: number;
  /** The first `prompt` tokens were processed together, in one step, and have the same exit; at least 1. */
  readonly prompt: number;
  /** By position, 1 … layers. */
  readonly exits: Uint16Array;
}

/** Zero mask of one matrix (activation, weight or gradient), as a bit set of non-zeros, row-major, optionally by tile. */
export interface MaskRecord {
  readonly kind: 'mask';
  readonly sequence: number;
  readonly step: number;
  readonly layer: number;
  readonly phase: 'forward' | 'backward' | 'update';
  /** Name of the matrix, e.g. "query", "probabilities", "ffn.hidden". */
  readonly matrix: string;
  readonly rows: number;
  readonly columns: number;
  /** Elements of one mask bit: [1, 1] element-wise; [16, 16] a bit per tile. */
  readonly tile: readonly [number, number];
  readonly nonZero: Uint8Array;
}

export type TraceRecord = AttentionHeadRecord | TokenBitsRecord | TokenExitsRecord | MaskRecord | TokenOperandsRecord;
