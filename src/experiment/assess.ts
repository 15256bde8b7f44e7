/** Measures trained models on a split: predictions, what the technique decided, and the trace of it. */
import { metrics } from '../data/metrics.js';
import { withOutputs } from '../graph/edit.js';
import type { Graph, Tensor } from '../graph/types.js';
import { type EvaluatedBatch, type EvaluateOptions, evaluate } from '../runtime/evaluate.js';
import { Session } from '../runtime/session.js';
import type { InferenceRewrite, Ranges, SparsityCounts } from '../techniques/types.js';
import type { TraceRecord } from '../trace/types.js';
import type { RunContext } from './api.js';
import type { EncodedSplit } from './prepare.js';
import type { Experiment } from './schema.js';

/** Sequences per batch where nothing is learned: the size does not change results beyond rounding, only memory. */
const BATCH = 32;

/** Zeros of one matrix over all examples, real tokens only. */
export interface ZeroCount {
  readonly layer: number;
  readonly matrix: string;
  readonly zeros: number;
  readonly elements: number;
}

export interface Assessment {
  /** Predicted class of each example. */
  readonly predicted: readonly number[];
  readonly metrics: Readonly<Record<string, number>>;
  /** Of a graph that counts its zeros; else empty. */
  readonly zeros: readonly ZeroCount[];
}

/** What is fed and fetched beside a classifier's own inputs and logits. */
export type PassOptions = Pick<InferenceRewrite, 'feeds' | 'counts'> & Partial<Observer>;

interface Observer {
  /** Values that some batch fetches, and those that a batch fetches, by its first example. */
  readonly observed: readonly string[];
  observedAt(first: number): readonly string[];
  visit(batch: EvaluatedBatch): Promise<void>;
}

/** Hands out each decision of the technique as a record, for the first sequences; the rest are only predicted. */
export function observing(
  { feeds, counts, observed, record }: InferenceRewrite,
  sequences: number,
  onRecord: (record: TraceRecord) => void | Promise<void>,
): PassOptions {
  return {
    feeds,
    counts,
    observed,
    observedAt: (first) => (first < sequences ? observed : []),
    async visit({ examples, lengths, outputs }) {
      const first = examples[0]!;
      if (first >= sequences) return;
      for (const one of record(outputs, lengths.slice(0, sequences - first), first)) await onRecord(one);
    },
  };
}

/** Runs a classifier graph over a split. */
export async function assess(
  graph: Graph,
  split: EncodedSplit,
  label: string,
  runtime: Experiment['runtime'],
  { progress, signal }: RunContext,
  options: PassOptions = {},
): Promise<Assessment> {
  const { counts, observed = [] } = options;
  const session = await Session.create(withOutputs(graph, [...always(counts), ...observed]), runtime);
  const task = progress.task(label, split.ids.length, 'sequences');
  try {
    return await pass(session, split, { ...options, signal, onBatch: (done) => task.update(done) });
  } finally {
    task.end();
    await session.dispose();
  }
}

/** What is fetched of every batch. */
export const always = (counts: SparsityCounts | undefined): string[] => [
  'logits',
  ...(counts ? [counts.zeros, counts.elements] : []),
];

/** One pass of a session over a split. */
export async function pass(
  session: Session,
  split: EncodedSplit,
  options: PassOptions & Pick<EvaluateOptions, 'signal' | 'onBatch'>,
): Promise<Assessment> {
  const { counts, observedAt } = options;
  const predicted: number[] = [];
  const zeros = (counts?.matrices ?? []).map((matrix) => ({ ...matrix, zeros: 0, elements: 0 }));
  const batches = evaluate(session, split.ids, {
    ...options,
    batchSize: BATCH,
    fetches: ([first]) => [...always(counts), ...(observedAt?.(first!) ?? [])],
  });
  for await (const batch of batches) {
    const { data, shape } = batch.outputs.logits!;
    const classes = shape[1]!;
    const values = data as Float32Array;
    for (const row of batch.examples.keys()) {
      predicted.push(largest(values.subarray(row * classes, (row + 1) * classes)));
    }
    if (counts) {
      addColumns(zeros, 'zeros', batch.outputs[counts.zeros]!);
      addColumns(zeros, 'elements', batch.outputs[counts.elements]!);
    }
    await options.visit?.(batch);
  }
  return { predicted, metrics: allMetrics(predicted, split.labels), zeros };
}

function addColumns(totals: { zeros: number; elements: number }[], part: 'zeros' | 'elements', { data }: Tensor): void {
  const values = data as Float64Array;
  for (let at = 0; at < values.length; at++) totals[at % totals.length]![part] += values[at]!;
}

/** Zeros over elements of all of them; 0 where there are none. */
export function sparsityOf(counts: readonly Pick<ZeroCount, 'zeros' | 'elements'>[]): number {
  const sum = (part: 'zeros' | 'elements') => counts.reduce((total, count) => total + count[part], 0);
  return sum('elements') === 0 ? 0 : sum('zeros') / sum('elements');
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
  if (values.length === 0) return new Map();
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
