import { int } from '../types.js';
import type { GradientContext, GradientRule } from './rule.js';

/** The reduced axes, ≥ 0; an attribute or, in later operator sets, an input. */
function reducedAxes(context: GradientContext): readonly number[] {
  const rank = context.rank(context.x[0]!);
  const given = context.has(1) ? context.constantInts(1) : context.ints('axes');
  if (context.has(1) && !given) context.refuse('its axes are not constant');
  const axes = given?.length ? given : context.int('noop_with_empty_axes', 0) ? [] : [...Array(rank).keys()];
  return axes.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** A value of the output's shape with the reduced axes put back as size 1, so that it broadcasts against the input. */
function kept(context: GradientContext, value: string): string {
  const { b } = context;
  const axes = reducedAxes(context);
  if (context.int('keepdims', 1) || axes.length === 0) return value;
  // A scalar broadcasts as it is.
  if (axes.length === context.rank(context.x[0]!)) return value;
  return b.op('Unsqueeze', [value, b.ints(axes)]);
}

/** How many elements each output element was made of, as a number or, where dimensions are symbolic, a scalar value. */
function count(context: GradientContext): number | string {
  const { b } = context;
  const x = context.x[0]!;
  const shape = b.shapeOf(x);
  const axes = reducedAxes(context);
  const known = axes.reduce((product, axis) => product * (typeof shape[axis] === 'number' ? shape[axis] : 1), 1);
  const unknown = axes.filter((axis) => typeof shape[axis] !== 'number');
  if (unknown.length === 0) return known;
  const sizes = unknown.map((axis) => b.dim(x, axis)).reduce((product, size) => b.mul(product, size));
  return b.scale(b.cast(b.op('Squeeze', [sizes, b.ints([0])]), b.typeOf(x).dtype), known);
}

const expanded = (context: GradientContext, value: string): string => {
  const { b } = context;
  return b.op('Expand', [value, b.shape(context.x[0]!)]);
};

/** ∂y/∂x as a factor on the gradient, given x and y (kept). */
const reduction =
  (factor: (context: GradientContext, x: string, y: string, dy: string) => string): GradientRule =>
  (context) => [() => factor(context, context.x[0]!, kept(context, context.y), kept(context, context.dy))];

/** The gradient goes to the elements that attain the extremum, in equal shares. */
const extremum = reduction((context, x, y, dy) => {
  const { b } = context;
  const attains = b.cast(b.op('Equal', [x, y]), b.typeOf(x).dtype);
  const ties = b.sum(attains, reducedAxes(context), true);
  return b.mul(attains, b.div(dy, ties));
});

export const reductions = {
  ReduceSum: reduction((context, _x, _y, dy) => expanded(context, dy)),
  ReduceMean: reduction((context, _x, _y, dy) => {
    const n = count(context);
    const { b } = context;
    return expanded(context, typeof n === 'number' ? b.scale(dy, 1 / n) : b.div(dy, n));
  }),
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceSumSquare: reduction(({ b }, x, _y, dy) => b.mul(b.scale(x, 2), dy)),
  ReduceL1: reduction(({ b }, x, _y, dy) => b.mul(b.op('Sign', [x]), dy)),
  ReduceL2: reduction(({ b }, x, y, dy) => b.mul(x, b.div(dy, y))),
  ReduceLogSumExp: reduction(({ b }, x, y, dy) => b.mul(b.op('Exp', [b.sub(x, y)]), dy)),

  /** y = running sum; its gradient runs the other way. */
  CumSum: (context) => [
    () => {
      const reverse = 1 - context.int('reverse', 0);
      const attributes = { exclusive: int(context.int('exclusive', 0)), reverse: int(reverse) };
      return context.b.op('CumSum', [context.dy, context.x[1]!], attributes);
    },
    'zero',
  ],
} satisfies Record<string, GradientRule>;
