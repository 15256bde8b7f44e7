import { DATA_TYPE } from '../data-types.js';
import type { Dim } from '../types.js';
import type { Contents, ShapeContext, ShapeRule } from './context.js';
import { divideDims, multiplyDims } from './dims.js';

type Scalar = Dim | undefined;

/** Same type and shape as the first input. */
export const same: ShapeRule = (c) => [c.type(c.dtype(0), c.shape(0))];

/** Same shape as the first input, booleans. */
export const sameBool: ShapeRule = (c) => [c.type('bool', c.shape(0))];

/** Broadcast of all inputs, with the element type of the first. */
export const broadcast: ShapeRule = (c) => [c.type(c.dtype(0), c.broadcast(c.node.inputs.map((_, i) => c.shape(i))))];

/** As `broadcast`, following the contents of small tensors. */
export const arithmetic =
  (compute: (a: Dim, b: Dim) => Scalar): ShapeRule =>
  (c) => [c.type(c.dtype(0), c.broadcast([c.shape(0), c.shape(1)]), combine(c, compute))];

/** Broadcast of both inputs to booleans. */
export const comparison =
  (compute: (a: Dim, b: Dim) => Scalar = () => undefined): ShapeRule =>
  (c) => [c.type('bool', c.broadcast([c.shape(0), c.shape(1)]), combine(c, compute))];

export const where: ShapeRule = (c) => {
  const shape = c.broadcast([c.shape(0), c.shape(1), c.shape(2)]);
  const [condition, yes, no] = [c.contents(0), c.contents(1), c.contents(2)];
  const length = Math.max(condition?.length ?? 0, yes?.length ?? 0, no?.length ?? 0);
  const contents = condition && Array.from({ length }, (_, i) => pick(at(condition, i), at(yes, i), at(no, i)));
  return [c.type(c.dtype(1) ?? c.dtype(2), shape, contents)];
};

export const cast: ShapeRule = (c) => {
  const dtype = DATA_TYPE[c.int('to', 0)];
  const integer = dtype === 'int64' || dtype === 'int32';
  return [c.type(dtype, c.shape(0), integer ? c.contents(0) : undefined)];
};

function pick(condition: Scalar, yes: Scalar, no: Scalar): Scalar {
  if (condition === undefined) return yes === no ? yes : undefined;
  return condition !== 0 ? yes : no;
}

function combine(c: ShapeContext, compute: (a: Dim, b: Dim) => Scalar): Contents | undefined {
  const [left, right] = [c.contents(0), c.contents(1)];
  if (!left || !right) return undefined;
  return Array.from({ length: left.length === 1 ? right.length : left.length }, (_, i) => {
    const [a, b] = [at(left, i), at(right, i)];
    return a === undefined || b === undefined ? undefined : compute(a, b);
  });
}

/** Element i of contents that broadcast from a single one. */
const at = (contents: Contents | undefined, i: number): Scalar =>
  contents && (contents.length === 1 ? contents[0] : contents[i]);

// Arithmetic of single elements; names stand for sizes, so they are never negative.
const numbers =
  (compute: (a: number, b: number) => number, named: (a: Dim, b: Dim) => Scalar = () => undefined) =>
  (a: Dim, b: Dim): Scalar => {
    if (typeof a !== 'number' || typeof b !== 'number') return named(a, b);
    const result = compute(a, b);
    return Number.isSafeInteger(result) ? result : undefined;
  };

export const sum = numbers(
  (a, b) => a + b,
  (a, b) => (a === 0 ? b : b === 0 ? a : undefined),
);
export const difference = numbers(
  (a, b) => a - b,
  (a, b) => (b === 0 ? a : a === b ? 0 : undefined),
);
export const product = numbers(
  (a, b) => a * b,
  (a, b) => (isNegative(a) || isNegative(b) ? undefined : multiplyDims([a, b])),
);
/** Integer division truncates towards zero, as in ONNX. */
export const quotient = numbers(
  (a, b) => Math.trunc(a / b),
  (a, b) => (isNegative(a) || isNegative(b) ? undefined : divideDims(a, b)),
);
export const equal = numbers(
  (a, b) => Number(a === b),
  (a, b) => (a === b ? 1 : isNegative(a) || isNegative(b) ? 0 : undefined),
);

const isNegative = (dim: Dim): boolean => typeof dim === 'number' && dim < 0;
