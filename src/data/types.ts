import type { Named } from '../registry.js';

export interface Example {
  readonly text: string;
  /** Class index. */
  readonly label: number;
}

export interface SplitDataset {
  readonly name: string;
  readonly classes: readonly string[];
  readonly train: readonly Example[];
  readonly validation: readonly Example[];
  readonly test: readonly Example[];
  /** SHA-256 over the examples used, in order, per split. */
  readonly sha256: { readonly train: string; readonly validation: string; readonly test: string };
  readonly source: string;
  readonly licence: string;
  /** e.g. how many duplicates were dropped. */
  readonly remarks: readonly string[];
}

export interface SplitSizes {
  readonly train?: number;
  readonly validation?: number;
  readonly test?: number;
}

/** A labelled text data set by name. Splits depend on the seed only, not on the sizes asked for (prefixes are nested). */
export interface Dataset extends Named {
  /** The metric its benchmark quotes, a name known to data/metrics.ts. */
  readonly metric: string;
  load(options: { readonly seed: number; readonly sizes: SplitSizes; readonly folder?: string }): Promise<SplitDataset>;
}

/** One text of a corpus; paragraphs are separated by an empty line. */
export interface TextDocument {
  readonly title: string;
  readonly text: string;
}

/** Texts to model language on, in the source's order. */
export interface TextCorpus {
  readonly name: string;
  readonly documents: readonly TextDocument[];
  readonly source: string;
  readonly licence: string;
  /** SHA-256 over titles and texts, in order. */
  readonly sha256: string;
  readonly remarks: readonly string[];
}

/** A corpus of plain text by name. */
export interface Corpus extends Named {
  load(options: { readonly folder?: string }): Promise<TextCorpus>;
}

/** Several corpora, split for language modelling. */
export interface SplitText {
  readonly training: readonly TextDocument[];
  readonly validation: readonly TextDocument[];
  readonly test: readonly TextDocument[];
  /** SHA-256 over the titles and texts of each split, in order. */
  readonly sha256: { readonly training: string; readonly validation: string; readonly test: string };
  readonly corpora: readonly Omit<TextCorpus, 'documents'>[];
}
