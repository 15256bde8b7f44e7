import { int } from '../types.js';
import { scatteredBack } from './indexing.js';
import { placed } from './place.js';
import type { GradientContext, GradientRule } from './rule.js';

/** Operators that only rename positions: the gradient takes the input's shape again. */
const reshaped: GradientRule = ({ b, dy, x }) => [() => b.reshapeLike(dy, x[0]!), 'zero'];

const transpose: GradientRule = (context) => [
  () => {
    const rank = context.rank(context.x[0]!);
    const perm = context.ints('perm') ?? [...Array(rank).keys()].reverse();
    const inverse = perm.map((_, axis) => perm.indexOf(axis));
    return context.b.permute(context.dy, inverse);
  },
];

const axisOf = (context: GradientContext, value: string, fallback?: number): number => {
  const axis = context.int('axis', fallback ?? 0);
  return axis < 0 ? axis + context.rank(value) : axis;
};

/** Each input's gradient is its own stretch of dy. */
const concat: GradientRule = (context) => {
  const { b, dy, x } = context;
  const axis = axisOf(context, context.y);
  const start = (i: number): string => (i === 0 ? b.ints([0]) : end(i - 1));
  const end = (i: number): string => {
    const sizes = x.slice(0, i + 1).map((value) => b.shapeIfKnown(value)?.[axis]);
    if (sizes.every((size) => typeof size === 'number')) return b.ints([sizes.reduce((sum, size) => sum + size, 0)]);
    return i === 0 ? b.dim(x[0]!, axis) : b.add(end(i - 1), b.dim(x[i]!, axis));
  };
  const sizes = x.map((value) => b.shapeIfKnown(value)?.[axis]);
  if (sizes.every((size) => typeof size === 'number')) {
    const parts = () => b.node('Split', [dy, b.ints(sizes)], x.length, { axis: int(axis) });
    return x.map((_, i) => () => (x.length === 1 ? dy : parts()[i]!));
  }
  return x.map((_, i) => () => b.op('Slice', [dy, start(i), end(i), b.ints([axis])]));
};

const split: GradientRule = (context) => [
  () => {
    const { b, dys, node } = context;
    const axis = axisOf(context, context.x[0]!);
    const parts = dys.map((part, i) => part ?? b.zerosLike(node.outputs[i]!));
    return b.op('Concat', parts, { axis: int(axis) });
  },
  'zero',
];

const expand: GradientRule = ({ b, dy, x, y }) => [() => b.sumTo(dy, x[0]!, b.shapeIfKnown(y)), 'zero'];

/** Every copy adds to the gradient: dy as [r₀, d₀, r₁, d₁, …], summed over the repeats. */
const tile: GradientRule = (context) => [
  () => {
    const { b, dy, x } = context;
    const rank = context.rank(x[0]!);
    const repeats = context.constantInts(1);
    const pieces = [...Array(rank).keys()].flatMap((axis) => [
      repeats ? b.ints([repeats[axis]!]) : b.op('Slice', [x[1]!, b.ints([axis]), b.ints([axis + 1])]),
      b.dim(x[0]!, axis),
    ]);
    const interleaved = b.concatInts(pieces);
    const repeatAxes = [...Array(rank).keys()].map((axis) => 2 * axis);
    return b.sum(b.op('Reshape', [dy, interleaved]), repeatAxes, false);
  },
  'zero',
];

/** Constant padding is cut off again. */
const pad: GradientRule = (context) => [
  () => {
    const { b, dy, x } = context;
    if (context.string('mode', 'constant') !== 'constant') context.refuse('only constant padding has a rule');
    const rank = context.rank(x[0]!);
    const given = context.has(3) ? context.constantInts(3) : [...Array(rank).keys()];
    if (!given) return context.refuse('its axes are not constant');
    const starts = context.constantInts(1);
    const begin = starts
      ? b.ints(starts.slice(0, given.length))
      : b.op('Slice', [x[1]!, b.ints([0]), b.ints([given.length])]);
    if (starts?.slice(0, given.length).some((amount) => amount < 0)) context.refuse('it crops (negative padding)');
    const sizes = given.map((axis) => b.dim(x[0]!, axis < 0 ? axis + rank : axis));
    const extents = b.concatInts(sizes);
    return b.op('Slice', [dy, begin, b.add(begin, extents), b.ints(given)]);
  },
  'zero',
  undefined,
  'zero',
];

/** dx is dy put back at its place among zeros: a Pad where steps are 1 from constant starts, else a scatter. */
const slice: GradientRule = (context) => [
  () => {
    const { x } = context;
    const starts = context.constantInts(1);
    const axes = context.has(3) ? context.constantInts(3) : starts?.map((_, i) => i);
    const steps = context.has(4) ? context.constantInts(4) : [1];
    if (!starts || !axes || !steps?.every((step) => step === 1)) return scatteredBack(context);
    const rank = context.rank(x[0]!);
    const places = axes.map((axis, i) => [axis < 0 ? axis + rank : axis, starts[i]!] as const);
    return placed(context.b, context.dy, x[0]!, new Map(places));
  },
  'zero',
  'zero',
  'zero',
  'zero',
];

export const shapes = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  Slice: slice,
} satisfies Record<string, GradientRule>;
