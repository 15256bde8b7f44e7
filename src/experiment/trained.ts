/** The models of a run once they are trained: the baseline, and the adapted one with its technique built in. */
import type { Graph, Tensor } from '../graph/types.js';
import { techniques } from '../techniques/registry.js';
import type { InferenceRewrite, Parameters } from '../techniques/types.js';
import type { RunContext } from './api.js';
import { measureRanges } from './assess.js';
import { fineTune } from './fine-tune.js';
import type { LoadedExperiment } from './load.js';
import { type Prepared, prepare } from './prepare.js';
import type { TrainingPoint } from './result.js';
import type { RunFolder } from './run-folder.js';
import { optionsOf } from './schema.js';

/** Training examples on which the ranges of the quantisers are measured. */
const CALIBRATION_EXAMPLES = 256;

export interface TrainedModels {
  readonly prepared: Prepared;
  readonly baseline: Graph;
  /** Trained values of the adapted model by initializer name, the technique's own among them. */
  readonly parameters: Parameters;
  readonly adapted: InferenceRewrite;
  /** The adapted model with every learned threshold moved by `shift`. */
  shifted(shift: number): InferenceRewrite;
  readonly points: readonly TrainingPoint[];
}

/**
 * Warm-up fine-tuning, then the baseline and the adapted model from there, each for as many steps and over the same
 * batches: what differs between the two is the technique alone.
 */
export async function trainModels(
  loaded: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<TrainedModels> {
  const { experiment } = loaded;
  const prepared = await prepare(loaded);
  const { graph } = prepared.model;
  const { name, options: given } = optionsOf(experiment.technique);
  const technique = techniques.get(name);
  const options = technique.schema.parse(given);
  const common = [prepared, experiment, folder, context] as const;

  const warm = await fineTune({ stage: 'warm-up', graph }, ...common);
  const start = withWeights(graph, warm.parameters);
  const plain = await fineTune({ stage: 'baseline', graph: start }, ...common);
  const rewrite = technique.forTraining(start, options);
  const learned = rewrite
    ? await fineTune({ stage: 'adapted', graph: start, rewrite }, ...common)
    : { parameters: plain.parameters, points: [] };

  const adaptedWeights = withWeights(graph, learned.parameters);
  const ranges = await folder.stage('calibrate', async () => {
    const { ids, labels } = prepared.train;
    const sample = { ids: ids.slice(0, CALIBRATION_EXAMPLES), labels: labels.slice(0, CALIBRATION_EXAMPLES) };
    const values = technique.calibrated(adaptedWeights, options);
    return [...(await measureRanges(adaptedWeights, values, sample, experiment.runtime, context))];
  });
  const forInference = (parameters: Parameters) =>
    technique.forInference(adaptedWeights, options, parameters, new Map(ranges));
  return {
    prepared,
    baseline: withWeights(graph, plain.parameters),
    parameters: learned.parameters,
    adapted: forInference(learned.parameters),
    shifted: (shift) => forInference(shiftedBy(learned.parameters, rewrite?.trainable ?? [], shift)),
    points: [...warm.points, ...plain.points, ...learned.points],
  };
}

/** The graph with trained values in place of its initializers; values of other graphs are ignored. */
export function withWeights(graph: Graph, parameters: Parameters): Graph {
  const initializers = new Map(graph.initializers);
  for (const [name, value] of parameters) if (initializers.has(name)) initializers.set(name, value);
  return { ...graph, initializers };
}

function shiftedBy(parameters: Parameters, names: readonly string[], shift: number): Map<string, Tensor> {
  const shifted = new Map(parameters);
  for (const name of names) {
    const value = parameters.get(name)!;
    shifted.set(name, { ...value, data: Float32Array.from(value.data as Float32Array, (element) => element + shift) });
  }
  return shifted;
}
