import { float, int } from '../types.js';
import type { GradientContext, GradientRule } from './rule.js';

/**
 * Y = A·B with batch dimensions broadcast as in NumPy: dA = dY·Bᵀ and dB = Aᵀ·dY, summed over broadcast dimensions.
 * Where B is a matrix (a weight) and A [..., m, k] is not, the leading dimensions are rows of one big matrix: one GEMM
 * makes dB with nothing to transpose or to sum.
 */
const matmul: GradientRule = (context) => {
  const { b } = context;
  const [left, right] = context.x as [string, string];
  const [m, n] = [context.rank(left), context.rank(right)];
  if (m === 1 || n === 1) return vectorProduct(context, m, n);
  // Only batch dimensions broadcast: the operand's own last two are taken as they are.
  const summed = (gradient: string, like: string) =>
    b.sumTo(gradient, like, [...b.shapeOf(context.y).slice(0, -2), ...b.shapeOf(like).slice(-2)]);
  return [
    () => summed(b.matmul(context.dy, b.swapLast(right)), left),
    () => {
      if (n > 2) return summed(b.matmul(b.swapLast(left), context.dy), right);
      return b.op('Gemm', [b.asMatrix(left), b.asMatrix(context.dy)], { transA: int(1) });
    },
  ];
};

/** A one-dimensional operand is a row (left) or a column (right): differentiate the product of matrices. */
function vectorProduct({ b, x, dy }: GradientContext, m: number, n: number): ReturnType<GradientRule> {
  const [left, right] = x as [string, string];
  const row = () => (m === 1 ? b.op('Unsqueeze', [left, b.ints([0])]) : left);
  const column = () => (n === 1 ? b.op('Unsqueeze', [right, b.ints([1])]) : right);
  const missing = [...(m === 1 ? [-2] : []), ...(n === 1 ? [-1] : [])];
  const grown = () => b.op('Unsqueeze', [dy, b.ints(missing)]);
  const back = (gradient: string, like: string, vector: boolean, axis: number) => {
    if (!vector) return b.sumTo(gradient, like);
    return b.sumTo(b.op('Squeeze', [gradient, b.ints([axis])]), like);
  };
  return [
    () => back(b.matmul(grown(), b.swapLast(column())), left, m === 1, -2),
    () => back(b.matmul(b.swapLast(row()), grown()), right, n === 1, -1),
  ];
}

/** Y = α·A′·B′ + β·C, where ′ transposes if asked. */
const gemm: GradientRule = (context) => {
  const { b, dy } = context;
  const [left, right, added] = context.x as [string, string, string];
  const [transA, transB] = [context.int('transA', 0), context.int('transB', 0)];
  const product = (first: string, second: string, flipFirst: number, flipSecond: number) =>
    b.op('Gemm', [first, second], {
      ...(context.float('alpha', 1) === 1 ? {} : { alpha: float(context.float('alpha', 1)) }),
      ...(flipFirst ? { transA: int(1) } : {}),
      ...(flipSecond ? { transB: int(1) } : {}),
    });
  return [
    () => (transA ? product(right, dy, transB, 1) : product(dy, right, 0, 1 - transB)),
    () => (transB ? product(dy, left, 1, transA) : product(left, dy, 1 - transA, 0)),
    () => b.scale(b.sumTo(dy, added, b.shapeIfKnown(context.y)), context.float('beta', 1)),
  ];
};

export const products = { MatMul: matmul, Gemm: gemm } satisfies Record<string, GradientRule>;
