/** Trains a decoder with the language-model loss at every exit. */
import { rm } from 'node:fs/promises';
import { mean } from 'simple-statistics';
import { int64Tensor, type Tensor } from '../../graph/types.js';
import { addExitLosses, EXIT_ROWS } from '../../models/exit-losses.js';
import { chunks } from '../../runtime/batches.js';
import { readSafetensors, writeSafetensors } from '../../runtime/safetensors-files.js';
import { train } from '../../runtime/train.js';
import { Trainer } from '../../runtime/trainer.js';
import type { RunContext } from '../api.js';
import { writable } from '../file-errors.js';
import type { RunFolder, Stage } from '../run-folder.js';
import { StepHistory } from '../step-history.js';
import { exitWeights } from './exit-weights.js';
import type { PreparedDecoding } from './prepare.js';
import type { DecoderTraining, DecodingExperiment } from './schema.js';
import { trainingFeeds } from './sequences.js';

/** The mean over a few steps of a training, the last of them named; losses are cross entropies in nats, at each exit. */
export interface DecoderTrainingPoint {
  readonly step: number;
  readonly exits: readonly number[];
}

const STAGE = 'train decoder';
const STATE = 'checkpoints/decoder.state.safetensors';
const WEIGHTS = 'checkpoints/decoder.safetensors';
/** A minute or two of work. */
const SAVE_EVERY = 200;
/** Steps whose losses are averaged into one point of the course: enough to see a line, few enough to plot. */
const POINTS = 100;

/** @returns the trained weights by initializer name, and the course of the training */
export async function trainDecoder(
  prepared: PreparedDecoding,
  experiment: DecodingExperiment & { readonly training: DecoderTraining },
  folder: RunFolder,
  context: RunContext,
): Promise<{ weights: ReadonlyMap<string, Tensor>; course: DecoderTrainingPoint[] }> {
  const course = await folder.stage(STAGE, (stage) =>
    writable(folder.path, () => trainStage(prepared, experiment, stage, context)),
  );
  const { tensors } = await readSafetensors(folder.file(WEIGHTS));
  return { weights: tensors, course };
}

async function trainStage(
  { model, tokens }: PreparedDecoding,
  { training, seed, runtime }: DecodingExperiment & { readonly training: DecoderTraining },
  stage: Stage,
  context: RunContext,
): Promise<DecoderTrainingPoint[]> {
  const { steps, batchSize, accumulate, learningRate, weightDecay, warmup, schedule, clipNorm } = training;
  const length = training.tokens ?? model.config.context;
  const { exitSequences } = training;
  const { graph, loss, exits } = addExitLosses(model.graph, exitWeights(training, model.config.layers), {
    epsilon: model.config.epsilon,
    someRows: exitSequences !== undefined,
  });
  const trainer = await Trainer.create({
    graph,
    trainable: model.trainable,
    loss,
    optimizer: {
      // Biases, norms and embeddings are not decayed.
      groups: [
        { match: /(\.bias$|norm|^embedding)/, learningRate, weightDecay: 0 },
        { match: /./, learningRate, weightDecay },
      ],
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      clipNorm,
      warmup,
      schedule,
      accumulate,
    },
    steps,
    extras: exits,
    runtime,
  });
  const state = await stage.path(STATE);
  const task = context.progress.task('training the decoder', steps, 'steps');
  const course = await StepHistory.open<DecoderTrainingPoint>(`${state}.points.jsonl`);
  try {
    await train({
      trainer,
      order: { examples: steps * batchSize * accumulate, batchSize, seed },
      epochs: 1,
      feeds: (examples, step) => ({
        ...trainingFeeds(tokens.training, examples, length),
        ...(exitSequences && { [EXIT_ROWS]: exitRows(exits.length - 1, exitSequences, examples.length, step) }),
      }),
      signal: context.signal,
      checkpoint: { path: state, everySteps: SAVE_EVERY },
      onStep: async ({ step, extras }) => {
        const losses = exits.map((exit) => Number(extras[exit]!.data[0]));
        await course.add({ step, exits: losses });
        task.update(step + 1, `loss ${losses[0]!.toFixed(3)} … ${losses.at(-1)!.toFixed(3)}`);
      },
    });
    await writeSafetensors(await stage.path(WEIGHTS), { tensors: trainer.parameters(), metadata: {} });
    await stage.keep(WEIGHTS);
  } finally {
    task.end();
    await trainer.dispose();
  }
  await rm(state, { force: true });
  await course.remove();
  return thinned(course.lines());
}

/** Sequences go round the exits, so that each learns from as many, and from others at the next step. */
function exitRows(exits: number, sequences: number, batch: number, step: number): Tensor {
  const rows = Array.from({ length: exits * sequences }, (_, i) => (step + i) % batch);
  return int64Tensor(rows, [exits, sequences]);
}

function thinned(lines: readonly DecoderTrainingPoint[]): DecoderTrainingPoint[] {
  return chunks(lines, Math.ceil(lines.length / POINTS)).map((part) => ({
    step: part.at(-1)!.step,
    exits: part[0]!.exits.map((_, exit) => mean(part.map(({ exits }) => exits[exit]!))),
  }));
}
