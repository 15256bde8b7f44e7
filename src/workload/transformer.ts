/**
 * A transformer encoder as hardware sees it: sizes only. Layers may differ (FlexiBERT 2.0). Sizes in elements.
 * Runs in a browser.
 */

/** What a head does with its tokens. `dim` is the head's width. */
export type HeadOperation =
  /** self-attention by scaled dot products */
  | { readonly kind: 'sdp'; readonly dim: number }
  /** self-attention by weighted multiplication: q·W·kᵀ */
  | { readonly kind: 'wma'; readonly dim: number }
  /** discrete Fourier or cosine transform over the tokens: a product with a fixed square matrix */
  | { readonly kind: 'dft' | 'dct'; readonly dim: number }
  /** convolution over the tokens */
  | { readonly kind: 'conv'; readonly dim: number; readonly kernel: number };

export interface TransformerLayer {
  /** Width of the layer's output, and of its input. */
  readonly hidden: number;
  /** Width of the first layer's input, where it is not `hidden`: its heads read that width; a product widens the residual. */
  readonly input?: number;
  readonly heads: readonly HeadOperation[];
  /** Widths of the hidden feed-forward stacks, in order; the last one is projected back to `hidden`. */
  readonly feedForward: readonly number[];
}

/** Where the next layer's `hidden` differs, a projection with non-linearity stands between the two. */
export interface TransformerArchitecture {
  readonly name: string;
  readonly layers: readonly TransformerLayer[];
  /** Rows of the word embedding; BERT: 30522. */
  readonly vocabulary: number;
  /** Rows of the position embedding, and tokens of a sequence unless a trace says otherwise; ELECTOR: 128. */
  readonly tokens: number;
}
