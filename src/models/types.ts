import type { ZodType } from 'zod';
import type { Graph } from '../graph/types.js';
import type { Named } from '../registry.js';
import type { TransformerArchitecture } from '../workload/transformer.js';

/** Turns text into token ids, without padding. */
export interface Tokenizer {
  readonly vocabularySize: number;
  /** At most `maxTokens` ids, special tokens included where the model wants them. */
  encode(text: string, maxTokens: number): number[];
  decode(ids: readonly number[]): string;
}

/** A text classifier ready to run, to train or to rewrite. */
export interface ClassifierModel {
  readonly name: string;
  /**
   * Inputs: `input_ids` int64 [batch, tokens]; `attention_mask` float32 [batch, tokens], 1 for real tokens, 0 for padding.
   * Output: `logits` float32 [batch, classes].
   */
  readonly graph: Graph;
  readonly tokenizer: Tokenizer;
  /** Longest sequence the model can take. */
  readonly maxTokens: number;
  /** Initializers that fine-tuning updates, embeddings and biases included. */
  readonly trainable: readonly string[];
  /** The encoder's sizes as hardware sees them; undefined where a graph does not show them. */
  readonly architecture?: TransformerArchitecture;
  /** Where the weights come from, their licence, and the SHA-256 of the files read; empty hash for random weights. */
  readonly provenance: { readonly source: string; readonly licence: string; readonly sha256: string };
}

export interface ModelLoadContext {
  readonly classes: number;
  readonly seed: number;
  /** Folder against which relative paths in an experiment file resolve. */
  readonly baseFolder: string;
}

/** A family of models by one name in experiment files, e.g. `use-lite`, `bert`, `onnx`. */
export interface ModelFamily<Options = unknown> extends Named {
  readonly schema: ZodType<Options>;
  load(options: Options, context: ModelLoadContext): Promise<ClassifierModel>;
}
