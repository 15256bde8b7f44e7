import { describe, expect, test } from 'vitest';
import type { GraphBuilder } from '../../src/graph/builder.js';
import { OPERATORS } from '../../src/graph/operators.js';
import { type Attributes, float, int, int64Tensor, ints, str, tensor } from '../../src/graph/types.js';
import { type Differentiated, type GradientCase, gradientError, tolerance } from './gradient-check.js';

/** Every rule against central differences of ONNX Runtime's own forward results. */
interface RuleCase extends GradientCase {
  readonly op: string;
  readonly note: string;
}

const of = (...shape: number[]): Differentiated => ({ shape });
const around = (...shape: number[]): Differentiated => ({ shape, low: -1.5, high: 1.5 });

/** A node over inputs `a`, `b`, … followed by constants. */
function applied(
  op: string,
  inputs: readonly Differentiated[],
  attributes: Attributes = {},
  more: (b: GraphBuilder) => string[] = () => [],
): Pick<GradientCase, 'inputs' | 'build'> {
  const names = inputs.map((_, i) => String.fromCharCode(97 + i));
  return {
    inputs: Object.fromEntries(names.map((name, i) => [name, inputs[i]!])),
    build: (b) => b.op(op, [...names, ...more(b)], attributes),
  };
}

const rule = (op: string, note: string, given: GradientCase): RuleCase => ({ op, note, ...given });
const simple = (op: string, note: string, inputs: readonly Differentiated[], attributes?: Attributes): RuleCase =>
  rule(op, note, applied(op, inputs, attributes));
const single = (op: string, note: string, inputs: readonly Differentiated[], attributes?: Attributes): RuleCase =>
  rule(op, note, { ...applied(op, inputs, attributes), dtype: 'float32' });
const with_ = (
  op: string,
  note: string,
  inputs: readonly Differentiated[],
  more: (b: GraphBuilder) => string[],
  attributes: Attributes = {},
): RuleCase => rule(op, note, applied(op, inputs, attributes, more));

const unary: RuleCase[] = [
  ...['Exp', 'Log', 'Sqrt', 'Reciprocal', 'Identity'].map((op) => simple(op, 'x > 0', [of(2, 3)])),
  ...['Neg', 'Abs', 'Sin', 'Cos', 'Tanh', 'Sigmoid', 'Relu'].map((op) => simple(op, 'both signs', [around(3, 4)])),
  ...['Erf', 'Softplus', 'LeakyRelu', 'HardSigmoid', 'HardSwish'].map((op) => single(op, 'both signs', [around(3, 4)])),
  simple('Cast', 'float64 to float32 and back', [of(2, 2)], { to: int(11) }),
  simple('Dropout', 'inference', [of(2, 2)]),
];

const binary: RuleCase[] = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min'].flatMap((op) => [
  simple(op, 'same shape', [of(2, 3), of(2, 3)]),
  simple(op, 'bias', [of(2, 3, 4), of(4)]),
  simple(op, 'column on the left', [of(3, 1), of(2, 3, 4)]),
  simple(op, 'both stretched', [of(2, 1, 4), of(3, 1)]),
  simple(op, 'scalar', [of(), of(2, 2)]),
]);

const elementwise: RuleCase[] = [
  simple('Sum', 'three, broadcast', [of(2, 3), of(3), of(2, 1)]),
  single('Mean', 'three, broadcast', [of(2, 3), of(3), of(2, 1)]),
  simple('Max', 'three', [of(2, 3), of(3), of(2, 1)]),
  ...[2, 3, 0.5, 1.5, -1].map((power) =>
    with_('Pow', `constant exponent ${power}`, [of(2, 3)], (b) => [b.scalar('float64', power)]),
  ),
  with_('Pow', 'whole-number exponents', [of(2, 2)], (b) => [b.constant(int64Tensor([1, 2, 3, 4], [2, 2]))]),
  with_('Clip', 'both bounds', [around(3, 4)], (b) => [b.scalar('float64', -0.5), b.scalar('float64', 0.6)]),
  with_('Clip', 'upper bound only', [around(3, 4)], (b) => ['', b.scalar('float64', 0.6)]),
  simple('Clip', 'bounds learned', [around(3, 4), { shape: [], values: [-0.4] }, { shape: [], values: [0.5] }]),
  rule('Where', 'both sides broadcast', {
    inputs: { a: of(2, 3), b: of(3) },
    build: (b) => b.op('Where', [b.constant(tensor('bool', [2, 1], Uint8Array.of(1, 0))), 'a', 'b']),
  }),
  single('Gelu', 'error function', [around(3, 4)]),
  single('Gelu', 'tanh', [around(3, 4)], { approximate: str('tanh') }),
].map((given) => (given.op === 'Gelu' ? { ...given, build: opset20(given.build) } : given));

/** Gelu is a standard operator since operator set 20. */
function opset20(build: GradientCase['build']): GradientCase['build'] {
  return (b) => {
    b.opsets[''] = 20;
    return build(b);
  };
}

const products: RuleCase[] = [
  simple('MatMul', 'matrices', [of(2, 3), of(3, 4)]),
  simple('MatMul', 'weight on the right of a batch', [of(2, 3, 4), of(4, 5)]),
  simple('MatMul', 'batches', [of(2, 2, 3, 4), of(2, 2, 4, 2)]),
  simple('MatMul', 'broadcast batches', [of(2, 1, 3, 4), of(3, 4, 2)]),
  simple('MatMul', 'matrix on the left of a batch', [of(3, 4), of(2, 4, 2)]),
  simple('MatMul', 'vector · matrix', [of(3), of(3, 4)]),
  simple('MatMul', 'matrix · vector', [of(4, 3), of(3)]),
  simple('MatMul', 'vector · vector', [of(3), of(3)]),
  simple('MatMul', 'vector · batch', [of(3), of(2, 3, 4)]),
  simple('MatMul', 'batch · vector', [of(2, 4, 3), of(3)]),
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) =>
      simple(
        'Gemm',
        `transA ${transA}, transB ${transB}`,
        [transA ? of(3, 2) : of(2, 3), transB ? of(4, 3) : of(3, 4), of(4)],
        { transA: int(transA), transB: int(transB), alpha: float(0.5), beta: float(2) },
      ),
    ),
  ),
  simple('Gemm', 'without C', [of(2, 3), of(3, 4)]),
];

const layout: RuleCase[] = [
  with_('Reshape', 'to fixed sizes', [of(2, 6)], (b) => [b.ints([3, -1])]),
  simple('Flatten', 'axis 2', [of(2, 3, 2)], { axis: int(2) }),
  with_('Squeeze', 'one axis', [of(2, 1, 3)], (b) => [b.ints([1])]),
  with_('Unsqueeze', 'two axes', [of(2, 3)], (b) => [b.ints([0, -1])]),
  simple('Transpose', 'permuted', [of(2, 3, 4)], { perm: ints([1, 2, 0]) }),
  simple('Transpose', 'reversed by default', [of(2, 3, 4)]),
  simple('Concat', 'three parts', [of(2, 1), of(2, 3), of(2, 2)], { axis: int(-1) }),
  rule('Split', 'one part unused', {
    inputs: { a: of(2, 6) },
    build: (b) => {
      const parts = b.node('Split', ['a', b.ints([1, 2, 3])], 3, { axis: int(1) });
      return b.op('Concat', [parts[2]!, parts[0]!], { axis: int(1) });
    },
  }),
  with_('Expand', 'new and stretched axes', [of(3, 1)], (b) => [b.ints([2, 3, 4])]),
  with_('Tile', 'both axes', [of(2, 3)], (b) => [b.ints([2, 3])]),
  with_('Pad', 'constant', [of(2, 3)], (b) => [b.ints([1, 0, 0, 2])]),
  with_('Slice', 'middle', [of(4, 5)], (b) => [b.ints([1, 0]), b.ints([3, 2]), b.ints([1, 0])]),
  with_('Slice', 'from the end', [of(4, 5)], (b) => [b.ints([-2]), b.ints([2147483647]), b.ints([1])]),
  with_('Slice', 'every second, backwards', [of(4, 5)], (b) => [
    b.ints([-1]),
    b.ints([-100]),
    b.ints([1]),
    b.ints([-2]),
  ]),
  simple('Trilu', 'upper', [of(3, 4)]),
  simple('Trilu', 'lower', [of(3, 4)], { upper: int(0) }),
];

const indexing: RuleCase[] = [
  ...(['float32', 'float64'] as const).map((dtype) => ({
    ...with_('Gather', `rows, repeated, of a small ${dtype} table`, [of(5, 3)], (b) => [
      b.constant(int64Tensor([4, 0, 4, -1, 2, 2], [2, 3])),
    ]),
    dtype,
  })),
  with_('Gather', 'rows, repeated, of a large table', [of(70, 2)], (b) => [
    b.constant(int64Tensor([4, 0, 4, -1, 69, 2], [2, 3])),
  ]),
  with_('Gather', 'rows of a table of rank 3', [of(3, 2, 2)], (b) => [b.ints([2, 0, 2])]),
  with_('Gather', 'inner axis', [of(2, 4, 3)], (b) => [b.constant(int64Tensor([3, 1, 1, 0], [2, 2]))], {
    axis: int(1),
  }),
  with_('Gather', 'one position', [of(2, 4, 3)], (b) => [b.constant(int64Tensor([1], []))], { axis: int(1) }),
  with_('Gather', 'last position', [of(2, 4)], (b) => [b.constant(int64Tensor([-1], []))], { axis: int(1) }),
  with_('GatherElements', 'repeated', [of(3, 4)], (b) => [b.constant(int64Tensor([0, 0, 3, -1, 2, 1], [3, 2]))], {
    axis: int(1),
  }),
  with_('GatherND', 'repeated', [of(3, 4)], (b) => [b.constant(int64Tensor([0, 1, 2, 3, 0, 1], [3, 2]))]),
  rule('ScatterElements', 'overwriting', {
    inputs: { a: of(3, 3), b: of(1, 3) },
    build: (b) => b.op('ScatterElements', ['a', b.constant(int64Tensor([2, 0, 1], [1, 3])), 'b']),
  }),
  rule('ScatterElements', 'adding', {
    inputs: { a: of(3, 3), b: of(2, 3) },
    build: (b) =>
      b.op('ScatterElements', ['a', b.constant(int64Tensor([2, 0, 1, 2, 2, 2], [2, 3])), 'b'], {
        reduction: str('add'),
      }),
  }),
  rule('ScatterND', 'overwriting', {
    inputs: { a: of(3, 2), b: of(2, 2) },
    build: (b) => b.op('ScatterND', ['a', b.constant(int64Tensor([2, 0], [2, 1])), 'b']),
  }),
  rule('TopK', 'largest two', {
    inputs: { a: of(3, 5) },
    build: (b) => b.node('TopK', ['a', b.ints([2])], 2)[0]!,
  }),
];

const reductions: RuleCase[] = [
  ...[
    'ReduceSum',
    'ReduceMean',
    'ReduceMax',
    'ReduceMin',
    'ReduceL1',
    'ReduceL2',
    'ReduceSumSquare',
    'ReduceLogSumExp',
  ].flatMap((op) => {
    const axes = (values: number[]): [Attributes, (b: GraphBuilder) => string[]] =>
      op === 'ReduceSum' ? [{}, (b) => [b.ints(values)]] : [{ axes: ints(values) }, () => []];
    return (
      [
        [[1], 1],
        [[0, -1], 0],
      ] as const
    ).map(([over, keep]) => {
      const [attributes, more] = axes([...over]);
      const inputs = [op === 'ReduceSum' ? around(2, 3, 2) : of(2, 3, 2)];
      return with_(op, `axes ${over}, keepdims ${keep}`, inputs, more, { ...attributes, keepdims: int(keep) });
    });
  }),
  simple('ReduceMean', 'every axis', [of(2, 3)]),
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse) =>
      with_('CumSum', `exclusive ${exclusive}, reverse ${reverse}`, [of(2, 4)], (b) => [b.scalar('int64', 1)], {
        exclusive: int(exclusive),
        reverse: int(reverse),
      }),
    ),
  ),
];

const normalizations: RuleCase[] = [
  ...['Softmax', 'LogSoftmax'].flatMap((op) => [
    simple(op, 'last axis', [around(2, 3, 4)], { axis: int(-1) }),
    simple(op, 'inner axis', [around(2, 3, 4)], { axis: int(1) }),
  ]),
  simple('LayerNormalization', 'last axis', [around(2, 3, 4), of(4), of(4)], { axis: int(-1), epsilon: float(1e-5) }),
  simple('LayerNormalization', 'two axes', [around(2, 3, 4), of(3, 4), of(3, 4)], { axis: int(1) }),
  simple('LayerNormalization', 'without bias', [around(2, 4), of(4)]),
];

const cases = [
  ...unary,
  ...binary,
  ...elementwise,
  ...products,
  ...layout,
  ...indexing,
  ...reductions,
  ...normalizations,
];

describe('each rule agrees with central differences', () => {
  test.each(cases)('$op: $note', async (given) => {
    expect(await gradientError(given)).toBeLessThan(tolerance(given.dtype));
  });
});

test('every operator with a rule has a case here', async () => {
  const { gradientTable } = await import('../../src/graph/gradients/table.js');
  const withRule = OPERATORS.filter((op) => typeof gradientTable[op] === 'function');
  const covered = new Set(cases.map(({ op }) => op));
  // OneHot's inputs are whole numbers and constants: it has a rule only to say so.
  expect(withRule.filter((op) => !covered.has(op))).toEqual(['OneHot']);
});
