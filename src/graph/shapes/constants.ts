import { type Attributes, type Dim, type Tensor, tensor } from '../types.js';
import { contentsOf, type ShapeRule } from './context.js';
import { multiplyDims } from './dims.js';

export const constant: ShapeRule = (c) => {
  const value = constantValue(c.node.attributes);
  return [value && c.type(value.dtype, value.shape, contentsOf(value))];
};

/** The tensor that a Constant node stands for, from whichever of its attributes is given. */
export function constantValue(attributes: Attributes): Tensor | undefined {
  const { value, value_float, value_floats, value_int, value_ints, value_string, value_strings } = attributes;
  if (value?.kind === 'tensor') return value.value;
  if (value_float?.kind === 'float') return tensor('float32', [], Float32Array.of(value_float.value));
  if (value_floats?.kind === 'floats') {
    return tensor('float32', [value_floats.value.length], Float32Array.from(value_floats.value));
  }
  if (value_int?.kind === 'int') return tensor('int64', [], BigInt64Array.of(BigInt(value_int.value)));
  if (value_ints?.kind === 'ints') {
    return tensor('int64', [value_ints.value.length], BigInt64Array.from(value_ints.value, BigInt));
  }
  if (value_string?.kind === 'string') return tensor('string', [], [value_string.value]);
  if (value_strings?.kind === 'strings')
    return tensor('string', [value_strings.value.length], [...value_strings.value]);
  return undefined;
}

/** A tensor of the shape its input holds, filled with one value (float32 zero unless told). */
export const constantOfShape: ShapeRule = (c) => {
  const value = c.tensorAttribute('value');
  const dims = c.contents(0);
  const length = c.shape(0)?.[0];
  const shape =
    dims?.map((dim, axis) => dim ?? c.fresh(axis)) ?? (typeof length === 'number' ? c.freshShape(length) : undefined);
  const size = shape?.length === 1 ? shape[0] : undefined;
  const element = value && contentsOf(value)?.[0];
  const contents =
    typeof size === 'number' && size <= 64 && element !== undefined ? new Array(size).fill(element) : undefined;
  return [c.type(value?.dtype ?? 'float32', shape, contents)];
};

/** start, limit, delta: scalars. */
export const range: ShapeRule = (c) => {
  const [start, limit, delta] = [0, 1, 2].map((input) => scalar(c.contents(input)?.[0], c.tensor(input)));
  const dtype = c.dtype(0);
  if (typeof start === 'number' && typeof limit === 'number' && typeof delta === 'number') {
    const length = Math.max(0, Math.ceil((limit - start) / delta));
    const values = length <= 64 ? Array.from({ length }, (_, i) => start + i * delta) : undefined;
    return [c.type(dtype, [length], dtype === 'int64' || dtype === 'int32' ? values : undefined)];
  }
  return [c.type(dtype, [start === 0 && delta === 1 && limit !== undefined ? limit : c.fresh(0)])];
};

/** A scalar that is followed or, of another type than integer, constant. */
function scalar(followed: Dim | undefined, constant: Tensor | undefined): Dim | undefined {
  return followed ?? (constant && constant.dtype !== 'string' ? Number(constant.data[0]) : undefined);
}

/** The shape as a vector; `start` and `end` take a part of it (opset 15). */
export const shape: ShapeRule = (c) => {
  const from = c.shape(0);
  if (!from) return [c.type('int64', [c.fresh(0)])];
  const part = from.slice(c.int('start', 0), c.int('end', from.length));
  return [c.type('int64', [part.length], part)];
};

export const size: ShapeRule = (c) => {
  const from = c.shape(0);
  return [c.type('int64', [], from && [multiplyDims(from)])];
};
