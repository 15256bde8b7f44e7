/** From the widths that a DTQAtten graph computed to trace records. */
import type { Fetched } from '../runtime/types.js';
import type { TokenBitsRecord } from '../trace/types.js';

/** The widths of one layer, a value [batch, tokens]. */
export interface TracedWidths {
  readonly layer: number;
  readonly bits: string;
}

/** Records of a batch: for each sequence, each layer with attention; padding is cut off. */
export function* tokenBitsRecords(
  layers: readonly TracedWidths[],
  fetched: Fetched,
  lengths: readonly number[],
  firstSequence: number,
): Generator<TokenBitsRecord> {
  for (const [item, tokens] of lengths.entries()) {
    for (const { layer, bits } of layers) {
      const { data, shape } = fetched[bits]!;
      const start = item * shape[1]!;
      const widths = Uint8Array.from((data as Float32Array).subarray(start, start + tokens));
      yield { kind: 'token-bits', sequence: firstSequence + item, layer, head: -1, bits: widths };
    }
  }
}
