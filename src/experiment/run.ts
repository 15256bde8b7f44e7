/** The pipeline: fine-tune, adapt, measure and trace, simulate, report. A resumed run goes on behind the last stage done. */
import { readFile } from 'node:fs/promises';
import { TandemError } from '../errors.js';
import { writeReport } from '../report/files.js';
import { withRatios } from '../report/ratios.js';
import { csv } from '../report/tables.js';
import { TraceStatistics } from '../trace/statistics.js';
import type { Pipeline, RunContext, TrainingSummary } from './api.js';
import { assess, observing } from './assess.js';
import type { LoadedExperiment } from './load.js';
import { playsInference, playsTraining, type ResolvedMachine } from './machines.js';
import { measureAdapted, measureBaseline } from './measure.js';
import { headStatistics, type Measured, type Outcome, resultOf } from './outcome.js';
import { reportStage } from './report-stage.js';
import type { MachineOutcome, RunResult, ShapeOutcome } from './result.js';
import { type MeasuredRival, measureRivals } from './rivals.js';
import { RESULT_FILE, type RunFolder } from './run-folder.js';
import { simulateShapes } from './shapes.js';
import { simulateMachines, traceSource } from './simulate.js';
import { stopwatch } from './stopwatch.js';
import { traceHeader } from './trace-header.js';
import { type TrainedModels, trainModels } from './trained.js';
import { TRAINING_TRACE_FILE } from './training-trace.js';

export { evaluateModel, exportModel } from './models.js';

export const TRACE_FILE = 'run.trace';

export const runExperiment: Pipeline['runExperiment'] = (loaded, folder, context) =>
  interruptible(folder, context, () => runStages(loaded, folder, context));

async function runStages(loaded: LoadedExperiment, folder: RunFolder, context: RunContext): Promise<RunResult> {
  if (folder.finished) return JSON.parse(await readFile(folder.file(RESULT_FILE), 'utf8')) as RunResult;
  const { timings, timed } = stopwatch();
  const models = await timed('training', () => trainModels(loaded, folder, context));
  const measured = await timed('measuring', () => measure(models, loaded, folder, context));
  const own = await timed('simulating', () => simulate(loaded, folder, context));
  const rivals = await timed('rivals', () => measureRivals(models, loaded, folder, context));
  const machines = withRatios([...own, ...rivals.flatMap((rival) => rival.machines)]);
  const shapes = await timed('shapes', () => playShapes(rivals, loaded, folder, context));
  const tradeoff = await timed('trade-off', () => measureTradeoff(models, loaded, folder, context));
  const curves = models.curves && (await timed('curves', models.curves));
  const outcomes = rivals.map(({ outcome }) => outcome);
  const result = resultOf({ loaded, models, measured, machines, rivals: outcomes, shapes, tradeoff, curves, timings });
  await reportStage(result, () => writeReport(folder.path, result), folder, context);
  return result;
}

export const trainModel: Pipeline['trainModel'] = (loaded, folder, context) =>
  interruptible(folder, context, () => trainStages(loaded, folder, context));

/** However the parts say that they were stopped, the run says that it was interrupted, and how to go on. */
async function interruptible<T>(folder: RunFolder, { signal }: RunContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const isStop = !(cause instanceof TandemError) || cause.code === 'TANDEM_ABORTED';
    if (!signal?.aborted || !isStop) throw cause;
    throw new TandemError('TANDEM_INTERRUPTED', 'The run was stopped before its end.', {
      place: folder.path,
      remedy: `Continue it: tandem run --resume ${folder.path}`,
      cause,
    });
  }
}

async function trainStages(loaded: LoadedExperiment, folder: RunFolder, context: RunContext): Promise<TrainingSummary> {
  const models = await trainModels(loaded, folder, context);
  const { accuracy, pruningRate, summary } = await measure(models, loaded, folder, context);
  const heads = headStatistics(summary, models.adapted.heads, []);
  return {
    accuracy,
    pruningRate,
    thresholds: heads.map(({ layer, head, threshold }) => ({ layer, head, threshold })),
  };
}

/** Both models on the held-out test split; what the adapted one decided goes into the trace. */
function measure(
  models: TrainedModels,
  { experiment }: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<Measured> {
  const { prepared, baseline, adapted } = models;
  return folder.stage('measure', async (stage) => {
    const plain = await measureBaseline(baseline, prepared, experiment, context);
    const traced = { technique: experiment.technique, file: TRACE_FILE };
    const { metrics, predicted, ...pruned } = await measureAdapted(
      adapted,
      traced,
      prepared,
      experiment,
      stage,
      context,
    );
    await stage.write('predictions.csv', predictionTable(models, plain.predicted, predicted));
    return {
      accuracy: {
        baseline: plain.metrics.accuracy!,
        adapted: metrics.accuracy!,
        examples: prepared.test.ids.length,
      },
      metrics: { baseline: plain.metrics, adapted: metrics },
      ...pruned,
    };
  });
}

function simulate(loaded: LoadedExperiment, folder: RunFolder, context: RunContext): Promise<MachineOutcome[]> {
  return folder.stage('simulate', async () => {
    const play = async (machines: readonly ResolvedMachine[], file: string) =>
      machines.length === 0 ? [] : simulateMachines(machines, await traceSource(folder.file(file)), context);
    const inference = await play(loaded.machines.filter(playsInference), TRACE_FILE);
    const training = await play(loaded.machines.filter(playsTraining), TRAINING_TRACE_FILE);
    return [...inference, ...training];
  });
}

function playShapes(
  rivals: readonly MeasuredRival[],
  loaded: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<ShapeOutcome[]> {
  const traces = [
    { file: TRACE_FILE, machines: loaded.machines },
    ...rivals.map(({ outcome }, number) => ({ file: outcome.trace.file, machines: loaded.rivals[number]! })),
  ];
  return folder.stage('shapes', () => simulateShapes(traces, loaded.experiment, folder, context));
}

/** Accuracy and pruning on the test split, with the learned thresholds moved up and down. */
function measureTradeoff(
  models: TrainedModels,
  { experiment }: LoadedExperiment,
  folder: RunFolder,
  context: RunContext,
): Promise<Outcome['tradeoff']> {
  const { prepared, adapted } = models;
  const { test } = prepared;
  const header = traceHeader(prepared, experiment, {
    headsPerLayer: adapted.headsPerLayer,
    split: 'test',
    sequences: test.ids.length,
  });
  return folder.stage('trade-off', async () => {
    const points: Outcome['tradeoff'][number][] = [];
    for (const shift of experiment.tradeoff.shifts) {
      const rewrite = models.shifted(shift);
      const statistics = new TraceStatistics(header);
      const observed = observing(rewrite, test.ids.length, (record) => statistics.add(record));
      const label = `thresholds ${shift >= 0 ? '+' : '−'}${Math.abs(shift)}`;
      const { metrics } = await assess(rewrite.graph, test, label, experiment.runtime, context, observed);
      points.push({ shift, accuracy: metrics.accuracy!, pruningRate: statistics.summary().pruningRate });
    }
    return points;
  });
}

function predictionTable({ prepared }: TrainedModels, baseline: readonly number[], adapted: readonly number[]): string {
  const name = (label: number) => prepared.dataset.classes[label]!;
  const rows = prepared.test.labels.map((label, example) => ({
    example,
    label: name(label),
    baseline: name(baseline[example]!),
    adapted: name(adapted[example]!),
  }));
  return csv(rows);
}
