/** What a model that continues text is to the rest of Tandem. */
import type { ZodType } from 'zod';
import type { Graph } from '../graph/types.js';
import type { Named } from '../registry.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import type { BytePairTokenizer } from './byte-pair.js';
import type { Gpt2Config } from './gpt2.js';

/** A decoder ready to run, to train or to rewrite. */
export interface DecoderModel {
  readonly name: string;
  /** As `buildGpt2` describes it. */
  readonly graph: Graph;
  readonly config: Gpt2Config;
  readonly tokenizer: BytePairTokenizer;
  /** Initializers that training updates. */
  readonly trainable: readonly string[];
  readonly architecture: TransformerArchitecture;
  /** Whether the weights are random and wait for training. */
  readonly fresh: boolean;
  /** Where the weights come from, their licence, and the SHA-256 of the files read; empty hash for random weights. */
  readonly provenance: { readonly source: string; readonly licence: string; readonly sha256: string };
}

export interface DecoderLoadContext {
  readonly seed: number;
  /** Folder against which relative paths in an experiment file resolve. */
  readonly baseFolder: string;
  /** What a fresh model's tokenizer learns its pairs from; asked for by fresh models only. */
  readonly documents: () => Promise<Iterable<{ readonly text: string }>>;
}

/** A family of decoders by one name in experiment files. */
export interface DecoderFamily<Options = unknown> extends Named {
  readonly schema: ZodType<Options>;
  load(options: Options, context: DecoderLoadContext): Promise<DecoderModel>;
}
