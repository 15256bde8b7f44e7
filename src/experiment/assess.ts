/** Measures trained models on a split: predictions, what the technique decided, and the trace of it. */
import { metrics } from '../data/metrics.js';
import { withOutputs } from '../graph/edit.js';
import type { Graph } from '../graph/types.js';
import { evaluate } from '../runtime/evaluate.js';
import { Session } from '../runtime/session.js';
import type { InferenceRewrite, Ranges } from '../techniques/types.js';
import type { TraceRecord } from '../trace/types.js';
import type { RunContext } from './api.js';
import type { EncodedSplit } from './prepare.js';
import type { Experiment } from './schema.js';

/** Sequences per batch where nothing is learned: the size does not change results beyond rounding, only memory. */
const BATCH = 32;

export interface Assessment {
  /** Predicted class of each example. */
  readonly predicted: readonly number[];
  readonly metrics: Readonly<Record<string, number>>;
}

export interface Observer {
  readonly rewrite: InferenceRewrite;
  /** Sequences to record; the rest are only predicted. */
  readonly sequences: number;
  onRecord(record: TraceRecord): void | Promise<void>;
}

/** Runs a classifier graph over a split. With an observer, each decision of the technique is handed out as a record. */
export async function assess(
  graph: Graph,
  split: EncodedSplit,
  label: string,
  runtime: Experiment['runtime'],
  { progress, signal }: RunContext,
  observer?: Observer,
): Promise<Assessment> {
  const fetches = ['logits', ...(observer?.rewrite.observed ?? [])];
  const session = await Session.create(withOutputs(graph, fetches), runtime);
  const task = progress.task(label, split.ids.length, 'sequences');
  const predicted: number[] = [];
  try {
    const options = { batchSize: BATCH, fetches, signal, onBatch: (done: number) => task.update(done) };
    for await (const { examples, lengths, outputs } of evaluate(session, split.ids, options)) {
      const { data, shape } = outputs.logits!;
      const classes = shape[1]!;
      const values = data as Float32Array;
      for (const row of examples.keys()) predicted.push(largest(values.subarray(row * classes, (row + 1) * classes)));
      const first = examples[0]!;
      if (!observer || first >= observer.sequences) continue;
      const recorded = lengths.slice(0, observer.sequences - first);
      for (const record of observer.rewrite.record(outputs, recorded, first)) await observer.onRecord(record);
    }
  } finally {
    task.end();
    await session.dispose();
  }
  return { predicted, metrics: allMetrics(predicted, split.labels) };
}

/** Metrics that class predictions have; correlations of class numbers would mean nothing. */
const CLASS_METRICS = ['accuracy', 'f1', 'f1-macro', 'matthews'];

const allMetrics = (predicted: readonly number[], expected: readonly number[]): Record<string, number> =>
  Object.fromEntries(CLASS_METRICS.map((name) => [name, metrics.get(name).compute(predicted, expected)]));

function largest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Largest magnitude of each value over the examples, for quantisers. */
export async function measureRanges(
  graph: Graph,
  values: readonly string[],
  split: EncodedSplit,
  runtime: Experiment['runtime'],
  { signal }: RunContext,
): Promise<Ranges> {
  const session = await Session.create(withOutputs(graph, values), runtime);
  const ranges = new Map(values.map((value) => [value, 0]));
  try {
    for await (const { outputs } of evaluate(session, split.ids, { batchSize: BATCH, fetches: values, signal })) {
      for (const value of values) {
        let range = ranges.get(value)!;
        for (const element of outputs[value]!.data as Float32Array) range = Math.max(range, Math.abs(element));
        ranges.set(value, range);
      }
    }
  } finally {
    await session.dispose();
  }
  return ranges;
}
