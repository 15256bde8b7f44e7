/**
 * Exits as measured on one decoder, on the sizes of another. Of that decoder nothing is run: that its tokens would leave at
 * the same relative depth, in the same order, is assumed.
 */
import { TandemError } from '../errors.js';
import { checkExits, type ExitChecks, exitChecks, TOEX_NOTE } from '../trace/exits.js';
import { ARCHITECTURE_NOTE } from '../trace/matrices.js';
import type { TokenExitsRecord, TraceHeader, TraceRecord } from '../trace/types.js';
import type { TransformerArchitecture } from '../workload/transformer.js';
import type { StretchOptions } from './stretched-trace.js';

export interface ExitProfile {
  readonly header: TraceHeader;
  readonly checks: ExitChecks;
  /** Of the first sequences. */
  readonly records: readonly TokenExitsRecord[];
}

/** @throws TANDEM_TRACE_INCONSISTENT for a trace without exits, or with impossible ones */
export async function measureExits(
  header: TraceHeader,
  trace: AsyncIterable<TraceRecord>,
  sequences: number,
): Promise<ExitProfile> {
  const checks = exitChecks(header);
  const records: TokenExitsRecord[] = [];
  for await (const record of trace) {
    if (record.kind !== 'token-exits') continue;
    checkExits(record, header.layers, checks.checks);
    records.push(record);
    if (records.length === sequences) break;
  }
  if (records.length === 0) {
    throw new TandemError('TANDEM_TRACE_INCONSISTENT', 'The trace holds no exits.', {
      remedy: 'Record it with early exit.',
    });
  }
  return { header, checks, records };
}

/** An exit after e of L layers becomes one after ⌈e · L′ / L⌉ of L′; so do checks. Sequences are cut after `tokens`. */
export function stretchedExits(
  { header, checks: { checks, candidates }, records }: ExitProfile,
  architecture: TransformerArchitecture,
  { tokens }: Pick<StretchOptions, 'tokens'>,
): { header: TraceHeader; records: TokenExitsRecord[] } {
  const layers = architecture.layers.length;
  const stretched = (depth: number) => Math.ceil((depth * layers) / header.layers);
  const moved = [...new Set(checks.map(stretched))].filter((depth) => depth < layers);
  return {
    header: {
      ...header,
      model: `${architecture.name}, by shape`,
      sequences: records.length,
      layers,
      headsPerLayer: architecture.layers.map(({ heads }) => heads.length),
      notes: {
        ...header.notes,
        [ARCHITECTURE_NOTE]: JSON.stringify({ ...architecture, tokens }),
        [TOEX_NOTE]: JSON.stringify({ checks: moved, candidates } satisfies ExitChecks),
      },
    },
    records: records.map((record) => ({
      ...record,
      layers,
      prompt: Math.min(record.prompt, tokens),
      exits: record.exits.slice(0, tokens).map(stretched),
    })),
  };
}
