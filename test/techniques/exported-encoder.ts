/** A one-layer classifier as exporters write it: packed projections, scaled queries, weights stored transposed. */
import { GraphBuilder } from '../../src/graph/builder.js';
import { float, floatTensor, type Graph, int } from '../../src/graph/types.js';

export const EXPORTED = { heads: 2, dim: 4, hidden: 8, intermediate: 12, queryScale: 1 / Math.sqrt(4) } as const;

/** Inputs input_ids, attention_mask; output logits [batch, 2]. */
export function exportedEncoder(): Graph {
  const { heads, dim, hidden, intermediate, queryScale } = EXPORTED;
  const b = new GraphBuilder('exported');
  let seed = 0;
  const weights = (shape: readonly number[]) =>
    floatTensor(
      Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => Math.sin(++seed * 1.7) * 0.6),
      shape,
    );
  const weight = (name: string, shape: readonly number[]) => b.initializer(name, weights(shape));
  const transposed = (name: string, from: number, to: number) => b.transpose(weight(name, [to, from]), [1, 0]);
  const ids = b.input('input_ids', 'int64', ['batch', 'tokens']);
  const mask = b.input('attention_mask', 'float32', ['batch', 'tokens']);
  const x = b.op('Gather', [weight('words', [12, hidden]), ids], {}, 'x');

  const packed = b.add(b.matmul(x, weight('qkv', [hidden, 3 * hidden])), weight('qkv.bias', [3 * hidden]));
  const [q, k, v] = b.node('Split', [packed, b.ints([hidden, hidden, hidden])], 3, { axis: int(2) }, 'part');
  const split = (value: string, perm: number[]) => b.transpose(b.reshape(value, [0, 0, heads, dim]), perm);
  const query = split(b.mul(q!, b.constant(queryScale)), [0, 2, 1, 3]);
  const raw = b.matmul(query, split(k!, [0, 2, 3, 1]), 'raw');
  const visible = b.cast(b.op('Unsqueeze', [mask, b.ints([1, 2])]), 'bool');
  const probabilities = b.softmax(b.op('Where', [visible, raw, b.constant(-1e9)]), -1, 'probabilities');
  const context = b.matmul(probabilities, split(v!, [0, 2, 1, 3]), 'context');
  const merged = b.reshape(b.transpose(context, [0, 2, 1, 3]), [0, 0, hidden], 'merged');
  const attended = b.add(b.matmul(merged, transposed('out', hidden, hidden)), weight('out.bias', [hidden]), 'attended');

  const normed = b.op(
    'LayerNormalization',
    [b.add(x, attended), weight('norm', [hidden])],
    { epsilon: float(1e-6) },
    'normed',
  );
  const wide = b.add(weight('up.bias', [intermediate]), b.matmul(normed, transposed('up', hidden, intermediate)));
  // tanh GELU: it adds a function of its input to its input, which must not be taken for a residual.
  const cube = b.mul(b.mul(b.mul(wide, wide), wide), b.constant(0.044715));
  const gate = b.op('Tanh', [b.mul(b.add(wide, cube), b.constant(Math.sqrt(2 / Math.PI)))]);
  const active = b.mul(b.mul(wide, b.constant(0.5)), b.add(gate, b.constant(1)), 'active');
  const fed = b.add(b.matmul(active, transposed('down', intermediate, hidden)), weight('down.bias', [hidden]), 'fed');
  const output = b.add(fed, normed);

  const first = b.op('Gather', [output, b.scalar('int64', 0)], { axis: int(1) });
  const dense = b.node('Gemm', [first, weight('dense', [hidden, hidden]), weight('dense.bias', [hidden])], 1, {
    transB: int(1),
  });
  const pooled = b.op('Tanh', dense, {}, 'pooled');
  b.node(
    'Gemm',
    [pooled, weight('classifier', [2, hidden]), weight('classifier.bias', [2])],
    1,
    { transB: int(1) },
    'logits',
  );
  b.output('logits');
  return b.finish();
}
