/** Traces of exits for tests. */
import fc from 'fast-check';
import type { Workload } from '../../src/simulator/types.js';
import { TOEX_NOTE } from '../../src/trace/exits.js';
import { ARCHITECTURE_NOTE } from '../../src/trace/matrices.js';
import type { TokenExitsRecord, TraceHeader } from '../../src/trace/types.js';
import type { TransformerArchitecture } from '../../src/workload/transformer.js';

/** A decoder of equal layers. */
export const decoder = (layers: number, hidden = 32, vocabulary = 300): TransformerArchitecture => ({
  name: 'small',
  layers: Array.from({ length: layers }, () => ({
    hidden,
    heads: [hidden / 2, hidden / 2].map((dim) => ({ kind: 'sdp', dim }) as const),
    feedForward: [4 * hidden],
  })),
  vocabulary,
  tokens: 1024,
});

export const exitsRecord = (
  layers: number,
  exits: readonly number[],
  change: Partial<TokenExitsRecord> = {},
): TokenExitsRecord => ({
  kind: 'token-exits',
  sequence: 0,
  layers,
  prompt: 1,
  exits: Uint16Array.from(exits),
  ...change,
});

export const everyLayer = (layers: number): number[] => Array.from({ length: layers - 1 }, (_, at) => at + 1);

/** A trace with a check after every layer but the last. */
export function exitsTrace(
  model: TransformerArchitecture,
  records: readonly TokenExitsRecord[],
  { checks = everyLayer(model.layers.length), candidates = 10, notes = {} } = {},
): Extract<Workload, { kind: 'trace' }> {
  const header: TraceHeader = {
    producer: 'test',
    model: 'random',
    task: 'none',
    technique: 'toex',
    layers: model.layers.length,
    headsPerLayer: model.layers.map(({ heads }) => heads.length),
    notes: {
      [ARCHITECTURE_NOTE]: JSON.stringify(model),
      [TOEX_NOTE]: JSON.stringify({ checks, candidates }),
      ...notes,
    },
  };
  async function* stream() {
    yield* records;
  }
  return { kind: 'trace', header, records: stream() };
}

/** Exits of a decoder of `layers`, with a prompt. */
export const anyExits = (layers: number, most = 24): fc.Arbitrary<TokenExitsRecord> =>
  fc
    .tuple(fc.array(fc.integer({ min: 1, max: layers }), { minLength: 1, maxLength: most }), fc.nat(7))
    .map(([exits, more]) => {
      const prompt = Math.min(1 + more, exits.length);
      return exitsRecord(layers, exits.fill(exits[0]!, 0, prompt), { prompt });
    });
