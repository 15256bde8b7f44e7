/** What the traces of a run say of themselves. */
import { ARCHITECTURE_NOTE } from '../trace/matrices.js';
import type { TraceHeader } from '../trace/types.js';
import { tandemVersion } from '../version.js';
import type { Prepared } from './prepare.js';
import type { Experiment } from './schema.js';

export interface Traced {
  /** The split whose sequences are recorded. */
  readonly split: 'train' | 'validation' | 'test';
  readonly sequences: number;
  readonly headsPerLayer: readonly number[];
  /** Beside those that every trace of a run has. */
  readonly notes?: Readonly<Record<string, string>>;
}

export function traceHeader(
  { model, dataset }: Pick<Prepared, 'model' | 'dataset'>,
  { technique, seed }: Pick<Experiment, 'technique' | 'seed'>,
  { split, sequences, headsPerLayer, notes }: Traced,
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
    notes: {
      ...notes,
      seed: String(seed),
      model: model.provenance.sha256,
      data: dataset.sha256[split],
      ...architecture,
    },
  };
}
