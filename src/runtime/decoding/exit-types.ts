/** When a token stops, and what its sequence may go on with. */

/** Tokens that may come next, with their logits; without ids, every token in turn. */
export interface Choices {
  readonly ids?: Int32Array;
  readonly logits: Float32Array;
}

/** The newest token of a sequence behind a layer. */
export interface Candidate {
  /** Place of the sequence in the batch. */
  readonly sequence: number;
  readonly token: number;
  /** [hidden] */
  readonly state: Float32Array;
}

export interface Verdict {
  readonly exit: boolean;
  /** For a token that exits: what to choose from; default: the whole vocabulary. */
  readonly choices?: Choices;
}

export interface ExitPolicy {
  /** Asked after each layer but the last (behind which every token stops), `depth` being the layers run, from 1. */
  afterLayer(depth: number, candidates: readonly Candidate[]): Promise<readonly Verdict[]>;
}

/**
 * What becomes of the keys and values of tokens that stopped before a layer which a later token runs. `lazy`: the earlier
 * tokens run the layer too, exactly (ToEx). `propagate`: they are computed from the rows that the tokens had when they
 * stopped (CALM: Schuster et al., NeurIPS 2022). `none`: attention does without them.
 */
export type BackFill = 'lazy' | 'propagate' | 'none';
