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
 * y = x̂·scale + bias with x̂ = (x − mean)/σ over the axes from `axis` on. With g = dy·scale,
 * dx = (g − mean(g) − x̂·mean(g·x̂))/σ (Ba et al., 2016, differentiated).
 */
const layerNormalization: GradientRule = (context) => {
  const { b, node, x } = context;
  if (context.dys[1] ?? context.dys[2]) context.refuse('the loss depends on its statistics');
  const input = x[0]!;
  const shape = b.shapeOf(input);
  const first = (context.int('axis', -1) + shape.length) % shape.length;
  const axes = shape.map((_, axis) => axis).slice(first);
  const statistics = () => savedStatistics(context, first);
  const normalized = () => {
    const { mean, inverse } = statistics();
    return b.mul(b.sub(input, mean), inverse);
  };
  const average = (value: string) => {
    const sizes = axes.map((axis) => shape[axis]);
    const total = b.sum(value, axes, true);
    if (sizes.some((size) => typeof size !== 'number')) return context.refuse('the normalised size is not static');
    return b.scale(total, 1 / (sizes as number[]).reduce((product, size) => product * size, 1));
  };
  return [
    () => {
      const xhat = normalized();
      const g = b.mul(context.dy, x[1]!);
      const projected = b.mul(xhat, average(b.mul(g, xhat)));
      return b.mul(b.sub(b.sub(g, average(g)), projected), statistics().inverse);
    },
    () => b.sumTo(b.mul(context.dy, normalized()), x[1]!, b.shapeIfKnown(node.outputs[0]!)),
    () => b.sumTo(context.dy, x[2]!, b.shapeIfKnown(node.outputs[0]!)),
  ];
};

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
