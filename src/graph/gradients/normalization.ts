import type { GradientContext, GradientRule } from './rule.js';

/** dx = y·(dy − Σ y·dy). */
const softmax: GradientRule = (context) => [
  () => {
    const { b, dy, y } = context;
    const weighted = b.mul(dy, y);
    const total = b.sum(weighted, [context.int('axis', -1)], true);
    return b.sub(weighted, b.mul(y, total));
  },
];

/** dx = dy − softmax(x)·Σ dy, with softmax(x) = exp y. */
const logSoftmax: GradientRule = (context) => [
  () => {
    const { b, dy, y } = context;
    const total = b.sum(dy, [context.int('axis', -1)], true);
    return b.sub(dy, b.mul(b.op('Exp', [y]), total));
  },
];

/**
 * y = x̂·scale + bias with x̂ = (x − mean)/σ over the axes from `axis` on. Derived: with g = dy·scale,
 * dx = (g − mean(g) − x̂·mean(dy·x̂·scale))/σ.
 */
const layerNormalization: GradientRule = (context) => {
  const { b, x, y } = context;
  if (context.dys[1] ?? context.dys[2]) context.refuse('the loss depends on its statistics');
  const [input, scale] = x as [string, string];
  const rank = context.rank(input);
  const first = (context.int('axis', -1) + rank) % rank;
  const normalized = () => {
    const { mean, inverse } = savedStatistics(context, first);
    return b.mul(b.sub(input, mean), inverse);
  };
  return [
    () => {
      const xhat = normalized();
      const centred = b.sub(b.mul(context.dy, scale), weightedMean(context, context.dy, first));
      const projected = b.mul(xhat, weightedMean(context, b.mul(context.dy, xhat), first));
      return b.mul(b.sub(centred, projected), savedStatistics(context, first).inverse);
    },
    () => b.sumTo(b.mul(context.dy, normalized()), scale, b.shapeIfKnown(y)),
    () => b.sumTo(context.dy, x[2]!, b.shapeIfKnown(y)),
  ];
};

/**
 * Mean of value·scale over the normalised axes, kept as size 1. Over the last axis alone it is a product with
 * scale/size as a column: one pass over the value instead of two.
 */
function weightedMean(context: GradientContext, value: string, firstAxis: number): string {
  const { b } = context;
  const scale = context.x[1]!;
  const sizes = b.shapeOf(context.x[0]!).slice(firstAxis);
  if (!sizes.every((size) => typeof size === 'number')) return context.refuse('the normalised size is not static');
  const share = 1 / sizes.reduce((product, size) => product * size, 1);
  if (sizes.length === 1 && b.shapeOf(scale).length === 1) {
    return b.matmul(value, b.op('Unsqueeze', [b.scale(scale, share), b.ints([1])]));
  }
  const axes = sizes.map((_, i) => firstAxis + i);
  return b.scale(b.sum(b.mul(value, scale), axes, true), share);
}

/** The operator's own mean and 1/σ: it computes them anyway, in float32, so it is given outputs for them. */
function savedStatistics({ b, node, y }: GradientContext, firstAxis: number): { mean: string; inverse: string } {
  const current = b.nodes.find(({ name }) => name === node.name)!;
  const reduced = b.shapeOf(node.inputs[0]!).map((dim, axis) => (axis < firstAxis ? dim : 1));
  const missing = ['mean', 'inverse_deviation']
    .slice(current.outputs.length - 1)
    .map((hint) => ({ hint: `${y}_${hint}`, dtype: 'float32' as const, shape: reduced }));
  const outputs = [...current.outputs, ...(missing.length > 0 ? b.extendOutputs(current, missing) : [])];
  const { dtype } = b.typeOf(y);
  const [mean, inverse] = outputs.slice(1).map((value) => (dtype === 'float32' ? value : b.cast(value, dtype)));
  return { mean: mean!, inverse: inverse! };
}

export const normalizations = {
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  LayerNormalization: layerNormalization,
} satisfies Record<string, GradientRule>;
