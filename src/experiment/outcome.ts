/** From what the stages of a run returned to result.json. */
import { parameterCount } from '../graph/edit.js';
import { techniques } from '../techniques/registry.js';
import type { HeadRule } from '../techniques/types.js';
import type { TraceSummary } from '../trace/statistics.js';
import { tandemVersion } from '../version.js';
import { unconfirmedRemarks } from './confirmation.js';
import type { LoadedExperiment } from './load.js';
import { optionsOf } from './named-options.js';
import {
  type AttentionHeadStatistics,
  type MachineOutcome,
  RESULT_SCHEMA_VERSION,
  type RivalOutcome,
  type RunResult,
  type ShapeOutcome,
} from './result.js';
import type { TrainedModels } from './trained.js';

/** What names of monitors start with that are shares of zeros. */
const SPARSITY_MONITOR = 'sparsity.';

/** Of both models on the test split. */
export type Measured = Pick<
  RunResult,
  'accuracy' | 'metrics' | 'pruningRate' | 'trace' | 'widthShares' | 'tokenWidths'
> & {
  readonly summary: TraceSummary;
};

export interface Outcome {
  readonly loaded: LoadedExperiment;
  readonly models: TrainedModels;
  readonly measured: Measured;
  /** Of the run's technique and of its rivals. */
  readonly machines: readonly MachineOutcome[];
  readonly rivals: readonly RivalOutcome[];
  readonly shapes: readonly ShapeOutcome[];
  readonly tradeoff: RunResult['tradeoff'];
  readonly curves: RunResult['curves'];
  readonly timings: RunResult['timings'];
}

export function resultOf(outcome: Outcome): RunResult {
  const { loaded, models, measured, machines, rivals, shapes, tradeoff, curves, timings } = outcome;
  const { experiment } = loaded;
  const { model, dataset, metric } = models.prepared;
  const heads = headStatistics(measured.summary, models.adapted.heads, machines);
  const masks = measured.summary.matrices.map(({ layer, matrix, phase, zeros, elements }) => ({
    layer,
    matrix,
    phase,
    zeros,
    elements,
  }));
  const { pruned } = techniques.get(experiment.technique.name);
  const scores = heads.reduce((sum, head) => sum + head.scores, 0);
  return {
    schemaVersion: RESULT_SCHEMA_VERSION,
    name: experiment.name,
    tandemVersion,
    seed: experiment.seed,
    model: { name: model.name, parameters: parameterCount(model.graph), ...model.provenance },
    data: {
      name: dataset.name,
      metric,
      train: dataset.train.length,
      validation: dataset.validation.length,
      test: dataset.test.length,
      sha256: dataset.sha256,
    },
    technique: { ...optionsOf(experiment.technique), ...(models.search && { options: models.options }) },
    accuracy: measured.accuracy,
    metrics: measured.metrics,
    pruningRate: measured.pruningRate,
    ...(pruned !== undefined && { pruned }),
    meanBits: heads.reduce((sum, head) => sum + head.meanBits * head.scores, 0) / Math.max(1, scores),
    heads,
    tradeoff,
    ...(curves && { curves }),
    ...(masks.length > 0 && { masks }),
    ...(measured.widthShares && { widthShares: measured.widthShares, tokenWidths: measured.tokenWidths }),
    ...(models.search && { search: models.search }),
    ...(rivals.length > 0 && { rivals }),
    ...(shapes.length > 0 && { shapes }),
    ...(experiment.equal && { equal: experiment.equal }),
    training: models.points,
    ...trainingZeros(models),
    machines,
    trace: measured.trace,
    timings,
    remarks: [
      ...dataset.remarks,
      ...unconfirmedRemarks([
        { name: experiment.technique.name, ...(models.search && { search: models.search }) },
        ...rivals.map((rival) => ({ ...rival, name: rival.name ?? rival.technique.name })),
      ]),
    ],
  };
}

/** Shares of zeros while the adapted model was trained. */
function trainingZeros({ points, trainingTrace }: TrainedModels): Partial<RunResult> {
  const adapted = points.filter(({ stage }) => stage === 'adapted');
  const watched = Object.keys(adapted[0]?.monitors ?? {}).filter((name) => name.startsWith(SPARSITY_MONITOR));
  const mean = (name: string) => adapted.reduce((sum, { monitors }) => sum + monitors[name]!, 0) / adapted.length;
  const shares = watched.map((name) => [name.slice(SPARSITY_MONITOR.length), mean(name)]);
  return {
    ...(watched.length > 0 && { trainingSparsity: Object.fromEntries(shares) }),
    ...(trainingTrace && { trainingTrace }),
  };
}

/**
 * Per head. Mean bits per score are those of the machine that processed the fewest; without a machine that counts them,
 * all bits of every score.
 */
export function headStatistics(
  { heads }: TraceSummary,
  rules: readonly HeadRule[],
  machines: readonly MachineOutcome[],
): AttentionHeadStatistics[] {
  const counting = machines
    .filter((machine) => machine.feasible)
    .filter(({ counts }) => counts.bitsProcessed !== undefined);
  return heads.map((head) => {
    const { threshold, bits } = rules.find((rule) => rule.layer === head.layer && rule.head === head.head)!;
    const parts = counting.flatMap(({ parts }) =>
      parts.filter((part) => part.layer === String(head.layer) && part.head === head.head),
    );
    const means = parts.map(({ counts }) => counts.bitsProcessed! / counts.scores!);
    return { ...head, threshold, meanBits: Math.min(bits, ...means) };
  });
}
