import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withDefaults, withFixedDefaults } from '../../src/graph/edit.js';
import { decodeModel, encodeModel, encodeSplitModel } from '../../src/graph/onnx/index.js';
import { fromInteger, type ModelProto, modelType, type TensorProto } from '../../src/graph/onnx/schema.js';
import { inferTypes } from '../../src/graph/shapes.js';
import {
  type DataType,
  floatTensor,
  type Graph,
  int,
  int64Tensor,
  type TensorData,
  tensor,
} from '../../src/graph/types.js';
import { run } from './runtime.js';

/** Two layers, with an output in between, metadata and a foreign attribute. */
function perceptron(): Graph {
  const b = new GraphBuilder('perceptron');
  b.metadata.author = 'a test';
  const x = b.input('x', 'float32', ['batch', 3]);
  const hidden = b.op(
    'Relu',
    [b.matmul(x, b.initializer('w1', floatTensor([1, -2, 3, 4, -5, 6], [3, 2])))],
    {},
    'hidden',
  );
  const y = b.op(
    'Gemm',
    [hidden, b.initializer('w2', floatTensor([0.5, -0.25], [1, 2])), b.constant(1)],
    { transB: int(1) },
    'y',
  );
  b.output(hidden);
  b.output(y);
  return b.finish();
}

const X = { x: floatTensor([1, 2, 3, -4, 5, -6], [2, 3]) };

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof TandemError) return error.code;
    throw error;
  }
  return 'no error';
}

const model = (graph: ModelProto['graph'], rest: Partial<ModelProto> = {}): Uint8Array =>
  modelType.encode({ irVersion: 8, opsetImport: [{ version: fromInteger(17) }], graph, ...rest }).finish();

const floatOutput = (name: string) => ({ name, type: { tensorType: { elemType: 1 } } });

/** A model that gives back one initializer. */
const holding = (initializer: TensorProto): Uint8Array =>
  model({
    initializer: [{ name: 'w', ...initializer }],
    node: [{ opType: 'Identity', input: ['w'], output: ['y'] }],
    output: [{ name: 'y', type: { tensorType: { elemType: initializer.dataType ?? 1 } } }],
  });

describe('round trip', () => {
  test('encode, then decode, gives the same graph', () => {
    const graph = perceptron();
    expect(decodeModel(encodeModel(graph))).toEqual(graph);
  });

  test('ONNX Runtime computes the same before and after', async () => {
    const graph = perceptron();
    const before = await run(graph, X);
    expect(await run(decodeModel(encodeModel(graph)), X)).toEqual(before);
    // x·w1 = [[16, 24... computed by hand for the first row: 1·1 + 2·3 + 3·(−5) = −8 → 0; 1·(−2) + 2·4 + 3·6 = 24
    expect([...(before.hidden!.data as Float32Array)].slice(0, 2)).toEqual([0, 24]);
  });

  test('operator sets, foreign domains and every kind of attribute are kept', () => {
    const graph: Graph = {
      ...perceptron(),
      opsets: { '': 11, 'com.example': 3 },
      nodes: [
        {
          name: 'n',
          opType: 'Thing',
          domain: 'com.example',
          inputs: ['x', '', 'w1'],
          outputs: ['y', ''],
          attributes: {
            i: int(-7),
            big: int(2 ** 40),
            f: { kind: 'float', value: 0.5 },
            s: { kind: 'string', value: 'größe' },
            ints: { kind: 'ints', value: [1, -2] },
            floats: { kind: 'floats', value: [0.25] },
            strings: { kind: 'strings', value: ['a', ''] },
            none: { kind: 'ints', value: [] },
            t: { kind: 'tensor', value: int64Tensor([1, -1]) },
            sub: { kind: 'graph', value: { ...perceptron(), opsets: { '': 11, 'com.example': 3 }, metadata: {} } },
          },
        },
      ],
      outputs: [{ name: 'y', dtype: 'float32', shape: undefined }],
      types: new Map(
        [
          ['x', { dtype: 'float32', shape: ['batch', 3] }],
          ['y', { dtype: 'float32', shape: undefined }],
          ...perceptron().types,
        ].filter(([name]) => ['x', 'y', 'w1', 'w2', 'constant'].includes(name as string)) as [
          string,
          { dtype: 'float32'; shape: undefined },
        ][],
      ),
    };
    const back = decodeModel(encodeModel(graph));
    expect(back.nodes).toEqual(graph.nodes);
    expect(back.opsets).toEqual(graph.opsets);
  });

  test('subgraphs run as before: If picks a branch that reads a value from outside', async () => {
    const branch = (opType: string): Graph => ({
      name: opType,
      opsets: { '': 17 },
      inputs: [],
      outputs: [{ name: opType, dtype: 'float32', shape: [2] }],
      nodes: [{ name: opType, opType, domain: '', inputs: ['x'], outputs: [opType], attributes: {} }],
      initializers: new Map(),
      types: new Map([[opType, { dtype: 'float32', shape: [2] }]]),
      metadata: {},
    });
    const b = new GraphBuilder('branches');
    b.input('x', 'float32', [2]);
    b.input('positive', 'bool', []);
    const [y] = b.node(
      'If',
      ['positive'],
      1,
      {
        then_branch: { kind: 'graph', value: branch('Exp') },
        else_branch: { kind: 'graph', value: branch('Neg') },
      },
      'y',
    );
    b.types.set(y!, { dtype: 'float32', shape: [2] });
    b.output(y!);
    const graph = decodeModel(encodeModel(b.finish()));
    const x = floatTensor([0, 1]);
    const given = (positive: number) => ({ x, positive: tensor('bool', [], Uint8Array.of(positive)) });
    expect([...((await run(graph, given(0))).y!.data as Float32Array)]).toEqual([-0, -1]);
    expect((await run(graph, given(1))).y!.data[0]).toBe(1);
  });
});

describe('tensors', () => {
  const samples: [DataType, number[], TensorData][] = [
    ['float32', [2], Float32Array.of(0.5, -1)],
    ['float64', [2], Float64Array.of(0.1, -1e300)],
    ['float16', [2], Uint16Array.of(0x3c00, 0xfbff)],
    ['int8', [3], Int8Array.of(-128, 0, 127)],
    ['uint8', [2], Uint8Array.of(0, 255)],
    ['int16', [2], Int16Array.of(-32768, 32767)],
    ['uint16', [2], Uint16Array.of(0, 65535)],
    ['int32', [2], Int32Array.of(-(2 ** 31), 7)],
    ['uint32', [2], Uint32Array.of(0, 2 ** 32 - 1)],
    ['int64', [2], BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ['uint64', [2], BigUint64Array.of(0n, 2n ** 64n - 1n)],
    ['bool', [2], Uint8Array.of(1, 0)],
    ['string', [2], ['', 'wört']],
    ['float32', [], Float32Array.of(3)],
    ['float32', [0, 4], new Float32Array()],
  ];

  test.each(samples)('%s %j survives', (dtype, shape, data) => {
    const b = new GraphBuilder('weights');
    b.output(b.op('Identity', [b.initializer('w', tensor(dtype, shape, data))]));
    expect(decodeModel(encodeModel(b.finish())).initializers.get('w')).toEqual({ dtype, shape, data });
  });

  test.each<[string, TensorProto, TensorData]>([
    ['float_data', { dataType: 1, dims: [2], floatData: [0.5, -1] }, Float32Array.of(0.5, -1)],
    ['double_data', { dataType: 11, dims: [1], doubleData: [1e300] }, Float64Array.of(1e300)],
    ['int32_data of float16', { dataType: 10, dims: [1], int32Data: [0x3c00] }, Uint16Array.of(0x3c00)],
    ['int32_data of int8', { dataType: 3, dims: [2], int32Data: [-1, 5] }, Int8Array.of(-1, 5)],
    ['int32_data of bool', { dataType: 9, dims: [2], int32Data: [1, 0] }, Uint8Array.of(1, 0)],
    ['int64_data', { dataType: 7, dims: [1], int64Data: [fromInteger(-(2n ** 60n))] }, BigInt64Array.of(-(2n ** 60n))],
    ['uint64_data of uint32', { dataType: 12, dims: [1], uint64Data: [4000000000] }, Uint32Array.of(4000000000)],
    ['string_data', { dataType: 8, dims: [1], stringData: [new TextEncoder().encode('é')] }, ['é']],
  ])('%s is read', (_, proto, data) => {
    expect(decodeModel(holding(proto)).initializers.get('w')!.data).toEqual(data);
  });

  test.each<[string, TensorProto, string]>([
    ['too little data', { dataType: 1, dims: [3], floatData: [1, 2] }, 'TANDEM_MODEL_INVALID'],
    ['half an element', { dataType: 1, dims: [1], rawData: new Uint8Array(3) }, 'TANDEM_MODEL_INVALID'],
    ['a huge shape with no data', { dataType: 1, dims: [2 ** 40] }, 'TANDEM_MODEL_INVALID'],
    ['a shape beyond counting', { dataType: 1, dims: [2 ** 40, 2 ** 40] }, 'TANDEM_MODEL_INVALID'],
    ['a negative size', { dataType: 1, dims: [fromInteger(-1)] }, 'TANDEM_MODEL_INVALID'],
    ['bfloat16', { dataType: 16, dims: [0] }, 'TANDEM_MODEL_UNSUPPORTED'],
    [
      'text that is not text',
      { dataType: 8, dims: [1], stringData: [Uint8Array.of(0xff)] },
      'TANDEM_MODEL_UNSUPPORTED',
    ],
    ['weights elsewhere, but nowhere to look', { dataType: 1, dims: [1], dataLocation: 1 }, 'TANDEM_EXTERNAL_DATA'],
  ])('%s is refused', (_, proto, code) => {
    expect(codeOf(() => decodeModel(holding(proto)))).toBe(code);
  });
});

describe('reading what others wrote', () => {
  test('Constant nodes become initializers, and nodes are sorted', () => {
    const graph = decodeModel(
      model({
        node: [
          { opType: 'Add', input: ['x', 'two'], output: ['y'] },
          { opType: 'Constant', output: ['two'], attribute: [{ name: 'value_float', f: 2, type: 1 }] },
          { opType: 'Neg', input: ['z'], output: ['n'] },
          { opType: 'Abs', input: ['y'], output: ['z'] },
        ],
        input: [
          {
            name: 'x',
            type: {
              tensorType: {
                elemType: 1,
                shape: { dim: [{ dimParam: 'n' }, {}, { dimValue: fromInteger(-1) }, { dimValue: 0 }] },
              },
            },
          },
        ],
        output: [floatOutput('n')],
      }),
    );
    expect(graph.nodes.map(({ opType }) => opType)).toEqual(['Add', 'Abs', 'Neg']);
    expect(graph.initializers.get('two')).toEqual(floatTensor([2], []));
    expect(graph.types.get('n')).toEqual({ dtype: 'float32', shape: ['n', 'x_dim1', 'x_dim2', 0] });
  });

  test('an attribute without a type, as old files have it', () => {
    const graph = decodeModel(
      model({
        node: [{ opType: 'Softmax', input: ['w'], output: ['y'], attribute: [{ name: 'axis', i: 0 }] }],
        initializer: [{ name: 'w', dataType: 1, dims: [1], floatData: [1] }],
        output: [floatOutput('y')],
      }),
    );
    expect(graph.nodes[0]!.attributes).toEqual({ axis: int(0) });
  });

  test('an initializer that is also an input: a default from IR version 4 on, a constant before', () => {
    const file = (irVersion: number) =>
      model(
        {
          node: [{ opType: 'Neg', input: ['w'], output: ['y'] }],
          initializer: [{ name: 'w', dataType: 1, dims: [1], floatData: [1] }],
          input: [floatOutput('w')],
          output: [floatOutput('y')],
        },
        { irVersion: fromInteger(irVersion) },
      );
    for (const [version, inputs] of [
      [3, []],
      [4, ['w']],
    ] as const) {
      const graph = decodeModel(file(version));
      expect(graph.inputs.map(({ name }) => name)).toEqual(inputs);
      expect(graph.initializers.get('w')).toEqual(floatTensor([1]));
      expect(decodeModel(encodeModel(graph))).toEqual(graph);
    }
  });

  test('what a default says is not taken for granted in shapes', () => {
    const b = new GraphBuilder('reshaped');
    const x = b.input('x', 'float32', [6]);
    b.output(b.op('Reshape', [x, b.input('shape', 'int64', [2])], {}, 'y'));
    const open = withDefaults(b.finish(), new Map([['shape', int64Tensor([2, 3])]]));
    expect(decodeModel(encodeModel(open)).types.get('y')!.shape).not.toEqual([2, 3]);
    expect(inferTypes(withFixedDefaults(open)).types.get('y')!.shape).toEqual([2, 3]);
  });

  test('a bound "to the end" (2^63 − 1) stays one', () => {
    const end = { name: 'ends', ints: [fromInteger(2n ** 63n - 1n)], type: 7 };
    const graph = decodeModel(
      model({ node: [{ opType: 'F', domain: 'd', output: ['y'], attribute: [end] }], output: [floatOutput('y')] }),
    );
    const again = modelType.decode(encodeModel(graph)) as ModelProto;
    expect(again.graph!.node![0]!.attribute![0]!.ints).toMatchObject([fromInteger(2n ** 63n - 1n)]);
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'TANDEM_MODEL_UNREADABLE'],
    ['text', new TextEncoder().encode('this is not a model'), 'TANDEM_MODEL_UNREADABLE'],
    ['a file cut short', encodeModel(perceptron()).subarray(0, 150), 'TANDEM_MODEL_UNREADABLE'],
    ['local functions', model({}, { functions: [{ name: 'f' }] }), 'TANDEM_MODEL_UNSUPPORTED'],
    ['an input that is no tensor', model({ input: [{ name: 'x' }] }), 'TANDEM_MODEL_UNSUPPORTED'],
    ['an output from nowhere', model({ output: [floatOutput('y')] }), 'TANDEM_MODEL_INVALID'],
    [
      'an input from nowhere',
      model({ node: [{ opType: 'Neg', input: ['x'], output: ['y'] }] }),
      'TANDEM_MODEL_INVALID',
    ],
    [
      'a value produced twice',
      model({ input: [floatOutput('x')], node: [{ opType: 'Neg', input: ['x'], output: ['x'] }] }),
      'TANDEM_MODEL_INVALID',
    ],
    [
      'a cycle',
      model({
        node: [
          { opType: 'Neg', input: ['a'], output: ['b'] },
          { opType: 'Neg', input: ['b'], output: ['a'] },
        ],
      }),
      'TANDEM_MODEL_INVALID',
    ],
  ])('%s is refused', (_, bytes, code) => {
    expect(codeOf(() => decodeModel(bytes))).toBe(code);
  });
});

test('weights beside the model: page-aligned, small ones inside', () => {
  const b = new GraphBuilder('split');
  const big = b.initializer(
    'big',
    floatTensor(
      Array.from({ length: 2000 }, (_, i) => i),
      [2000],
    ),
  );
  const other = b.initializer('other', floatTensor(new Array(300).fill(2), [300]));
  const small = b.initializer('small', floatTensor([1], []));
  for (const name of [big, other, small]) b.output(b.op('Identity', [name]));
  const graph = b.finish();
  const { model: bytes, pieces, byteLength } = encodeSplitModel(graph, 'weights.bin');
  expect(pieces.map(({ offset, bytes: piece }) => [offset, piece.length])).toEqual([
    [0, 8000],
    [8192, 1200],
  ]);
  expect(byteLength).toBe(8192 + 1200);
  expect(bytes.length).toBeLessThan(1500);
  const file = new Uint8Array(byteLength);
  for (const { offset, bytes: piece } of pieces) file.set(piece, offset);
  const externalData = (location: string, offset: number, length: number) => {
    expect(location).toBe('weights.bin');
    return file.subarray(offset, offset + length);
  };
  expect(decodeModel(bytes, { externalData })).toEqual(graph);
  expect(codeOf(() => decodeModel(bytes, { externalData: () => new Uint8Array(4) }))).toBe('TANDEM_EXTERNAL_DATA');
});

describe('damaged files', () => {
  const valid = encodeModel(perceptron());

  /** Reading gives a graph or a TandemError, never another error. */
  const survives = (bytes: Uint8Array) => {
    codeOf(() => decodeModel(bytes));
  };

  test('any prefix of a model', () => {
    for (let length = 0; length < valid.length; length++) survives(valid.subarray(0, length));
  });

  test('a model with some bytes changed, removed or put in', () => {
    const edit = fc.record({ at: fc.nat(valid.length - 1), remove: fc.nat(3), put: fc.uint8Array({ maxLength: 4 }) });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let bytes = [...valid];
        for (const { at, remove, put } of edits) bytes = [...bytes.slice(0, at), ...put, ...bytes.slice(at + remove)];
        survives(Uint8Array.from(bytes));
      }),
      { numRuns: 3000, seed: 1 },
    );
  });

  test('random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), survives), { numRuns: 2000, seed: 2 });
  });

  test('subgraphs nested without end', () => {
    let bytes = new Uint8Array();
    // AttributeProto.g = 6, NodeProto.attribute = 5, GraphProto.node = 1: length-delimited fields around each other
    const wrap = (field: number) => {
      const size: number[] = [];
      for (let rest = bytes.length; ; rest >>>= 7) {
        size.push(rest > 127 ? (rest & 127) | 128 : rest);
        if (rest <= 127) break;
      }
      bytes = Uint8Array.from([(field << 3) | 2, ...size, ...bytes]);
    };
    for (let depth = 0; depth < 2000; depth++) for (const field of [6, 5, 1]) wrap(field);
    wrap(7);
    expect(codeOf(() => decodeModel(bytes))).toBe('TANDEM_MODEL_UNREADABLE');
  });
});
