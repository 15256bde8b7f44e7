import { existsSync } from 'node:fs';
import { TandemError } from '../errors.js';
import { type BatchOrder, batches, chunks, trainingSteps } from './batches.js';
import { resumeCheckpoint, saveCheckpoint, type TrainingSettings } from './checkpoint.js';
import { checkAborted } from './evaluate.js';
import type { StepResult, Trainer } from './trainer.js';
import type { Feeds } from './types.js';

export interface TrainOptions {
  /** Created for `trainingSteps(order, epochs, accumulate)` steps. */
  readonly trainer: Trainer;
  readonly order: BatchOrder;
  readonly epochs: number;
  /** The feeds for one batch of examples in a step. */
  feeds(examples: readonly number[], step: number): Feeds;
  /** Called before each step with its number and the feeds of its batches. */
  readonly beforeStep?: (step: number, batches: readonly Feeds[]) => void | Promise<void>;
  /** Called after each step, before a checkpoint holds it: what is kept here of a step is never behind the checkpoint. */
  readonly onStep?: (result: StepResult, steps: number) => void | Promise<void>;
  /** Stops between two steps, after writing the checkpoint if there is one. */
  readonly signal?: AbortSignal;
  /** Where the state is kept. If the file exists already, training continues from it. */
  readonly checkpoint?: { readonly path: string; readonly everySteps: number };
}

/**
 * Trains over whole epochs in a seeded order. The state at a step is a function of the step alone, so an interrupted
 * training that continues from its checkpoint sees the batches it would have seen.
 * @throws TANDEM_ABORTED, TANDEM_CHECKPOINT_INVALID, TANDEM_LOSS_NOT_FINITE
 */
export async function train(options: TrainOptions): Promise<void> {
  const { trainer, order, epochs, feeds, beforeStep, onStep, signal, checkpoint } = options;
  const { accumulate } = trainer.optimizer;
  const steps = trainingSteps(order, epochs, accumulate);
  if (steps !== trainer.steps) {
    throw new TandemError(
      'TANDEM_CONFIG_INVALID',
      `The data make ${steps} steps; the trainer expects ${trainer.steps}.`,
      {
        place: 'steps',
        remedy: 'Create the trainer with trainingSteps(order, epochs, accumulate).',
      },
    );
  }
  const settings = settingsOf(options);
  if (checkpoint && existsSync(checkpoint.path)) await resumeCheckpoint(checkpoint.path, trainer, settings);
  const stepsPerEpoch = steps / epochs;
  for (let epoch = Math.floor(trainer.stepsDone / stepsPerEpoch); epoch < epochs; epoch++) {
    const groups = chunks(batches(order, epoch), accumulate);
    while (trainer.stepsDone < (epoch + 1) * stepsPerEpoch) {
      const step = trainer.stepsDone;
      if (signal?.aborted && checkpoint) await saveCheckpoint(checkpoint.path, trainer, settings);
      checkAborted(signal, checkpoint && `Run again to continue from ${checkpoint.path}.`);
      const group = groups[step - epoch * stepsPerEpoch]!;
      const fed = group.map((examples) => feeds(examples, step));
      await beforeStep?.(step, fed);
      const result = await trainer.step(...fed);
      await onStep?.(result, steps);
      const due = checkpoint && (trainer.stepsDone % checkpoint.everySteps === 0 || trainer.stepsDone === steps);
      if (due) await saveCheckpoint(checkpoint.path, trainer, settings);
    }
  }
}

/** What must be equal for a checkpoint to be continued. */
function settingsOf({ trainer, order, epochs }: TrainOptions): TrainingSettings {
  const { groups, ...optimizer } = trainer.optimizer;
  const { lengths, ...sizes } = order;
  const groupTexts = groups.map(
    ({ match, learningRate, weightDecay, until }) =>
      `${match}: rate ${learningRate}${until === undefined ? '' : ` until ${until}`}, decay ${weightDecay}`,
  );
  return { ...optimizer, groups: groupTexts.join('; '), ...sizes, bucketed: lengths !== undefined, epochs };
}
