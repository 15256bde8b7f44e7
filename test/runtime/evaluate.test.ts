import { afterAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { int } from '../../src/graph/types.js';
import { evaluate, logits } from '../../src/runtime/evaluate.js';
import { Session } from '../../src/runtime/session.js';

/** logits = [sum of the real tokens' ids, their number] */
function counter() {
  const b = new GraphBuilder('counter');
  const ids = b.cast(b.input('input_ids', 'int64', ['batch', 'tokens']), 'float32');
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);
  const total = (x: string) => b.op('ReduceSum', [x, b.ints([1])], { keepdims: int(1) });
  b.output(b.op('Concat', [total(b.mul(ids, mask)), total(mask)], { axis: int(1) }, 'logits'));
  return b.finish();
}

const session = await Session.create(counter());
afterAll(() => session.dispose());
const examples = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10], [11]];

describe('evaluation', () => {
  it('gives every example its logits, whatever the batches', async () => {
    for (const batchSize of [1, 2, 3, 10]) {
      const all = await logits(session, examples, { batchSize, padId: 99 });
      expect(all.shape).toEqual([5, 2]);
      expect([...(all.data as Float32Array)]).toEqual([6, 3, 4, 1, 11, 2, 34, 4, 11, 1]);
    }
    expect((await logits(session, [], { batchSize: 2 })).shape).toEqual([0, 0]);
  });

  it('pads a batch to its longest example and says how long each is', async () => {
    const seen: unknown[] = [];
    const progress: number[] = [];
    for await (const batch of evaluate(session, examples, { batchSize: 2, onBatch: (done) => progress.push(done) })) {
      seen.push([batch.examples, batch.lengths, batch.outputs.logits!.shape]);
    }
    expect(seen).toEqual([
      [
        [0, 1],
        [3, 1],
        [2, 2],
      ],
      [
        [2, 3],
        [2, 4],
        [2, 2],
      ],
      [[4], [1], [1, 2]],
    ]);
    expect(progress).toEqual([2, 4, 5]);
  });

  it('stops between batches', async () => {
    const stop = new AbortController();
    const run = logits(session, examples, { batchSize: 1, signal: stop.signal, onBatch: () => stop.abort() });
    await expect(run).rejects.toMatchObject({ code: 'TANDEM_ABORTED' });
  });
});
