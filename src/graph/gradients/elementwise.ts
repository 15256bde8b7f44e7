import { ONNX_TYPE } from '../builder.js';
import { float, int } from '../types.js';
import type { GradientContext, GradientRule } from './rule.js';

/** A function of one input; `make` returns ∂loss/∂x. */
const unary =
  (make: (context: GradientContext, x: string) => string): GradientRule =>
  (context) => [() => make(context, context.x[0]!)];

/**
 * A function of inputs that broadcast. `partials` returns ∂loss/∂xᵢ in the output's shape; summing it back to the
 * input's shape is done here.
 */
export const broadcasting =
  (partials: (context: GradientContext) => readonly ((() => string) | undefined)[]): GradientRule =>
  (context) =>
    partials(context).map((partial, i) => {
      if (!partial) return undefined;
      return () => context.b.sumTo(partial(), context.x[i]!, context.b.shapeIfKnown(context.y));
    });

/** dy where the condition holds, else 0. */
function only({ b, dy }: GradientContext, condition: string): string {
  return b.op('Where', [condition, dy, b.number(0, dy)]);
}

const add = broadcasting(({ dy, x }) => x.map(() => () => dy));

/** −(sum of dy): negated after the sum, where it is smaller. */
const sub: GradientRule = ({ b, dy, x, y }) => [
  () => b.sumTo(dy, x[0]!, b.shapeIfKnown(y)),
  () => b.neg(b.sumTo(dy, x[1]!, b.shapeIfKnown(y))),
];

const mul = broadcasting(({ b, dy, x }) => {
  const times = (other: string) => {
    const factor = b.constantNumber(other, dy);
    return factor === undefined ? b.mul(dy, other) : b.scale(dy, factor);
  };
  return [() => times(x[1]!), () => times(x[0]!)];
});

const div = broadcasting(({ b, dy, x, y }) => [
  () => {
    const divisor = b.constantNumber(x[1]!, dy);
    return divisor ? b.scale(dy, 1 / divisor) : b.div(dy, x[1]!);
  },
  () => b.neg(b.div(b.mul(dy, y), x[1]!)),
]);

/** d(xᵖ) = p·xᵖ⁻¹ dx + xᵖ·ln(x) dp; the latter is taken as 0 where x ≤ 0. */
const pow = broadcasting((context) => {
  const { b, dy, y } = context;
  const [x, p] = context.x as [string, string];
  const { dtype } = b.typeOf(x);
  return [
    () => {
      const exponent = context.constantInput(1);
      if (exponent?.data.length === 1) {
        const value = Number(exponent.data[0]);
        if (value === 2) return b.mul(dy, b.scale(x, 2));
        const power = value === 1.5 ? b.op('Sqrt', [x]) : b.op('Pow', [x, b.number(value - 1, x)]);
        return b.mul(dy, b.scale(power, value));
      }
      const real = b.typeOf(p).dtype === dtype ? p : b.cast(p, dtype);
      return b.mul(dy, b.mul(real, b.op('Pow', [x, b.sub(real, b.number(1, real))])));
    },
    () => {
      const positive = b.op('Greater', [x, b.number(0, x)]);
      const logarithm = b.op('Log', [b.op('Where', [positive, x, b.number(1, x)])]);
      return b.mul(dy, b.mul(y, logarithm));
    },
  ];
});

/** Max and Min: the gradient goes to the inputs that attain the extremum, in equal shares. */
const extremum = broadcasting(({ b, dy, x, y }) => {
  const attains = (input: string) => b.cast(b.op('Equal', [input, y]), b.typeOf(y).dtype);
  return x.map((input) => () => {
    if (x.length === 1) return dy;
    const count = x.length === 2 ? b.add(attains(x[0]!), attains(x[1]!)) : b.op('Sum', x.map(attains));
    return b.div(b.mul(dy, attains(input)), count);
  });
});

const mean = broadcasting(({ b, dy, x }) => x.map(() => () => b.scale(dy, 1 / x.length)));

const where: GradientRule = (context) => {
  const { b, dy, x, y } = context;
  const zero = b.number(0, dy);
  const shape = b.shapeIfKnown(y);
  return [
    'zero',
    () => b.sumTo(b.op('Where', [x[0]!, dy, zero]), x[1]!, shape),
    () => b.sumTo(b.op('Where', [x[0]!, zero, dy]), x[2]!, shape),
  ];
};

/** The bounds themselves belong to the inside: x = min and x = max pass the gradient to x. */
const clip: GradientRule = (context) => {
  const { b, x } = context;
  const below = () => b.op('Less', [x[0]!, x[1]!]);
  const above = () => b.op('Greater', [x[0]!, x[2]!]);
  const beyond = (condition: string, bound: string) =>
    b.sumTo(only(context, condition), bound, b.shapeIfKnown(context.y));
  return [
    () => {
      const outside = [...(context.has(1) ? [below()] : []), ...(context.has(2) ? [above()] : [])];
      if (outside.length === 0) return context.dy;
      const condition = outside.length === 2 ? b.op('Or', outside) : outside[0]!;
      return b.op('Where', [condition, b.number(0, context.dy), context.dy]);
    },
    () => beyond(below(), x[1]!),
    () => beyond(above(), x[2]!),
  ];
};

/** Φ′: the density of the standard normal distribution at x. */
function normalDensity({ b }: GradientContext, x: string): string {
  const exponent = b.op('Exp', [b.scale(b.mul(x, x), -0.5)]);
  return b.scale(exponent, 1 / Math.sqrt(2 * Math.PI));
}

const gelu = unary((context, x) => {
  const { b, dy } = context;
  if (context.string('approximate', 'none') === 'tanh') return tanhGelu(context, x);
  const cdf = b.scale(b.add(b.op('Erf', [b.scale(x, Math.SQRT1_2)]), b.number(1, x)), 0.5);
  return b.mul(dy, b.add(cdf, b.mul(x, normalDensity(context, x))));
});

/** y = x/2·(1 + tanh u), u = √(2/π)(x + 0.044715 x³). */
function tanhGelu({ b, dy }: GradientContext, x: string): string {
  const root = Math.sqrt(2 / Math.PI);
  const squared = b.mul(x, x);
  const one = b.number(1, x);
  const t = b.op('Tanh', [b.scale(b.mul(x, b.add(b.scale(squared, 0.044715), one)), root)]);
  const du = b.scale(b.add(b.scale(squared, 3 * 0.044715), one), root);
  const sech2 = b.sub(one, b.mul(t, t));
  return b.mul(dy, b.scale(b.add(b.add(t, one), b.mul(b.mul(x, sech2), du)), 0.5));
}

/** Between floating-point types. From another type (after a custom rule): the gradient stays in floating point. */
const cast = unary(({ b, dy }, x) => {
  const { dtype } = b.typeOf(x);
  const float = dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
  return float && b.typeOf(dy).dtype !== dtype ? b.op('Cast', [dy], { to: int(ONNX_TYPE[dtype]) }) : dy;
});

const dropout = unary((context) => {
  const training = context.has(2) && context.constantInts(2)?.[0] !== 0;
  return training ? context.refuse('it drops values at random') : context.dy;
});

const positive = ({ b }: GradientContext, x: string) => b.op('Greater', [x, b.number(0, x)]);

export const elementwise = {
  Add: add,
  Sum: add,
  Sub: sub,
  Mul: mul,
  Div: div,
  Pow: pow,
  Max: extremum,
  Min: extremum,
  Mean: mean,
  Where: where,
  Clip: clip,
  Gelu: gelu,
  Cast: cast,
  Dropout: dropout,
  Identity: unary(({ dy }) => dy),
  Neg: unary(({ b, dy }) => b.neg(dy)),
  Abs: unary(({ b, dy }, x) => b.mul(dy, b.op('Sign', [x]))),
  Reciprocal: unary(({ b, dy, y }) => b.neg(b.mul(dy, b.mul(y, y)))),
  Sqrt: unary(({ b, dy, y }) => b.scale(b.div(dy, y), 0.5)),
  Exp: unary(({ b, dy, y }) => b.mul(dy, y)),
  Log: unary(({ b, dy }, x) => b.div(dy, x)),
  Sin: unary(({ b, dy }, x) => b.mul(dy, b.op('Cos', [x]))),
  Cos: unary(({ b, dy }, x) => b.neg(b.mul(dy, b.op('Sin', [x])))),
  Tanh: unary(({ b, dy, y }) => b.mul(dy, b.sub(b.number(1, y), b.mul(y, y)))),
  Sigmoid: unary(({ b, dy, y }) => b.mul(dy, b.mul(y, b.sub(b.number(1, y), y)))),
  Softplus: unary(({ b, dy }, x) => b.mul(dy, b.op('Sigmoid', [x]))),
  /** d erf(x) = 2/√π·exp(−x²) dx. */
  Erf: unary(({ b, dy }, x) => b.mul(dy, b.scale(b.op('Exp', [b.neg(b.mul(x, x))]), 2 / Math.sqrt(Math.PI)))),
  Relu: unary((context) => only(context, positive(context, context.y))),
  LeakyRelu: unary((context, x) =>
    context.b.op('Where', [
      positive(context, x),
      context.dy,
      context.b.scale(context.dy, context.float('alpha', 0.01)),
    ]),
  ),
  /** y = max(0, min(1, αx + β)): slope α strictly inside. */
  HardSigmoid: unary((context) => {
    const { b, y } = context;
    const inside = b.op('And', [positive(context, y), b.op('Less', [y, b.number(1, y)])]);
    return b.scale(only(context, inside), context.float('alpha', 0.2));
  }),
  /** y = x·max(0, min(1, x/6 + 1/2)). */
  HardSwish: unary(({ b, dy }, x) => {
    const ramp = b.op('HardSigmoid', [x], { alpha: float(1 / 6), beta: float(0.5) });
    const inside = b.op('Less', [b.op('Abs', [x]), b.number(3, x)]);
    const slope = b.op('Where', [inside, b.scale(x, 1 / 6), b.number(0, x)]);
    return b.mul(dy, b.add(ramp, slope));
  }),
} satisfies Record<string, GradientRule>;
