import type { Dim } from '../types.js';
import { type Contents, type Shape, type ShapeContext, type ShapeRule, show } from './context.js';
import { divideProducts, multiplyDims } from './dims.js';

/** Same type, shape and contents. */
export const identity: ShapeRule = (c) => [c.type(c.dtype(0), c.shape(0), c.contents(0))];

export const transpose: ShapeRule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [c.type(c.dtype(0), undefined)];
  const permutation = c.ints('perm') ?? shape.map((_, i) => shape.length - 1 - i);
  const isPermutation = permutation.length === shape.length && new Set(permutation).size === shape.length;
  if (!isPermutation || permutation.some((from) => shape[from] === undefined)) {
    c.fail(`[${permutation.join(', ')}] is no permutation of the axes of ${show(shape)}.`);
  }
  return [
    c.type(
      c.dtype(0),
      permutation.map((from) => shape[from]!),
    ),
  ];
};

/** A target of 0 copies the dimension of that axis (unless allowzero), one −1 takes what is left. */
export const reshape: ShapeRule = (c) => {
  const target = c.has(1) ? c.contents(1) : c.ints('shape');
  if (!target) {
    const length = c.shape(1)?.[0];
    return [c.type(c.dtype(0), typeof length === 'number' ? c.freshShape(length) : undefined)];
  }
  const from = c.shape(0);
  const allowZero = c.int('allowzero', 0) !== 0;
  const shape = target.map((dim, axis): Dim => {
    if (dim === 0 && !allowZero) {
      if (from && axis >= from.length)
        c.fail(`The target [${target.join(', ')}] copies axis ${axis} of ${show(from)}.`);
      return from?.[axis] ?? c.fresh(axis);
    }
    return dim ?? c.fresh(axis);
  });
  if (shape.filter((dim) => dim === -1).length > 1) c.fail(`The target [${target.join(', ')}] has more than one -1.`);
  return [c.type(c.dtype(0), from ? fill(c, from, shape) : withoutHole(c, shape), c.contents(0))];
};

/** Puts the dimension that a −1 stands for, and checks that the number of elements stays. */
function fill(c: ShapeContext, from: readonly Dim[], shape: readonly Dim[]): Dim[] {
  const hole = shape.indexOf(-1);
  const others = shape.filter((_, axis) => axis !== hole);
  if (hole < 0) {
    const [before, after] = [multiplyDims(from), multiplyDims(shape)];
    if (typeof before === 'number' && typeof after === 'number' && before !== after) {
      c.fail(`${show(from)} has ${before} elements; ${show(shape)} has ${after}.`);
    }
    return [...shape];
  }
  const left = divideProducts(from, others);
  if (left === undefined && [...from, ...others].every((dim) => typeof dim === 'number')) {
    c.fail(`${show(from)} cannot be reshaped to ${show(shape)}.`);
  }
  return shape.map((dim, axis) => (axis === hole ? (left ?? c.fresh(axis)) : dim));
}

const withoutHole = (c: ShapeContext, shape: readonly Dim[]): Dim[] =>
  shape.map((dim, axis) => (dim === -1 ? c.fresh(axis) : dim));

/** [a, b, c, d] at axis 2 → [a·b, c·d]. */
export const flatten: ShapeRule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [c.type(c.dtype(0), c.freshShape(2))];
  const given = c.int('axis', 1);
  const axis = given === shape.length ? given : c.axis(given, Math.max(shape.length, 1));
  return [
    c.type(c.dtype(0), [
      multiplyDims(shape.slice(0, axis)) ?? c.fresh(0),
      multiplyDims(shape.slice(axis)) ?? c.fresh(1),
    ]),
  ];
};

export const squeeze: ShapeRule = (c) => {
  const shape = c.shape(0);
  const given = c.intsFrom(1, 'axes');
  if (!shape || given === 'unknown') return [c.type(c.dtype(0), shape && ofRank(c, shape.length, -1))];
  // Without axes, every 1 goes; a named dimension might be 1 at run time.
  if (!given) {
    const known = shape.every((dim) => typeof dim === 'number');
    return [c.type(c.dtype(0), known ? shape.filter((dim) => dim !== 1) : undefined, c.contents(0))];
  }
  const axes = given.map((axis) => c.axis(axis, shape.length));
  for (const axis of axes) c.unify(shape[axis]!, 1, `The squeezed axis ${axis}`);
  return [
    c.type(
      c.dtype(0),
      shape.filter((_, axis) => !axes.includes(axis)),
      c.contents(0),
    ),
  ];
};

export const unsqueeze: ShapeRule = (c) => {
  const shape = c.shape(0);
  const given = c.intsFrom(1, 'axes');
  if (!shape || given === 'unknown' || !given) return [c.type(c.dtype(0), shape && ofRank(c, shape.length, 1))];
  const rank = shape.length + given.length;
  const axes = given.map((axis) => c.axis(axis, rank));
  if (new Set(axes).size !== axes.length) c.fail(`The axes [${given.join(', ')}] name one twice.`);
  const rest = [...shape];
  const result = Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : rest.shift()!));
  return [c.type(c.dtype(0), result, c.contents(0))];
};

/** An unknown shape whose rank differs by the number of axes in the second input, if that is known. */
function ofRank(c: ShapeContext, rank: number, sign: 1 | -1): Shape {
  const count = c.shape(1)?.[0];
  return typeof count === 'number' ? c.freshShape(rank + sign * count) : undefined;
}

export const expand: ShapeRule = (c) => {
  const target = c.contents(1);
  if (target) {
    const wanted = target.map((dim, axis) => dim ?? c.fresh(axis));
    return [c.type(c.dtype(0), c.broadcast([c.shape(0), wanted]))];
  }
  const length = c.shape(1)?.[0];
  const rank = c.shape(0)?.length;
  const known = typeof length === 'number' && rank !== undefined;
  return [c.type(c.dtype(0), known ? c.freshShape(Math.max(length, rank)) : undefined)];
};

export const tile: ShapeRule = (c) => {
  const shape = c.shape(0);
  const repeats = c.contents(1);
  if (shape && repeats && repeats.length !== shape.length) {
    c.fail(`${repeats.length} repeats are given for ${show(shape)}.`);
  }
  const tiled = shape?.map((dim, axis) => {
    const times = repeats?.[axis];
    return (times === undefined ? undefined : multiplyDims([dim, times])) ?? c.fresh(axis);
  });
  return [c.type(c.dtype(0), tiled)];
};

export const concat: ShapeRule = (c) => {
  const shapes = c.node.inputs.map((_, i) => c.shape(i));
  if (shapes.some((shape) => shape === undefined)) return [c.type(c.dtype(0), undefined)];
  const known = shapes as readonly (readonly Dim[])[];
  const rank = known[0]!.length;
  const axis = c.axis(c.int('axis', 0), rank);
  const shape = known[0]!.map((first, at): Dim => {
    if (at === axis) return total(known.map((other) => other[axis]!)) ?? c.fresh(at);
    return known.reduce((dim, other) => c.unify(dim, other[at] ?? dim, `Axis ${at}`), first);
  });
  for (const other of known) c.requireRank(other, rank, 'An operand', rank);
  const parts = c.node.inputs.map((_, i) => c.contents(i) ?? unknownContents(known[i]!));
  const contents = parts.every((part) => part !== undefined) ? (parts as Contents[]).flat() : undefined;
  return [c.type(c.dtype(0), shape, rank === 1 ? contents : undefined)];
};

/** Contents of a vector of known length of which no element is known. */
function unknownContents(shape: readonly Dim[]): Contents | undefined {
  const length = shape[0];
  return typeof length === 'number' && length <= 64 ? new Array<undefined>(length).fill(undefined) : undefined;
}

function total(dims: readonly Dim[]): Dim | undefined {
  const named = dims.filter((dim) => typeof dim === 'string');
  const sum = dims.reduce<number>((result, dim) => (typeof dim === 'number' ? result + dim : result), 0);
  if (named.length === 0) return sum;
  if (named.length === 1 && sum === 0) return named[0];
  return sum === 0 && named.every((dim) => dim === named[0]) ? multiplyDims([named.length, named[0]!]) : undefined;
}

export const split: ShapeRule = (c) => {
  const shape = c.shape(0);
  const outputs = c.node.outputs.length;
  if (!shape) return c.node.outputs.map(() => c.type(c.dtype(0), undefined));
  const axis = c.axis(c.int('axis', 0), shape.length);
  const whole = shape[axis]!;
  const given = c.intsFrom(1, 'split');
  const sizes = given === 'unknown' ? undefined : (given ?? even(whole, outputs));
  const sum = given && given !== 'unknown' ? given.reduce((a, b) => a + b, 0) : undefined;
  if (sum !== undefined) c.unify(whole, sum, 'The split axis and the sum of its parts');
  return c.node.outputs.map((_, i) => {
    const part = shape.map((dim, at) => (at === axis ? (sizes?.[i] ?? c.fresh(axis, i)) : dim));
    return c.type(c.dtype(0), part);
  });
};

/** Equal parts, the last one smaller when they do not divide the whole (opset 18). */
function even(whole: Dim, parts: number): Dim[] | undefined {
  if (typeof whole === 'string') {
    const part = divideProducts([whole], [parts]);
    return part === undefined ? undefined : new Array<Dim>(parts).fill(part);
  }
  const size = Math.ceil(whole / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(size, whole - i * size)));
}

export const slice: ShapeRule = (c) => {
  const shape = c.shape(0);
  if (!shape) return [c.type(c.dtype(0), undefined)];
  const list = (input: number, attribute: string): Contents | 'unknown' | undefined =>
    c.has(input) ? (c.contents(input) ?? 'unknown') : c.ints(attribute);
  const [starts, ends, axes, steps] = [list(1, 'starts'), list(2, 'ends'), list(3, 'axes'), list(4, 'steps')];
  if (axes === 'unknown') return [c.type(c.dtype(0), c.freshShape(shape.length))];
  const known = (values: Contents | 'unknown' | undefined, i: number) =>
    values === 'unknown' ? undefined : values?.[i];
  const length = axes?.length ?? (starts === 'unknown' ? shape.length : (starts?.length ?? 0));
  const result = [...shape];
  let contents = c.contents(0);
  for (let i = 0; i < length; i++) {
    const given = axes ? axes[i] : i;
    if (typeof given !== 'number') return [c.type(c.dtype(0), c.freshShape(shape.length))];
    const axis = c.axis(given, shape.length);
    const [start, end, step] = [known(starts, i), known(ends, i), steps === undefined ? 1 : known(steps, i)];
    result[axis] = sliced(shape[axis]!, start, end, step) ?? c.fresh(axis);
    contents =
      typeof start === 'number' && typeof end === 'number' && typeof step === 'number'
        ? pick(contents, start, end, step)
        : undefined;
  }
  return [c.type(c.dtype(0), result, contents)];
};

type Bound = Dim | undefined;

/** Length of size[start:end:step], where named sizes are never negative. */
function sliced(size: Dim, start: Bound, end: Bound, step: Bound): Bound {
  if (typeof start !== 'number' || typeof step !== 'number' || end === undefined) return undefined;
  if (typeof size === 'number' && typeof end === 'number') return indices(size, start, end, step).length;
  if (start !== 0 || step !== 1) return undefined;
  if (end === size || (typeof end === 'number' && end >= 2 ** 31 - 1)) return size;
  return undefined;
}

/** The positions that size[start:end:step] takes, bounds clamped as ONNX says. */
function indices(size: number, start: number, end: number, step: number): { length: number; first: number } {
  const clamp = (bound: number, low: number, high: number) =>
    Math.min(high, Math.max(low, bound < 0 ? bound + size : bound));
  const first = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1);
  const last = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1);
  return { length: step === 0 ? 0 : Math.max(0, Math.ceil((last - first) / step)), first };
}

function pick(contents: Contents | undefined, start: number, end: number, step: number): Contents | undefined {
  if (!contents) return undefined;
  const { length, first } = indices(contents.length, start, end, step);
  return Array.from({ length }, (_, i) => contents[first + i * step]);
}

export const pad: ShapeRule = (c) => {
  const shape = c.shape(0);
  const pads = c.intsFrom(1, 'pads');
  const given = c.has(3) ? (c.constantInts(3) ?? 'unknown') : undefined;
  if (!shape || pads === 'unknown' || !pads || given === 'unknown') {
    return [c.type(c.dtype(0), shape && c.freshShape(shape.length))];
  }
  const axes = given?.map((axis) => c.axis(axis, shape.length)) ?? shape.map((_, axis) => axis);
  if (pads.length !== 2 * axes.length) c.fail(`${pads.length} pads are given for ${axes.length} axes.`);
  const result = shape.map((dim, axis): Dim => {
    const at = axes.indexOf(axis);
    const extra = at < 0 ? 0 : pads[at]! + pads[at + axes.length]!;
    return typeof dim === 'number' ? dim + extra : extra === 0 ? dim : c.fresh(axis);
  });
  return [c.type(c.dtype(0), result)];
};
