/** For each operator, how to make random small nodes of it that ONNX Runtime accepts. */
import type fc from 'fast-check';
import type { OperatorName } from '../../src/graph/operators.js';
import {
  type Attribute,
  floatTensor,
  int,
  int64Tensor,
  ints,
  sizeOf,
  str,
  type Tensor,
  tensor,
} from '../../src/graph/types.js';

/** An input that is fed at run time, one that is an initializer, or none. */
export type Argument = { readonly feed: Tensor } | { readonly constant: Tensor } | undefined;

export interface Case {
  readonly inputs: readonly Argument[];
  readonly attributes?: Readonly<Record<string, Attribute | undefined>>;
  readonly outputs?: number;
  readonly opset?: number;
}

/** Random choices; fast-check shrinks them. */
export class Random {
  constructor(
    readonly choose: fc.GeneratorValue,
    readonly arbitraries: typeof fc,
  ) {}

  integer(min: number, max: number): number {
    return this.choose(this.arbitraries.integer, { min, max });
  }
  flag(): boolean {
    return this.integer(0, 1) === 1;
  }
  pick<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }
  shape(minRank = 0, maxRank = 4, minSize = 1): number[] {
    return Array.from({ length: this.integer(minRank, maxRank) }, () => this.integer(minSize, 4));
  }
  axis(rank: number): number {
    return this.integer(-rank, rank - 1);
  }
  /** Some of the axes, each once, counted from either end. */
  axes(rank: number, least = 1): number[] {
    const chosen = [...Array(rank).keys()].filter(() => this.flag());
    while (chosen.length < least) chosen.push([...Array(rank).keys()].find((axis) => !chosen.includes(axis))!);
    return chosen.map((axis) => (this.flag() ? axis : axis - rank));
  }
  /** A shape that broadcasts with this one. */
  partner(shape: readonly number[]): number[] {
    return shape.slice(this.integer(0, shape.length)).map((dim) => (this.flag() ? dim : 1));
  }
  permutation(length: number): number[] {
    const rest = [...Array(length).keys()];
    return Array.from({ length }, () => rest.splice(this.integer(0, rest.length - 1), 1)[0]!);
  }
}

const ramp = (shape: readonly number[]): number[] => Array.from({ length: sizeOf(shape) }, (_, i) => (i % 7) / 8 + 0.1);
const floats = (shape: readonly number[]): Argument => ({ feed: floatTensor(ramp(shape), shape) });
const integers = (values: readonly number[], shape = [values.length]): Argument => ({
  feed: int64Tensor(values, shape),
});
const constant = (values: readonly number[], shape = [values.length]): Argument => ({
  constant: int64Tensor(values, shape),
});
const scalar = (value: number): Argument => ({ constant: floatTensor([value], []) });
const bools = (shape: readonly number[]): Argument => ({
  feed: tensor(
    'bool',
    shape,
    Uint8Array.from(ramp(shape), (_, i) => i % 2),
  ),
});
const bytes = (dtype: 'int8' | 'uint8', shape: readonly number[]): Argument => ({
  feed: tensor(dtype, shape, dtype === 'int8' ? new Int8Array(sizeOf(shape)) : new Uint8Array(sizeOf(shape))),
});

type Make = (r: Random) => Case;

const unary: Make = (r) => ({ inputs: [floats(r.shape())] });
const binaryOf =
  (argument: (shape: readonly number[]) => Argument): Make =>
  (r) => {
    const shape = r.shape();
    const pair = [shape, r.partner(shape)];
    return { inputs: (r.flag() ? pair : pair.reverse()).map(argument) };
  };
const binary = binaryOf(floats);
const logical = binaryOf(bools);
const variadic: Make = (r) => {
  const shape = r.shape();
  return { inputs: [floats(shape), floats(r.partner(shape)), floats(r.partner(shape))] };
};
const alongAxis: Make = (r) => {
  const shape = r.shape(1);
  return { inputs: [floats(shape)], attributes: { axis: int(r.axis(shape.length)) } };
};
const argument: Make = (r) => {
  const shape = r.shape(1);
  return { inputs: [floats(shape)], attributes: { axis: int(r.axis(shape.length)), keepdims: int(r.integer(0, 1)) } };
};
/** Axes as an attribute up to opset 17, as an input from 18; none reduces all. */
const reduce: Make = (r) => {
  const shape = r.shape(1);
  const axes = r.flag() ? r.axes(shape.length) : undefined;
  const attributes: Record<string, Attribute> = { keepdims: int(r.integer(0, 1)) };
  if (r.flag()) return { inputs: [floats(shape), axes && constant(axes)], attributes, opset: 18 };
  return { inputs: [floats(shape)], attributes: axes ? { ...attributes, axes: ints(axes) } : attributes };
};
const reduceSum: Make = (r) => {
  const shape = r.shape(1);
  const axes = r.flag() ? r.axes(shape.length) : undefined;
  const attributes = { keepdims: int(r.integer(0, 1)), noop_with_empty_axes: int(r.integer(0, 1)) };
  return { inputs: [floats(shape), axes && constant(axes)], attributes };
};
/** Window parameters over two spatial axes of 5 to 8. */
function windows(r: Random): { kernel: number[]; spatial: number[]; attributes: Record<string, Attribute> } {
  const kernel = [r.integer(1, 3), r.integer(1, 3)];
  const attributes: Record<string, Attribute> = { strides: ints(kernel.map((size) => r.integer(1, size))) };
  if (r.flag()) attributes.auto_pad = str(r.pick(['SAME_UPPER', 'SAME_LOWER', 'VALID']));
  else attributes.pads = ints(Array.from({ length: 4 }, () => r.integer(0, Math.min(...kernel) - 1)));
  return { kernel, spatial: [r.integer(5, 8), r.integer(5, 8)], attributes };
}
const pooled: Make = (r) => {
  const { kernel, spatial, attributes } = windows(r);
  const ceil = attributes.auto_pad ? {} : { ceil_mode: int(r.integer(0, 1)) };
  return { inputs: [floats([2, 3, ...spatial])], attributes: { ...attributes, ...ceil, kernel_shape: ints(kernel) } };
};

export const OPERATOR_CASES: Readonly<Record<OperatorName, Make>> = {
  Abs: unary,
  Add: binary,
  And: logical,
  Cast: (r) => ({ inputs: [floats(r.shape())], attributes: { to: int(r.pick([1, 6, 7, 9, 10, 11])) } }),
  Ceil: unary,
  Clip: (r) => ({ inputs: [floats(r.shape()), r.flag() ? scalar(0) : undefined, scalar(1)] }),
  Cos: unary,
  Div: binary,
  Equal: binary,
  Erf: unary,
  Exp: unary,
  Floor: unary,
  Gelu: (r) => ({ ...unary(r), opset: 20 }),
  Greater: binary,
  GreaterOrEqual: binary,
  HardSigmoid: unary,
  HardSwish: unary,
  IsInf: unary,
  IsNaN: unary,
  LeakyRelu: unary,
  Less: binary,
  LessOrEqual: binary,
  Log: unary,
  Max: variadic,
  Mean: variadic,
  Min: variadic,
  Mod: (r) => ({ ...binary(r), attributes: { fmod: int(1) } }),
  Mul: binary,
  Neg: unary,
  Not: (r) => ({ inputs: [bools(r.shape())] }),
  Or: logical,
  Pow: binary,
  Reciprocal: unary,
  Relu: unary,
  Round: unary,
  Sigmoid: unary,
  Sign: unary,
  Sin: unary,
  Softplus: unary,
  Sqrt: unary,
  Sub: binary,
  Sum: variadic,
  Tanh: unary,
  Where: (r) => {
    const shape = r.shape();
    return { inputs: [bools(r.partner(shape)), floats(shape), floats(r.partner(shape))] };
  },
  Xor: logical,
  Conv: (r) => {
    const { kernel, spatial, attributes } = windows(r);
    const group = r.integer(1, 2);
    return {
      inputs: [floats([2, 2 * group, ...spatial]), floats([3 * group, 2, ...kernel])],
      attributes: { ...attributes, group: int(group) },
    };
  },
  Einsum: (r) => {
    const [b, h, i, j, d] = [
      r.integer(1, 3),
      r.integer(1, 3),
      r.integer(1, 3),
      r.integer(1, 3),
      r.integer(1, 3),
    ] as const;
    return r.pick<Case>([
      { inputs: [floats([b, h, i, d]), floats([b, h, j, d])], attributes: { equation: str('bhid, bhjd -> bhij') } },
      { inputs: [floats([i, d]), floats([d, j])], attributes: { equation: str('id,dj') } },
      { inputs: [floats([i, j])], attributes: { equation: str('ij->ji') } },
    ]);
  },
  Gemm: (r) => {
    const [m, k, n] = [r.integer(1, 4), r.integer(1, 4), r.integer(1, 4)];
    const [ta, tb] = [r.integer(0, 1), r.integer(0, 1)];
    const bias = r.pick([undefined, [n], [1, n], [m, 1], [m, n]]);
    return {
      inputs: [floats(ta ? [k, m] : [m, k]), floats(tb ? [n, k] : [k, n]), bias && floats(bias)],
      attributes: { transA: int(ta), transB: int(tb) },
    };
  },
  MatMul: (r) => {
    const [m, k, n] = [r.integer(1, 4), r.integer(1, 4), r.integer(1, 4)];
    const batch = r.shape(0, 2);
    const left = r.flag() ? [...batch, m, k] : [k];
    const right = r.flag() ? [...r.partner(batch), k, n] : [k];
    return { inputs: [floats(left), floats(right)] };
  },
  MatMulInteger: (r) => {
    const [m, k, n] = [r.integer(1, 4), r.integer(1, 4), r.integer(1, 4)];
    return { inputs: [bytes('uint8', [2, m, k]), bytes('int8', [k, n])] };
  },
  Concat: (r) => {
    const shape = r.shape(1);
    const axis = r.axis(shape.length);
    const other = shape.map((dim, i) => (i === (axis + shape.length) % shape.length ? r.integer(1, 4) : dim));
    return { inputs: [floats(shape), floats(other)], attributes: { axis: int(axis) } };
  },
  Expand: (r) => {
    const target = r.shape(1);
    return { inputs: [floats(r.partner(target)), constant(r.flag() ? target : target.map(() => 1))] };
  },
  Flatten: (r) => {
    const shape = r.shape(1);
    return { inputs: [floats(shape)], attributes: { axis: int(r.integer(-shape.length, shape.length)) } };
  },
  Identity: unary,
  Pad: (r) => {
    const shape = r.shape(1);
    if (r.flag()) return { inputs: [floats(shape), constant(shape.flatMap(() => [r.integer(0, 2), r.integer(0, 2)]))] };
    const axes = r.axes(shape.length);
    const pads = axes.flatMap(() => [r.integer(0, 2), r.integer(0, 2)]);
    return { inputs: [floats(shape), constant(pads), undefined, constant(axes)], opset: 18 };
  },
  Reshape: (r) => {
    const shape = r.shape(1);
    const merged = shape.length > 1 && r.flag() ? [shape[0]! * shape[1]!, ...shape.slice(2)] : [...shape, 1];
    const target: number[] = merged.map((dim, axis) => (dim === shape[axis] && r.flag() ? 0 : dim));
    if (r.flag()) target[r.integer(0, target.length - 1)] = -1;
    return { inputs: [floats(shape), constant(target)] };
  },
  Slice: (r) => {
    const shape = r.shape(1);
    const axes = r.axes(shape.length);
    const bound = () => r.pick([0, 1, 2, -1, -2, 9, -9]);
    return {
      inputs: [
        floats(shape),
        constant(axes.map(bound)),
        constant(axes.map(bound)),
        constant(axes),
        constant(axes.map(() => r.pick([1, 2, -1, -2]))),
      ],
    };
  },
  Split: (r) => {
    const shape = r.shape(1);
    const axis = r.axis(shape.length);
    const at = (axis + shape.length) % shape.length;
    if (r.flag()) {
      const sizes = [r.integer(1, 3), r.integer(1, 3)];
      shape[at] = sizes[0]! + sizes[1]!;
      return { inputs: [floats(shape), constant(sizes)], attributes: { axis: int(axis) }, outputs: 2 };
    }
    shape[at] = 6;
    return { inputs: [floats(shape)], attributes: { axis: int(axis) }, outputs: r.pick([1, 2, 3]) };
  },
  Squeeze: (r) => {
    const shape = r.shape(1);
    if (r.flag()) return { inputs: [floats(shape)] };
    const axes = r.axes(shape.length);
    for (const axis of axes) shape[axis < 0 ? axis + shape.length : axis] = 1;
    return { inputs: [floats(shape), constant(axes)] };
  },
  Tile: (r) => {
    const shape = r.shape(1);
    return { inputs: [floats(shape), constant(shape.map(() => r.integer(1, 3)))] };
  },
  Transpose: (r) => {
    const shape = r.shape(1);
    return { inputs: [floats(shape)], attributes: r.flag() ? { perm: ints(r.permutation(shape.length)) } : {} };
  },
  Unsqueeze: (r) => {
    const shape = r.shape(0, 3);
    const count = r.integer(1, 2);
    const rank = shape.length + count;
    const axes = r.permutation(rank).slice(0, count);
    return { inputs: [floats(shape), constant(axes.map((axis) => (r.flag() ? axis : axis - rank)))] };
  },
  Gather: (r) => {
    const shape = r.shape(1, 3);
    const indices = r.shape(0, 2);
    return {
      inputs: [floats(shape), integers(new Array(sizeOf(indices)).fill(-1), indices)],
      attributes: { axis: int(r.axis(shape.length)) },
    };
  },
  GatherElements: (r) => {
    const shape = r.shape(1);
    const indices = shape.map((dim) => r.integer(1, dim));
    return {
      inputs: [floats(shape), integers(new Array(sizeOf(indices)).fill(0), indices)],
      attributes: { axis: int(r.axis(shape.length)) },
    };
  },
  GatherND: (r) => {
    const shape = r.shape(2, 4);
    const batch = r.integer(0, 1);
    const indices = [...shape.slice(0, batch), 2, r.integer(1, shape.length - batch)];
    return {
      inputs: [floats(shape), integers(new Array(sizeOf(indices)).fill(0), indices)],
      attributes: { batch_dims: int(batch) },
    };
  },
  NonZero: (r) => ({ inputs: [floats(r.shape(1))] }),
  OneHot: (r) => {
    const indices = r.shape(1, 3);
    return {
      inputs: [
        integers(new Array(sizeOf(indices)).fill(1), indices),
        constant([5], []),
        { constant: floatTensor([0, 1]) },
      ],
      attributes: { axis: int(r.axis(indices.length + 1)) },
    };
  },
  ScatterElements: (r) => {
    const shape = r.shape(1);
    const indices = shape.map(() => 1);
    return {
      inputs: [floats(shape), integers([0], indices), floats(indices)],
      attributes: { axis: int(r.axis(shape.length)) },
    };
  },
  ScatterND: (r) => {
    const shape = r.shape(1);
    return { inputs: [floats(shape), integers([0], [1, 1]), floats([1, ...shape.slice(1)])] };
  },
  TopK: (r) => {
    const shape = r.shape(1);
    const axis = r.axis(shape.length);
    return {
      inputs: [floats(shape), constant([r.integer(1, shape.at(axis)!)])],
      attributes: { axis: int(axis) },
      outputs: 2,
    };
  },
  Trilu: (r) => ({ inputs: [floats(r.shape(2))], attributes: { upper: int(r.integer(0, 1)) } }),
  ArgMax: argument,
  ArgMin: argument,
  BatchNormalization: (r) => {
    const shape = r.shape(2);
    return { inputs: [floats(shape), ...Array.from({ length: 4 }, () => floats([shape[1]!]))] };
  },
  CumSum: (r) => {
    const shape = r.shape(1);
    return { inputs: [floats(shape), constant([r.axis(shape.length)], [])] };
  },
  Dropout: (r) => ({ ...unary(r), outputs: r.integer(1, 2) }),
  LayerNormalization: (r) => {
    const shape = r.shape(1);
    const axis = r.integer(0, shape.length - 1);
    const scale = floats(shape.slice(axis));
    return {
      inputs: [floats(shape), scale, r.flag() ? scale : undefined],
      attributes: { axis: int(axis) },
      outputs: r.pick([1, 3]),
    };
  },
  LogSoftmax: alongAxis,
  ReduceL1: reduce,
  ReduceL2: reduce,
  ReduceLogSumExp: reduce,
  ReduceMax: reduce,
  ReduceMean: reduce,
  ReduceMin: reduce,
  ReduceProd: reduce,
  ReduceSum: reduceSum,
  ReduceSumSquare: reduce,
  Softmax: alongAxis,
  AveragePool: pooled,
  GlobalAveragePool: () => ({ inputs: [floats([2, 3, 4, 5])] }),
  MaxPool: (r) => ({ ...pooled(r), outputs: r.integer(1, 2) }),
  Constant: (r) => {
    const shape = r.shape();
    return {
      inputs: [],
      attributes: r.pick<NonNullable<Case['attributes']>>([
        { value: { kind: 'tensor', value: floatTensor(ramp(shape), shape) } },
        { value_int: int(3) },
        { value_ints: ints([1, 2]) },
        { value_float: { kind: 'float', value: 2 } },
        { value_floats: { kind: 'floats', value: [1, 2, 3] } },
      ]),
    };
  },
  ConstantOfShape: (r) => {
    const value: Attribute = { kind: 'tensor', value: int64Tensor([7]) };
    return { inputs: [constant(r.shape(1))], attributes: r.flag() ? { value } : {} };
  },
  Range: (r) => ({
    inputs: [constant([r.integer(-3, 3)], []), constant([r.integer(-3, 6)], []), constant([r.pick([1, 2, -1])], [])],
  }),
  Shape: (r) => {
    const shape = r.shape(0, 4);
    return {
      inputs: [floats(shape)],
      attributes: r.flag() ? { start: int(r.integer(-2, 2)), end: int(r.integer(-2, 9)) } : {},
    };
  },
  Size: unary,
  DequantizeLinear: (r) => ({ inputs: [bytes('int8', r.shape()), scalar(0.5)] }),
  DynamicQuantizeLinear: (r) => ({ inputs: [floats(r.shape(1))], outputs: 3 }),
  QuantizeLinear: (r) => ({
    inputs: [floats(r.shape()), scalar(0.5), r.flag() ? { constant: tensor('int8', [], Int8Array.of(0)) } : undefined],
  }),
};
