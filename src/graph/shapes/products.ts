import type { Dim } from '../types.js';
import type { ShapeContext, ShapeRule } from './context.js';

/** Stacked matrix products, as numpy's matmul: a vector operand's added dimension is dropped again. */
export const matmul: ShapeRule = (c) => [c.type(c.dtype(0), matmulShape(c))];

export const matmulInteger: ShapeRule = (c) => [c.type('int32', matmulShape(c))];

function matmulShape(c: ShapeContext): readonly Dim[] | undefined {
  const [a, b] = [c.shape(0), c.shape(1)];
  c.requireRank(a, 1, 'The left operand');
  c.requireRank(b, 1, 'The right operand');
  if (!a || !b) return undefined;
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  c.unify(left.at(-1)!, right.at(-2)!, 'The inner dimensions of the product');
  const batch = c.broadcast([left.slice(0, -2), right.slice(0, -2)])!;
  return [...batch, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])];
}

/** alpha · A·B + beta · C on matrices. */
export const gemm: ShapeRule = (c) => {
  const oriented = (input: number, flag: string): readonly Dim[] | undefined => {
    const shape = c.shape(input);
    c.requireRank(shape, 2, `Input ${input}`, 2);
    return shape && c.int(flag, 0) !== 0 ? [shape[1]!, shape[0]!] : shape;
  };
  const a = oriented(0, 'transA');
  const b = oriented(1, 'transB');
  if (a && b) c.unify(a[1]!, b[0]!, 'The inner dimensions of the product');
  const shape = [a?.[0] ?? c.fresh(0), b?.[1] ?? c.fresh(1)];
  if (c.has(2)) c.broadcast([shape, c.shape(2)]);
  return [c.type(c.dtype(0), shape)];
};

/** Einstein sums without ellipsis; an ellipsis leaves the shape unknown. */
export const einsum: ShapeRule = (c) => {
  const equation = (c.string('equation') ?? '').replaceAll(' ', '');
  const [left = '', right] = equation.split('->');
  if (equation.includes('.')) return [c.type(c.dtype(0), undefined)];
  const sizes = new Map<string, Dim>();
  left.split(',').forEach((labels, input) => {
    const shape = c.shape(input);
    c.requireRank(shape, labels.length, `Input ${input} of ${equation}`, labels.length);
    if (!shape) return;
    [...labels].forEach((label, axis) => {
      const dim = shape[axis]!;
      const before = sizes.get(label);
      sizes.set(label, before === undefined || before === 1 ? dim : dim === 1 ? before : c.unify(before, dim, label));
    });
  });
  const once = () => [...new Set(left.replaceAll(',', ''))].filter((l) => left.split(l).length === 2).sort();
  const result = right === undefined ? once() : [...right];
  return [
    c.type(
      c.dtype(0),
      result.map((label, axis) => sizes.get(label) ?? c.fresh(axis)),
    ),
  ];
};

/** X [N, C, …spatial], W [M, C/group, …kernel] → [N, M, …spatial]. */
export const conv: ShapeRule = (c) => {
  const [x, w] = [c.shape(0), c.shape(1)];
  c.requireRank(x, 3, 'The input');
  if (!x || !w) return [c.type(c.dtype(0), x && c.freshShape(x.length))];
  c.requireRank(w, x.length, 'The kernel', x.length);
  const group = c.int('group', 1);
  const channels = w[1]!;
  if (typeof channels === 'number') c.unify(x[1]!, channels * group, 'The number of input channels');
  const kernel = c.ints('kernel_shape') ?? w.slice(2);
  return [c.type(c.dtype(0), [x[0]!, w[0]!, ...slide(c, x.slice(2), kernel)])];
};

/** X [N, C, …spatial] → [N, C, …spatial]; MaxPool's second output holds indices. */
export const pool: ShapeRule = (c) => {
  const x = c.shape(0);
  c.requireRank(x, 3, 'The input');
  const shape = x && [...x.slice(0, 2), ...slide(c, x.slice(2), c.ints('kernel_shape') ?? [])];
  return [c.type(c.dtype(0), shape), c.type('int64', shape)];
};

export const globalPool: ShapeRule = (c) => {
  const x = c.shape(0);
  c.requireRank(x, 3, 'The input');
  return [c.type(c.dtype(0), x && [...x.slice(0, 2), ...x.slice(2).map(() => 1)])];
};

/** Number of positions of a window that slides over each spatial axis. */
function slide(c: ShapeContext, spatial: readonly Dim[], kernel: readonly Dim[]): Dim[] {
  const strides = c.ints('strides');
  const dilations = c.ints('dilations');
  const pads = c.ints('pads');
  const automatic = c.string('auto_pad') ?? 'NOTSET';
  return spatial.map((size, i) => {
    const window = kernel[i];
    if (typeof size !== 'number' || typeof window !== 'number') return c.fresh(i + 2);
    const stride = strides?.[i] ?? 1;
    if (automatic.startsWith('SAME')) return Math.ceil(size / stride);
    const padding = automatic === 'VALID' ? 0 : (pads?.[i] ?? 0) + (pads?.[i + spatial.length] ?? 0);
    const positions = (size + padding - ((window - 1) * (dilations?.[i] ?? 1) + 1)) / stride;
    if (positions < 0) c.fail(`A window of ${window} does not fit ${size} positions with padding ${padding}.`);
    if (c.int('ceil_mode', 0) === 0) return Math.floor(positions) + 1;
    // A window that would start in the trailing padding is left out.
    const rounded = Math.ceil(positions);
    return rounded * stride >= size + (pads?.[i] ?? 0) ? rounded : rounded + 1;
  });
}
