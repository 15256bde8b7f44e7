/** From the widths that a DTQAtten graph computed to trace records. */
import type { Fetched } from '../runtime/types.js';
import type { TokenBitsRecord, TokenOperandsRecord } from '../trace/types.js';
import { largestInteger } from './quantise.js';

/** The widths of one layer, a value [batch, tokens]. */
export interface TracedWidths {
  readonly layer: number;
  readonly bits: string;
  /** Quantised Q, K and V of its attention blocks, [batch, heads, tokens, dim], where operands are recorded. */
  readonly operands?: readonly TracedOperands[];
}

export interface TracedOperands {
  readonly q: string;
  readonly k: string;
  readonly v: string;
}

/** Records of a batch: for each sequence, each layer with attention; padding is cut off. */
export function* tokenBitsRecords(
  layers: readonly TracedWidths[],
  fetched: Fetched,
  lengths: readonly number[],
  firstSequence: number,
): Generator<TokenBitsRecord | TokenOperandsRecord> {
  for (const [item, tokens] of lengths.entries()) {
    for (const { layer, bits, operands = [] } of layers) {
      const { data, shape } = fetched[bits]!;
      const start = item * shape[1]!;
      const widths = Uint8Array.from((data as Float32Array).subarray(start, start + tokens));
      const place = { sequence: firstSequence + item, layer };
      yield { kind: 'token-bits', ...place, head: -1, bits: widths };
      let head = 0;
      for (const names of operands) {
        const heads = fetched[names.q]!.shape[1]!;
        for (let own = 0; own < heads; own++) {
          const [q, k, v] = [names.q, names.k, names.v].map((name) => integerRows(fetched[name]!, item, own, widths));
          yield {
            kind: 'token-operands',
            ...place,
            head: head + own,
            tokens: q!.steps.length,
            headDim: fetched[names.q]!.shape[3]!,
            valueDim: fetched[names.v]!.shape[3]!,
            q: q!.integers,
            k: k!.integers,
            v: v!.integers,
            steps: Float32Array.of(...q!.steps, ...k!.steps, ...v!.steps),
          };
        }
        head += heads;
      }
    }
  }
}

/** Rows of one head on their grids, as integers with their steps: the largest magnitude of a row is its largest integer. */
function integerRows({ data, shape }: Fetched[string], item: number, head: number, widths: Uint8Array) {
  const [, heads, tokens, dim] = shape as [number, number, number, number];
  const integers: number[] = [];
  const steps: number[] = [];
  for (const [token, bits] of widths.entries()) {
    if (bits === 0) continue;
    const start = ((item * heads + head) * tokens + token) * dim;
    const row = (data as Float32Array).subarray(start, start + dim);
    const step = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / largestInteger(bits);
    steps.push(step);
    for (const value of row) integers.push(step === 0 ? 0 : Math.round(value / step));
  }
  return { integers: Int16Array.from(integers), steps };
}
