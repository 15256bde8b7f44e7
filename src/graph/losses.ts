import type { GraphBuilder } from './builder.js';
import { int } from './types.js';

export interface CrossEntropyOptions {
  /** Labels of this value do not count (−100 is customary for padding). Default: every label counts. */
  readonly ignoreIndex?: number;
}

/**
 * Adds the mean cross entropy −log softmax(logits)[label].
 * @param logits floating point [..., classes]
 * @param labels int64 [...], class numbers
 * @returns the loss, a scalar; the mean over the labels that count, 0 if there are none
 */
export function addCrossEntropy(
  b: GraphBuilder,
  logits: string,
  labels: string,
  { ignoreIndex }: CrossEntropyOptions = {},
): string {
  const last = b.ints([-1]);
  const logProbabilities = b.op('LogSoftmax', [logits], { axis: int(-1) });
  const counts =
    ignoreIndex === undefined ? undefined : b.op('Not', [b.op('Equal', [labels, b.scalar('int64', ignoreIndex)])]);
  const classes = counts === undefined ? labels : b.op('Where', [counts, labels, b.scalar('int64', 0)]);
  const picked = b.op('GatherElements', [logProbabilities, b.op('Unsqueeze', [classes, last])], { axis: int(-1) });
  const likelihood = b.op('Squeeze', [picked, last]);
  if (counts === undefined) return b.op('Neg', [b.op('ReduceMean', [likelihood], { keepdims: int(0) })], {}, 'loss');
  const { dtype } = b.typeOf(logits);
  const kept = b.cast(counts, dtype);
  const total = b.op('ReduceSum', [b.mul(likelihood, kept)], { keepdims: int(0) });
  const count = b.op('Max', [b.op('ReduceSum', [kept], { keepdims: int(0) }), b.scalar(dtype, 1)]);
  return b.op('Neg', [b.div(total, count)], {}, 'loss');
}
