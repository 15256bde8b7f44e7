/** The trace of early exit: how deep each token of some test sequences ran. */
import { type ExitChecks, TOEX_NOTE } from '../../trace/exits.js';
import { writeTrace } from '../../trace/files.js';
import { ARCHITECTURE_NOTE } from '../../trace/matrices.js';
import type { TokenExitsRecord, TraceHeader } from '../../trace/types.js';
import { tandemVersion } from '../../version.js';
import { writable } from '../file-errors.js';
import type { Stage } from '../run-folder.js';
import type { PreparedDecoding } from './prepare.js';
import type { DecodingResult } from './result.js';

export const TRACE_FILE = 'run.trace';

export interface DecoderTraced {
  readonly technique: string;
  readonly seed: number;
  /** The split whose sequences are recorded. */
  readonly split: 'validation' | 'test';
  readonly sequences: number;
  /** Beside those that every trace of a decoder has. */
  readonly notes: Readonly<Record<string, string>>;
}

/** What the traces of a decoder say of themselves. */
export function decoderHeader(
  { model, text }: Pick<PreparedDecoding, 'model' | 'text'>,
  { technique, seed, split, sequences, notes }: DecoderTraced,
): TraceHeader {
  const { layers, heads } = model.config;
  return {
    producer: `tandem ${tandemVersion}`,
    model: model.name,
    task: text.corpora.map(({ name }) => name).join(', '),
    technique,
    sequences,
    layers,
    headsPerLayer: Array.from({ length: layers }, () => heads),
    notes: {
      seed: String(seed),
      model: model.provenance.sha256,
      data: text.sha256[split],
      [ARCHITECTURE_NOTE]: JSON.stringify(model.architecture),
      ...notes,
    },
  };
}

/**
 * Writes one record for each sequence: its first token is the prompt, the others are decoded one by one.
 * @param exits by sequence, the layers that each token ran
 */
export async function writeExitTrace(
  { model, text }: PreparedDecoding,
  {
    seed,
    checks,
    exits,
  }: { readonly seed: number; readonly checks: ExitChecks; readonly exits: readonly Uint16Array[] },
  stage: Stage,
): Promise<DecodingResult['trace']> {
  const { layers } = model.config;
  const notes = { [TOEX_NOTE]: JSON.stringify(checks) };
  const header = decoderHeader(
    { model, text },
    { technique: 'toex', seed, split: 'test', sequences: exits.length, notes },
  );
  const records = exits.map(
    (own, sequence): TokenExitsRecord => ({ kind: 'token-exits', sequence, layers, prompt: 1, exits: own }),
  );
  const path = await stage.path(TRACE_FILE);
  const { bytes } = await writable(path, () => writeTrace(path, header, records));
  await stage.keep(TRACE_FILE);
  return { file: TRACE_FILE, sequences: exits.length, bytes };
}
