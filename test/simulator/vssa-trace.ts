/** Traces of bits per token for tests: a model of a few attention heads, tokens of random widths. */
import fc from 'fast-check';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Workload } from '../../src/simulator/types.js';
import { ARCHITECTURE_NOTE } from '../../src/trace/matrices.js';
import type { TokenBitsRecord, TraceHeader } from '../../src/trace/types.js';
import type { TransformerArchitecture } from '../../src/workload/transformer.js';

/** Layers of one or more heads, each `dim` wide. */
export const architecture = (heads: number, dim = 64, layers = 1): TransformerArchitecture => ({
  name: 'small',
  layers: Array.from({ length: layers }, () => ({
    hidden: heads * dim,
    heads: Array.from({ length: heads }, () => ({ kind: 'sdp', dim }) as const),
    feedForward: [heads * dim],
  })),
  vocabulary: 100,
  tokens: 512,
});

export function tokenBitsTrace(
  model: TransformerArchitecture | undefined,
  records: readonly Omit<TokenBitsRecord, 'kind'>[],
  more: Readonly<Record<string, string>> = {},
): Workload {
  const header: TraceHeader = {
    producer: 'test',
    model: 'random',
    task: 'none',
    technique: 'dtqatten',
    layers: model?.layers.length ?? 1,
    headsPerLayer: model?.layers.map(({ heads }) => heads.length) ?? [1],
    notes: { ...more, ...(model && { [ARCHITECTURE_NOTE]: JSON.stringify(model) }) },
  };
  async function* stream() {
    for (const record of records) yield { kind: 'token-bits', ...record } as const;
  }
  return { kind: 'trace', header, records: stream() };
}

/** `wide` tokens of 8 bits, `narrow` of 4, `removed` of none, in random order. */
export function shuffledBits(wide: number, narrow: number, removed: number, seed: number): Uint8Array {
  const bits = new Uint8Array(wide + narrow + removed);
  bits.fill(8, 0, wide).fill(4, wide, wide + narrow);
  const random = xoroshiro128plus(seed);
  for (let at = bits.length - 1; at > 0; at--) {
    const other = uniformInt(random, 0, at);
    [bits[at], bits[other]] = [bits[other]!, bits[at]!];
  }
  return bits;
}

/** Widths of up to `most` tokens. */
export const anyBits = (most: number): fc.Arbitrary<Uint8Array> =>
  fc.array(fc.constantFrom(0, 4, 4, 8), { minLength: 1, maxLength: most }).map((widths) => Uint8Array.from(widths));
