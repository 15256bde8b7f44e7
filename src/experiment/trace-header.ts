/** What the traces of a run say of themselves. */
import type { InferenceRewrite } from '../techniques/types.js';
import { ARCHITECTURE_NOTE } from '../trace/matrices.js';
import type { TraceHeader } from '../trace/types.js';
import { tandemVersion } from '../version.js';
import type { Prepared } from './prepare.js';
import type { Experiment } from './schema.js';

/** @param sequences of the test split that are recorded */
export function traceHeader(
  { model, dataset }: Pick<Prepared, 'model' | 'dataset'>,
  { headsPerLayer }: Pick<InferenceRewrite, 'headsPerLayer'>,
  { technique, seed }: Pick<Experiment, 'technique' | 'seed'>,
  sequences: number,
): TraceHeader {
  const architecture = model.architecture && { [ARCHITECTURE_NOTE]: JSON.stringify(model.architecture) };
  return {
    producer: `tandem ${tandemVersion}`,
    model: model.name,
    task: dataset.name,
    technique: technique.name,
    sequences,
    layers: headsPerLayer.length,
    headsPerLayer,
    notes: { seed: String(seed), model: model.provenance.sha256, data: dataset.sha256.test, ...architecture },
  };
}
