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
  const { layers, heads } = model.config;
  const header: TraceHeader = {
    producer: `tandem ${tandemVersion}`,
    model: model.name,
    task: text.corpora.map(({ name }) => name).join(', '),
    technique: 'toex',
    sequences: exits.length,
    layers,
    headsPerLayer: Array.from({ length: layers }, () => heads),
    notes: {
      seed: String(seed),
      model: model.provenance.sha256,
      data: text.sha256.test,
      [ARCHITECTURE_NOTE]: JSON.stringify(model.architecture),
      [TOEX_NOTE]: JSON.stringify(checks),
    },
  };
  const records = exits.map(
    (own, sequence): TokenExitsRecord => ({ kind: 'token-exits', sequence, layers, prompt: 1, exits: own }),
  );
  const path = await stage.path(TRACE_FILE);
  const { bytes } = await writable(path, () => writeTrace(path, header, records));
  await stage.keep(TRACE_FILE);
  return { file: TRACE_FILE, sequences: exits.length, bytes };
}
