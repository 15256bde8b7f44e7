/** From the values that a LeOPArd inference graph computed to trace records. */
import { TandemError } from '../errors.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import type { Tensor } from '../graph/types.js';
import type { Fetched } from '../runtime/types.js';
import type { AttentionHeadRecord } from '../trace/types.js';

/** What the inference rewrite knows of one attention layer. */
export interface TracedLayer {
  readonly block: AttentionBlock;
  /** Names of the integer queries, keys [batch, heads, tokens, dim] and of the kept scores [batch, heads, tokens, tokens]. */
  readonly q: string;
  readonly k: string;
  readonly kept: string;
  /** Which scores the model's mask leaves alone, in the shape of the kept ones; undefined for a model without mask. */
  readonly visible: string | undefined;
  /** Integer thresholds: one, or one per head. */
  readonly thresholds: Float64Array;
  readonly steps: { readonly query: number; readonly key: number };
  readonly bits: number;
  readonly valueBits: number;
  readonly valueDim: number;
}

/**
 * Records of a batch: for each sequence, each layer and head. Padding is cut off.
 * @throws TANDEM_MODEL_UNSUPPORTED for a mask that is neither open nor causal, which machines cannot be told
 */
export function* leopardRecords(
  layers: readonly TracedLayer[],
  fetched: Fetched,
  lengths: readonly number[],
  firstSequence: number,
): Generator<AttentionHeadRecord> {
  for (const [item, tokens] of lengths.entries()) {
    for (const layer of layers) {
      const q = fetched[layer.q]!;
      const k = fetched[layer.k]!;
      const kept = fetched[layer.kept]!;
      const visible = layer.visible === undefined ? undefined : fetched[layer.visible]!;
      const [, heads, paddedLength, headDim] = q.shape as [number, number, number, number];
      for (let head = 0; head < heads; head++) {
        const matrix = item * heads + head;
        yield {
          kind: 'attention-head',
          sequence: firstSequence + item,
          layer: layer.block.layer,
          head,
          queries: tokens,
          keys: tokens,
          paddedLength,
          headDim,
          valueDim: layer.valueDim,
          bits: layer.bits,
          valueBits: layer.valueBits,
          queryStep: layer.steps.query,
          keyStep: layer.steps.key,
          threshold: layer.thresholds[layer.thresholds.length > 1 ? head : 0]!,
          causal: visible !== undefined && isCausal(visible, matrix, tokens, layer.block.layer),
          q: integerRows(q, matrix, tokens),
          k: integerRows(k, matrix, tokens),
          survivors: survivorBits(kept, matrix, tokens),
        };
      }
    }
  }
}

/** The first `rows` rows of one head's [tokens × dim] matrix. */
function integerRows({ data, shape }: Tensor, matrix: number, rows: number): Int16Array {
  const [, , tokens, dim] = shape as [number, number, number, number];
  const start = matrix * tokens * dim;
  return Int16Array.from((data as Float32Array).subarray(start, start + rows * dim));
}

/** The top-left [tokens × tokens] corner of one head's kept scores, as a row-major bit set. */
function survivorBits({ data, shape }: Tensor, matrix: number, tokens: number): Uint8Array {
  const padded = shape[3]!;
  const flags = data as Uint8Array;
  const bits = new Uint8Array(Math.ceil((tokens * tokens) / 8));
  const start = matrix * padded * padded;
  for (let query = 0, bit = 0; query < tokens; query++) {
    const row = start + query * padded;
    for (let key = 0; key < tokens; key++, bit++) bits[bit >> 3]! |= flags[row + key]! << (bit & 7);
  }
  return bits;
}

/** Whether query i sees exactly the keys 0 … i of the real tokens; false when it sees them all. */
function isCausal({ data, shape }: Tensor, matrix: number, tokens: number, layer: number): boolean {
  const padded = shape[3]!;
  const flags = data as Uint8Array;
  let [open, causal] = [true, true];
  for (let query = 0; query < tokens && (open || causal); query++) {
    const row = matrix * padded * padded + query * padded;
    for (let key = 0; key < tokens; key++) {
      const seen = flags[row + key] === 1;
      open &&= seen;
      causal &&= seen === key <= query;
    }
  }
  if (open || causal) return !open;
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', 'The mask between real tokens is neither open nor causal.', {
    place: `attention layer ${layer}`,
    remedy: 'Use a model whose tokens see all tokens of their text, or all up to themselves.',
  });
}
