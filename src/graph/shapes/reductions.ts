import type { Dim } from '../types.js';
import { type ShapeContext, type ShapeRule, show } from './context.js';
import { multiplyDims } from './dims.js';

/** Axes come as the second input or, in older operator sets, as an attribute; none means all. */
export const reduce: ShapeRule = (c) => [c.type(c.dtype(0), reducedShape(c))];

/** As `reduce`; the product over a small vector of sizes is followed. */
export const reduceProd: ShapeRule = (c) => {
  const shape = reducedShape(c);
  const contents = c.contents(0);
  const known = contents?.every((dim) => dim !== undefined && !(typeof dim === 'number' && dim < 0));
  const product = known ? multiplyDims(contents as readonly Dim[]) : undefined;
  return [c.type(c.dtype(0), shape, c.dtype(0) === 'int64' && c.shape(0)?.length === 1 ? [product] : undefined)];
};

function reducedShape(c: ShapeContext): readonly Dim[] | undefined {
  const shape = c.shape(0);
  const keep = c.int('keepdims', 1) !== 0;
  const given = c.intsFrom(1, 'axes');
  if (!shape) return undefined;
  if (given === 'unknown') {
    const count = c.shape(1)?.[0];
    const rank = keep ? shape.length : typeof count === 'number' && count > 0 ? shape.length - count : undefined;
    return rank === undefined ? undefined : c.freshShape(rank);
  }
  const none = given === undefined || given.length === 0;
  if (none && c.int('noop_with_empty_axes', 0) !== 0) return shape;
  const axes = none ? shape.map((_, axis) => axis) : given.map((axis) => c.axis(axis, shape.length));
  return drop(shape, axes, keep);
}

const drop = (shape: readonly Dim[], axes: readonly number[], keep: boolean): readonly Dim[] =>
  keep ? shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.includes(axis));

export const argument: ShapeRule = (c) => {
  const shape = c.shape(0);
  const axes = shape && [c.axis(c.int('axis', 0), shape.length)];
  return [c.type('int64', shape && drop(shape, axes!, c.int('keepdims', 1) !== 0))];
};

/** Keeps type and shape; `axis` must exist. */
export const alongAxis: ShapeRule = (c) => {
  const shape = c.shape(0);
  if (shape) c.axis(c.int('axis', -1), Math.max(shape.length, 1));
  return [c.type(c.dtype(0), shape)];
};

/** Normalises the axes from `axis` on; scale and bias broadcast to them. Outputs: Y, mean, 1/standard deviation. */
export const layerNormalization: ShapeRule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [c.type(c.dtype(0), undefined)];
  const axis = c.axis(c.int('axis', -1), shape.length);
  for (const input of [1, 2]) {
    const parameter = c.shape(input);
    if (!parameter) continue;
    const common = c.broadcast([shape, parameter])!;
    if (common.length > shape.length || common.some((dim, at) => differ(dim, shape[at]!))) {
      c.fail(`Scale and bias of shape ${show(parameter)} do not fit ${show(shape)}.`);
    }
  }
  const statistics = shape.map((dim, at): Dim => (at >= axis ? 1 : dim));
  return [c.type(c.dtype(0), shape), c.type('float32', statistics), c.type('float32', statistics)];
};

const differ = (a: Dim, b: Dim): boolean => typeof a === 'number' && typeof b === 'number' && a !== b;

/** X [N, C, …]; the further outputs (running mean and variance) have shape [C]. */
export const batchNormalization: ShapeRule = (c) => {
  const statistics = c.type(c.dtype(3), c.shape(3));
  return [c.type(c.dtype(0), c.shape(0)), statistics, statistics];
};

/** Outputs: the input's shape, and the mask. */
export const dropout: ShapeRule = (c) => [c.type(c.dtype(0), c.shape(0)), c.type('bool', c.shape(0))];
