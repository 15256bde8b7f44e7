/**
 * Masks of some training steps. Each traced step is a small trace of its own beside the stage's checkpoint, written before
 * the step is done, so that a killed and resumed stage lacks none; at the end they become one.
 */
import { rm } from 'node:fs/promises';
import type { Trainer } from '../runtime/trainer.js';
import type { Feeds } from '../runtime/types.js';
import type { TrainingObserver } from '../techniques/types.js';
import { openTrace, writeTrace } from '../trace/files.js';
import type { TraceHeader, TraceRecord } from '../trace/types.js';
import type { Prepared } from './prepare.js';
import type { RunResult } from './result.js';
import type { Stage } from './run-folder.js';
import type { Experiment } from './schema.js';
import { traceHeader } from './trace-header.js';

export const TRAINING_TRACE_FILE = 'training.trace';
/** Steps that are traced unless the experiment says which. */
const DEFAULT_STEPS = 5;

/** Every n-th step, those of a list, or a few spread over the training, its last one among them. Ascending. */
export function tracedSteps(wanted: Experiment['trace']['steps'], steps: number): number[] {
  if (Array.isArray(wanted)) return [...new Set(wanted)].sort((a, b) => a - b);
  const all = Array.from({ length: steps }, (_, step) => step);
  if (wanted !== undefined) return all.filter((step) => (step + 1) % wanted === 0);
  const last = Array.from({ length: DEFAULT_STEPS }, (_, i) => Math.ceil(((i + 1) * steps) / DEFAULT_STEPS) - 1);
  return [...new Set(last)].filter((step) => step >= 0);
}

export class TrainingTrace {
  readonly #steps: readonly number[];
  readonly #header: TraceHeader;

  constructor(
    readonly observer: TrainingObserver,
    readonly prefix: string,
    prepared: Prepared,
    experiment: Experiment,
  ) {
    const { trace, training } = experiment;
    this.#steps = tracedSteps(trace.steps, training.steps);
    this.#header = traceHeader(prepared, experiment, {
      split: 'train',
      sequences: this.#steps.length * training.batchSize,
      headsPerLayer: observer.headsPerLayer,
      notes: { phase: 'training', batch: String(training.batchSize), steps: this.#steps.join(' ') },
    });
  }

  /** Before a step: records it, if it is to be traced. A step of several batches is represented by its last one. */
  async record(trainer: Trainer, step: number, batches: readonly Feeds[]): Promise<void> {
    if (!this.#steps.includes(step)) return;
    const feeds = batches.at(-1)!;
    const fetched = await trainer.observe(feeds, this.observer.observed);
    await writeTrace(this.#part(step), this.#header, this.observer.record(fetched, realTokens(feeds), step));
  }

  /** Joins the steps into the run's training trace. */
  async finish(stage: Stage): Promise<NonNullable<RunResult['trainingTrace']>> {
    const { bytes } = await writeTrace(await stage.path(TRAINING_TRACE_FILE), this.#header, this.#records());
    await stage.keep(TRAINING_TRACE_FILE);
    return { file: TRAINING_TRACE_FILE, steps: [...this.#steps], bytes };
  }

  /** Once nothing goes on from the stage's checkpoint any more. */
  async removeParts(): Promise<void> {
    for (const step of this.#steps) await rm(this.#part(step), { force: true });
  }

  async *#records(): AsyncGenerator<TraceRecord> {
    for (const step of this.#steps) yield* (await openTrace(this.#part(step))).records;
  }

  #part(step: number): string {
    return `${this.prefix}.step-${step}.trace`;
  }
}

/** Of each sequence of a batch. */
function realTokens({ attention_mask: mask }: Feeds): number[] {
  const [batch, tokens] = mask!.shape as [number, number];
  const values = mask!.data as Float32Array;
  return Array.from({ length: batch }, (_, row) =>
    values.subarray(row * tokens, (row + 1) * tokens).reduce((sum, real) => sum + real, 0),
  );
}
