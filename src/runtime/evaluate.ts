import { TandemError } from '../errors.js';
import type { Tensor } from '../graph/types.js';
import { chunks } from './batches.js';
import { type CollateOptions, collate } from './collate.js';
import type { Session } from './session.js';
import type { Feeds, Fetched } from './types.js';

export interface EvaluateOptions extends CollateOptions {
  readonly batchSize: number;
  /** Outputs to fetch, of all batches or by the numbers of a batch's examples; default: `logits`. */
  readonly fetches?: readonly string[] | ((examples: readonly number[]) => readonly string[]);
  /** Inputs that are the same for every batch. */
  readonly feeds?: Feeds;
  readonly signal?: AbortSignal;
  readonly onBatch?: (done: number, total: number) => void;
}

export interface EvaluatedBatch {
  /** Numbers of the examples, in the rows' order. */
  readonly examples: readonly number[];
  /** Real tokens of each row. */
  readonly lengths: readonly number[];
  readonly outputs: Fetched;
}

/**
 * Runs a graph with inputs `input_ids` and `attention_mask` forward over examples, in their order, each batch padded to its
 * longest example.
 * @throws TANDEM_ABORTED between batches, and whatever Session.run throws
 */
export async function* evaluate(
  session: Session,
  examples: readonly (readonly number[])[],
  options: EvaluateOptions,
): AsyncGenerator<EvaluatedBatch> {
  const { batchSize, fetches = ['logits'], feeds, signal, onBatch } = options;
  const indices = examples.map((_, i) => i);
  for (const batch of chunks(indices, batchSize)) {
    checkAborted(signal);
    const rows = batch.map((i) => examples[i]!);
    const wanted = typeof fetches === 'function' ? fetches(batch) : fetches;
    const outputs = await session.run({ ...feeds, ...collate(rows, options) }, wanted);
    yield { examples: batch, lengths: rows.map((row) => row.length), outputs };
    onBatch?.(batch.at(-1)! + 1, examples.length);
  }
}

/** The logits of all examples, float32 [examples, classes], in the examples' order. */
export async function logits(
  session: Session,
  examples: readonly (readonly number[])[],
  options: EvaluateOptions,
): Promise<Tensor> {
  const parts: Float32Array[] = [];
  let classes = 0;
  for await (const { outputs } of evaluate(session, examples, { ...options, fetches: ['logits'] })) {
    const { shape, data } = outputs.logits!;
    classes = shape[1]!;
    parts.push(data as Float32Array);
  }
  const all = new Float32Array(examples.length * classes);
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return { dtype: 'float32', shape: [examples.length, classes], data: all };
}

/** @throws TANDEM_ABORTED once the signal has fired */
export function checkAborted(signal: AbortSignal | undefined, remedy?: string): void {
  if (!signal?.aborted) return;
  throw new TandemError('TANDEM_ABORTED', 'The run was stopped.', { remedy, cause: signal.reason });
}
