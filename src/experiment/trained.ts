/** The models of a run once they are trained: the baseline, and the adapted one with its technique built in. */
import { TandemError } from '../errors.js';
import type { Graph, Tensor } from '../graph/types.js';
import { techniques } from '../techniques/registry.js';
import type { InferenceRewrite, Parameters, Ranges, Technique, TrainingRewrite } from '../techniques/types.js';
import type { RunContext } from './api.js';
import { measureRanges } from './assess.js';
import { fineTune } from './fine-tune.js';
import type { LoadedExperiment } from './load.js';
import { playsInference, playsTraining } from './machines.js';
import { optionsOf } from './named-options.js';
import { type Prepared, prepare, requireExamples } from './prepare.js';
import { measureCurves, profileModel } from './profile.js';
import type { RunResult, SearchOutcome, SparsityCurve, TrainingPoint } from './result.js';
import type { RunFolder } from './run-folder.js';
import type { Experiment } from './schema.js';
import { type Judgements, searchOptions } from './search.js';
import { requireConfirmable, requireSearchable, searchedMachine } from './search-checks.js';
import { requireServedWidths } from './width-checks.js';

/** Training examples on which the ranges of the quantisers are measured. */
const CALIBRATION_EXAMPLES = 256;

export interface TrainedModels {
  readonly prepared: Prepared;
  readonly baseline: Graph;
  /** Trained values of the adapted model by initializer name, the technique's own among them. */
  readonly parameters: Parameters;
  readonly adapted: InferenceRewrite;
  /** How the adapted model's options were found, and what they are. */
  readonly search: SearchOutcome | undefined;
  readonly options: unknown;
  /** The adapted model with every learned threshold moved by `shift`. */
  shifted(shift: number): InferenceRewrite;
  readonly points: readonly TrainingPoint[];
  /** Masks of the adapted model's training, where its technique prunes there. */
  readonly trainingTrace: RunResult['trainingTrace'];
  /** Measures the curves of the technique's rules on the test split; undefined for a technique that has none. */
  readonly curves: (() => Promise<SparsityCurve[]>) | undefined;
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
  const calibrated = technique.calibrated(graph, options);
  if (technique.profiler) requireProfilable(technique, prepared, experiment);
  requireTrainingMasks(loaded, technique.forTraining(graph, options));
  requireSearchable(loaded, graph);
  requireConfirmable(loaded, prepared.validation.ids.length);
  requireServedWidths(loaded);
  const common = [prepared, experiment, folder, context] as const;

  const warm = await fineTune({ stage: 'warm-up', graph }, ...common);
  const start = withWeights(graph, warm.parameters);
  const plain = await fineTune({ stage: 'baseline', graph: start }, ...common);
  const rewrite = technique.forTraining(start, options);
  const learned = rewrite
    ? await fineTune({ stage: 'adapted', graph: start, rewrite }, ...common)
    : { parameters: plain.parameters, points: [], trace: undefined };

  const adaptedWeights = withWeights(graph, learned.parameters);
  const ranges = await calibrate('calibrate', adaptedWeights, calibrated, ...common);
  const { search: settings } = experiment;
  const search =
    settings &&
    (await folder.stage<SearchOutcome, Judgements>('search', (stage) => {
      const machine = searchedMachine(settings, loaded.machines.filter(playsInference), 'search');
      const request = { technique, options, named: experiment.technique, graph: adaptedWeights, ranges };
      return searchOptions({ ...request, settings, machine, place: 'search' }, prepared, experiment, stage, context);
    }));
  const found = search && technique.space!(adaptedWeights, options, ranges);
  const profiled = { technique, options, graph: adaptedWeights };
  const profile = technique.profiler && (await profileModel(profiled, ...common));
  const settled = profile && technique.profiler!.settle(options, profile);
  const forInference = (parameters: Parameters) =>
    technique.forInference(adaptedWeights, settled?.options ?? options, parameters, ranges);
  return {
    prepared,
    baseline: withWeights(graph, plain.parameters),
    parameters: learned.parameters,
    adapted: found ? found.rewrite(search.chosen.point) : forInference(learned.parameters),
    search,
    options: found?.options(search!.chosen.point),
    shifted: (shift) => forInference(shiftedBy(learned.parameters, rewrite?.trainable ?? [], shift)),
    points: [...warm.points, ...plain.points, ...learned.points],
    trainingTrace: learned.trace,
    curves:
      (settled || technique.curves) &&
      (() => measureCurves({ ...profiled, chosen: settled?.parameter }, prepared, loaded, folder, context)),
  };
}

/** Ranges of values over training examples, kept in the run's folder. */
export async function calibrate(
  stage: string,
  graph: Graph,
  values: readonly string[],
  { train }: Prepared,
  { runtime }: Experiment,
  folder: RunFolder,
  context: RunContext,
): Promise<Ranges> {
  const ranges = await folder.stage(stage, async () => {
    const [ids, labels] = [train.ids.slice(0, CALIBRATION_EXAMPLES), train.labels.slice(0, CALIBRATION_EXAMPLES)];
    return [...(await measureRanges(graph, values, { ids, labels }, runtime, context))];
  });
  return new Map(ranges);
}

/** The last stage of training: once it is done, the models are there. */
export function lastTrainingStage({ technique, search }: Experiment): string {
  if (search) return 'search';
  return techniques.get(technique.name).profiler ? 'profile' : 'calibrate';
}

/** Before hours of training: machines that are set to training need the masks of one. */
function requireTrainingMasks({ experiment, machines }: LoadedExperiment, rewrite: TrainingRewrite | undefined): void {
  const at = machines.findIndex(playsTraining);
  if (at < 0 || (rewrite?.observer && experiment.training.steps > 0)) return;
  const { name } = experiment.technique;
  throw new TandemError(
    'TANDEM_CONFIG_INVALID',
    `Training with "${name}" records no zeros for "${machines[at]!.name}".`,
    {
      place: `machines.${at}`,
      remedy: 'Use a technique that prunes while training, such as dynaprop, or a machine with phase: inference.',
    },
  );
}

function requireProfilable({ name }: Technique, { dataset }: Prepared, { tradeoff }: Experiment): void {
  requireExamples(dataset, ['validation']);
  if (tradeoff.shifts.length === 0) return;
  throw new TandemError('TANDEM_CONFIG_INVALID', `The technique "${name}" has no learned thresholds to shift.`, {
    place: 'tradeoff.shifts',
    remedy: 'Leave it out: the curves of this technique show accuracy against sparsity.',
  });
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
