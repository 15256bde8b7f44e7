/** One fine-tuning stage of a run: warm-up, baseline or adapted. */
import { rm } from 'node:fs/promises';
import { GraphBuilder } from '../graph/builder.js';
import { addCrossEntropy } from '../graph/losses.js';
import type { Graph, Tensor } from '../graph/types.js';
import { collate, labelTensor } from '../runtime/collate.js';
import { readSafetensors, writeSafetensors } from '../runtime/safetensors-files.js';
import { train } from '../runtime/train.js';
import { Trainer } from '../runtime/trainer.js';
import type { ParameterGroup } from '../runtime/types.js';
import type { Carried, TrainingRewrite } from '../techniques/types.js';
import type { RunContext } from './api.js';
import { writable } from './file-errors.js';
import type { Prepared } from './prepare.js';
import type { RunResult, TrainingPoint } from './result.js';
import type { RunFolder, Stage } from './run-folder.js';
import type { Experiment } from './schema.js';
import { StepHistory } from './step-history.js';
import { TrainingTrace } from './training-trace.js';

export type StageName = TrainingPoint['stage'];

export interface FineTuneRequest {
  readonly stage: StageName;
  /** With the weights to start from. */
  readonly graph: Graph;
  /** The technique whose parameters are learned along, if any; its graph replaces `graph`. */
  readonly rewrite?: TrainingRewrite;
}

/** Steps between two saves of an unfinished stage: a stage of a few minutes loses little, and writing costs little. */
const SAVE_EVERY = 50;
/** Any fixed number per stage: warm-up and what follows see the data in different orders, baseline and adapted in the same. */
const ORDER: Readonly<Record<StageName, number>> = { 'warm-up': 0, baseline: 1, adapted: 1 };

export const weightsFile = (stage: StageName): string => `checkpoints/${stage}.safetensors`;

/** What a stage leaves beside its weights. */
interface Course {
  readonly points: TrainingPoint[];
  readonly trace?: RunResult['trainingTrace'];
}

/**
 * Trains once; a resumed run continues where it was saved, or reads the weights of a stage that is done.
 * @returns the trained values by initializer name, what the technique found beside them, and the course of the training
 */
export async function fineTune(
  request: FineTuneRequest,
  prepared: Prepared,
  experiment: Experiment,
  folder: RunFolder,
  context: RunContext,
): Promise<Course & { parameters: Map<string, Tensor> }> {
  const course = await folder.stage(`train ${request.stage}`, (stage) =>
    writable(folder.path, () => trainStage(request, prepared, experiment, stage, context)),
  );
  const { tensors } = await readSafetensors(folder.file(weightsFile(request.stage)));
  return { parameters: new Map(tensors), ...course };
}

async function trainStage(
  { stage: name, graph, rewrite }: FineTuneRequest,
  prepared: Prepared,
  experiment: Experiment,
  stage: Stage,
  context: RunContext,
): Promise<Course> {
  const { steps, batchSize, accumulate } = experiment.training;
  const { graph: withLoss, loss, taskLoss } = lossGraph(rewrite?.graph ?? graph, rewrite);
  const { feedback, observer } = rewrite ?? {};
  const trainer = await Trainer.create({
    graph: withLoss,
    trainable: [...prepared.model.trainable, ...(rewrite?.trainable ?? [])],
    loss,
    optimizer: optimizerOf(experiment, rewrite),
    steps: Math.max(1, steps),
    extras: [
      taskLoss,
      ...(rewrite?.penalty === undefined ? [] : [rewrite.penalty]),
      ...(rewrite?.trainable ?? []),
      ...Object.values(rewrite?.monitors ?? {}),
      ...(feedback?.measured ?? []),
    ],
    gradientRules: rewrite?.gradientRules,
    runtime: experiment.runtime,
  });
  const statePath = await stage.path(`checkpoints/${name}.state.safetensors`);
  const history = await StepHistory.open<Line>(`${statePath}.points.jsonl`);
  const tracing = observer && new TrainingTrace(observer, statePath, prepared, experiment);
  const task = context.progress.task(`training ${name}`, steps, 'steps');
  // Examples are drawn by position modulo the split, so that a stage is a number of steps, whatever the split's size.
  const { ids, labels } = prepared.train;
  const examples = steps * batchSize * accumulate;
  const at = (position: number) => position % ids.length;
  const lengths = Array.from({ length: examples }, (_, position) => ids[at(position)]!.length);
  try {
    if (steps > 0) {
      await train({
        trainer,
        order: { examples, batchSize, seed: experiment.seed * 2 + ORDER[name], lengths },
        epochs: 1,
        feeds: (positions, step) => ({
          ...collate(positions.map((position) => ids[at(position)]!)),
          labels: labelTensor(positions.map((position) => labels[at(position)]!)),
          ...rewrite?.feeds(step, steps, history.at(step - 1)?.carried),
        }),
        signal: context.signal,
        checkpoint: { path: statePath, everySteps: SAVE_EVERY },
        beforeStep: (step, batches) => tracing?.record(trainer, step, batches),
        onStep: async ({ step, extras }) => {
          const scalar = (value: string) => Number(extras[value]!.data[0]);
          const thresholds = (rewrite?.trainable ?? []).flatMap((value) => [...(extras[value]!.data as Float32Array)]);
          const penalty = rewrite?.penalty === undefined ? 0 : scalar(rewrite.penalty);
          const watched = Object.entries(rewrite?.monitors ?? {}).map(([monitor, value]) => [monitor, scalar(value)]);
          const next = feedback?.next(extras, history.at(step - 1)?.carried);
          const monitors = { ...(Object.fromEntries(watched) as Record<string, number>), ...next?.monitors };
          const point = { stage: name, step, loss: scalar(taskLoss), penalty, thresholds, monitors };
          await history.add({ step, point, ...(next && { carried: next.carried }) });
          task.update(step + 1, `loss ${scalar(taskLoss).toFixed(3)}`);
        },
      });
    }
    await writeSafetensors(await stage.path(weightsFile(name)), {
      tensors: new Map([...trainer.parameters(), ...(feedback?.found(history.at(steps - 1)?.carried) ?? [])]),
      metadata: { stage: name },
    });
    await stage.keep(weightsFile(name));
  } finally {
    task.end();
    await trainer.dispose();
  }
  const trace = await tracing?.finish(stage);
  await rm(statePath, { force: true });
  await history.remove();
  await tracing?.removeParts();
  return { points: history.lines().map(({ point }) => point), ...(trace && { trace }) };
}

/** Adds labels, the task's loss, and the technique's penalty times its weight. */
function lossGraph(graph: Graph, rewrite: TrainingRewrite | undefined) {
  const b = new GraphBuilder(graph.name, graph);
  const taskLoss = addCrossEntropy(b, 'logits', b.input('labels', 'int64', ['batch']));
  if (rewrite?.penalty === undefined) return { graph: b.finish(), loss: taskLoss, taskLoss };
  const loss = b.add(taskLoss, b.mul(rewrite.penalty, b.constant(rewrite.penaltyWeight ?? 1)));
  return { graph: b.finish(), loss, taskLoss };
}

/** AdamW; biases and norms are not decayed, as is customary, and the technique's own parameters have a rate of their own. */
function optimizerOf({ training }: Experiment, rewrite: TrainingRewrite | undefined) {
  const { learningRate, weightDecay, warmup, schedule, clipNorm, accumulate } = training;
  const groups: ParameterGroup[] = [
    { match: /(\.bias$|norm)/, learningRate, weightDecay: 0 },
    { match: /./, learningRate, weightDecay },
  ];
  if (rewrite && rewrite.trainable.length > 0) {
    const names = rewrite.trainable.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    groups.unshift({
      match: new RegExp(`^(${names.join('|')})$`),
      learningRate: rewrite.learningRate,
      weightDecay: 0,
      until: rewrite.learnedUntil,
    });
  }
  return { groups, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipNorm, warmup, schedule, accumulate };
}

/** What is kept of a step. */
interface Line {
  readonly step: number;
  readonly point: TrainingPoint;
  readonly carried?: Carried;
}
