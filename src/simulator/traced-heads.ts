/** What a trace's header says of the attention heads of its model. */
import { TandemError } from '../errors.js';
import { ARCHITECTURE_NOTE } from '../trace/matrices.js';
import type { TraceHeader } from '../trace/types.js';
import type { TransformerArchitecture } from '../workload/transformer.js';

export interface LayerHeads {
  /** Heads with scores; undefined when the header does not say. */
  readonly count: number | undefined;
  /** Width of each of them; undefined when the header does not say, or numbers layers otherwise than its note does. */
  readonly widths: readonly number[] | undefined;
}

/** @throws TANDEM_TRACE_INCONSISTENT when the note on the architecture does not parse */
export function tracedHeads({ headsPerLayer, notes }: TraceHeader): (layer: number) => LayerHeads {
  const layers = architectureOf(notes[ARCHITECTURE_NOTE])?.layers ?? [];
  return (layer) => {
    const widths = layers[layer]?.heads.filter(({ kind }) => kind === 'sdp' || kind === 'wma').map(({ dim }) => dim);
    const count = headsPerLayer[layer] ?? widths?.length;
    return { count, widths: widths?.length === count ? widths : undefined };
  };
}

function architectureOf(note: string | undefined): TransformerArchitecture | undefined {
  if (note === undefined) return undefined;
  try {
    return JSON.parse(note) as TransformerArchitecture;
  } catch (cause) {
    throw new TandemError('TANDEM_TRACE_INCONSISTENT', `The note "${ARCHITECTURE_NOTE}" of the trace is not JSON.`, {
      remedy: 'Record the trace again.',
      cause,
    });
  }
}
