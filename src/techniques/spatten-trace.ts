/** From the values that a SpAtten graph computed to trace records. */
import type { Fetched } from '../runtime/types.js';
import type { AttentionHeadRecord, TokenBitsRecord } from '../trace/types.js';
import { leopardRecords, type TracedLayer } from './leopard-trace.js';

/** An attention layer; its kept scores are those whose V is used. */
export interface SpattenLayer extends TracedLayer {
  /** Tokens that are left, float32 [batch, tokens]: 0 where removed. */
  readonly tokenBits: string;
  /** Heads that are left, float32 [batch, heads]: 1, or 0 where removed. */
  readonly headsLeft: string;
}

/**
 * Records of a batch: for each sequence and layer the tokens that each head still has (none, where the head is removed),
 * then Q, K and the values that rows use of each head that is left.
 */
export function* spattenRecords(
  layers: readonly SpattenLayer[],
  fetched: Fetched,
  lengths: readonly number[],
  firstSequence: number,
): Generator<TokenBitsRecord | AttentionHeadRecord> {
  const recorded = leopardRecords(layers, fetched, lengths, firstSequence);
  for (const [item, tokens] of lengths.entries()) {
    for (const { block, tokenBits, headsLeft } of layers) {
      const widths = fetched[tokenBits]!;
      const heads = block.heads!;
      const left = (fetched[headsLeft]!.data as Float32Array).subarray(item * heads, (item + 1) * heads);
      const start = item * widths.shape[1]!;
      const bits = Uint8Array.from((widths.data as Float32Array).subarray(start, start + tokens));
      const place = { sequence: firstSequence + item, layer: block.layer };
      for (let head = 0; head < heads; head++) {
        yield { kind: 'token-bits', ...place, head, bits: left[head] === 0 ? new Uint8Array(tokens) : bits };
      }
      for (let head = 0; head < heads; head++) {
        const record = recorded.next().value;
        if (left[head] !== 0) yield record as AttentionHeadRecord;
      }
    }
  }
}
