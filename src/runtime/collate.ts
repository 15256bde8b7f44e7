import { TandemError } from '../errors.js';
import type { Tensor } from '../graph/types.js';

export interface CollateOptions {
  /** Tokens per row; default: as many as the longest row has. */
  readonly padTo?: number;
  /** The token that fills rows up; default 0. */
  readonly padId?: number;
}

export interface TokenFeeds extends Readonly<Record<string, Tensor>> {
  /** int64 [batch, tokens] */
  readonly input_ids: Tensor;
  /** float32 [batch, tokens]: 1 for a token, 0 for padding */
  readonly attention_mask: Tensor;
}

/** Puts sequences of token ids into one batch, padded at their ends. @throws TANDEM_FEED_INVALID if one exceeds `padTo` */
export function collate(rows: readonly (readonly number[])[], options: CollateOptions = {}): TokenFeeds {
  const longest = rows.reduce((length, row) => Math.max(length, row.length), 1);
  const tokens = options.padTo ?? longest;
  if (longest > tokens) {
    throw new TandemError(
      'TANDEM_FEED_INVALID',
      `A sequence has ${longest} tokens; the batch is padded to ${tokens}.`,
      {
        place: 'input_ids',
        remedy: 'Cut sequences to the length that the model takes.',
      },
    );
  }
  const ids = new BigInt64Array(rows.length * tokens).fill(BigInt(options.padId ?? 0));
  const mask = new Float32Array(rows.length * tokens);
  rows.forEach((row, i) => {
    mask.fill(1, i * tokens, i * tokens + row.length);
    row.forEach((id, j) => {
      ids[i * tokens + j] = BigInt(id);
    });
  });
  const shape = [rows.length, tokens];
  return {
    input_ids: { dtype: 'int64', shape, data: ids },
    attention_mask: { dtype: 'float32', shape, data: mask },
  };
}

/** Class numbers as int64 [batch]. */
export const labelTensor = (labels: readonly number[]): Tensor => ({
  dtype: 'int64',
  shape: [labels.length],
  data: BigInt64Array.from(labels, BigInt),
});
