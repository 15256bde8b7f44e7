import { GraphBuilder } from '../../src/graph/builder.js';
import { addCrossEntropy } from '../../src/graph/losses.js';
import { floatTensor, type Graph, int, sizeOf } from '../../src/graph/types.js';
import { random } from './gradient-check.js';

export interface EncoderSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly classes: number;
}

/**
 * A BERT-like classifier with its loss, written with plain operators: input_ids int64 [batch, tokens],
 * attention_mask float32 [batch, tokens], labels int64 [batch] → loss.
 */
export function encoderWithLoss(sizes: EncoderSizes, seed = 1): { graph: Graph; weights: string[] } {
  const { hidden, heads, feedForward } = sizes;
  const b = new GraphBuilder('encoder');
  const next = random(seed);
  const weights: string[] = [];
  const weight = (name: string, shape: number[], centre = 0, spread = 0.1) => {
    weights.push(name);
    return b.initializer(
      name,
      floatTensor(
        Array.from({ length: sizeOf(shape) }, () => centre + next(-spread, spread)),
        shape,
      ),
    );
  };
  const linear = (x: string, name: string, from: number, to: number) =>
    b.add(b.matmul(x, weight(`${name}.weight`, [from, to])), weight(`${name}.bias`, [to]));
  const norm = (x: string, name: string) =>
    b.op('LayerNormalization', [x, weight(`${name}.weight`, [hidden], 1), weight(`${name}.bias`, [hidden])], {
      axis: int(-1),
      epsilon: { kind: 'float', value: 1e-12 },
    });
  const perHead = (x: string, perm: number[]) => b.transpose(b.reshape(x, [0, 0, heads, hidden / heads]), perm);

  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);
  const labels = b.input('labels', 'int64', ['batch']);
  const bias = b.mul(b.sub(b.op('Unsqueeze', [mask, b.ints([1, 2])]), b.constant(1)), b.constant(1e9));

  const words = b.op('Gather', [weight('embeddings.word', [sizes.vocabulary, hidden]), ids]);
  const tokens = b.op('Squeeze', [b.op('Shape', [ids], { start: int(1), end: int(2) })]);
  const range = b.op('Range', [b.scalar('int64', 0), tokens, b.scalar('int64', 1)]);
  const positions = b.op('Gather', [weight('embeddings.position', [sizes.positions, hidden]), range]);
  const types = b.op('Gather', [weight('embeddings.type', [2, hidden]), b.mul(ids, b.scalar('int64', 0))]);
  let x = norm(b.add(b.add(words, types), positions), 'embeddings.norm');
  for (let layer = 0; layer < sizes.layers; layer++) {
    const p = `layer${layer}`;
    const q = perHead(linear(x, `${p}.query`, hidden, hidden), [0, 2, 1, 3]);
    const k = perHead(linear(x, `${p}.key`, hidden, hidden), [0, 2, 3, 1]);
    const v = perHead(linear(x, `${p}.value`, hidden, hidden), [0, 2, 1, 3]);
    const scores = b.div(b.matmul(q, k), b.constant(Math.sqrt(hidden / heads)));
    const context = b.matmul(b.softmax(b.add(scores, bias), -1), v);
    const merged = b.reshape(b.transpose(context, [0, 2, 1, 3]), [0, 0, hidden]);
    x = norm(b.add(linear(merged, `${p}.output`, hidden, hidden), x), `${p}.norm1`);
    const inner = linear(x, `${p}.up`, hidden, feedForward);
    const erf = b.op('Erf', [b.mul(inner, b.constant(Math.SQRT1_2))]);
    const gelu = b.mul(inner, b.mul(b.add(erf, b.constant(1)), b.constant(0.5)));
    x = norm(b.add(linear(gelu, `${p}.down`, feedForward, hidden), x), `${p}.norm2`);
  }
  const first = b.op('Gather', [x, b.scalar('int64', 0)], { axis: int(1) });
  const pooled = b.op('Tanh', [linear(first, 'pooler', hidden, hidden)]);
  const logits = linear(pooled, 'classifier', hidden, sizes.classes);
  b.output(logits);
  b.output(addCrossEntropy(b, logits, labels));
  return { graph: b.finish(), weights };
}
