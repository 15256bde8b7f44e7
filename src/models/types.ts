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

/** Text as token ids and back, for models that continue it: nothing is cut off, and no marks are added. */
export interface TextTokenizer {
  /** One more than the largest id. */
  readonly vocabularySize: number;
  /** The id of the token that ends a text. */
  readonly endOfText: number;
  /** Names of special tokens in the text are text like any other. */
  encode(text: string): number[];
  /** Special tokens are left out; bytes that are not UTF-8 become U+FFFD. */
  decode(ids: Iterable<number>): string;
  /** Decodes a text as its tokens come. */
  stream(): TokenStream;
}

/** All that is returned, put together, is what `decode` gives. */
export interface TokenStream {
  /** What the token completes; a character whose bytes are in several tokens comes with the last of them. */
  push(id: number): string;
  /** What is left: U+FFFD for a character that never became complete. */
  end(): string;
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
