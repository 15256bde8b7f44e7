import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { GraphBuilder } from '../../src/graph/builder.js';
import { broadcastDim, divideDims, knownFactor, multiplyDims } from '../../src/graph/shapes/dims.js';
import { inferTypes } from '../../src/graph/shapes.js';
import { type Dim, floatTensor, int, ints } from '../../src/graph/types.js';

function builder(shapes: Record<string, readonly Dim[]>): GraphBuilder {
  const b = new GraphBuilder('test');
  for (const [name, shape] of Object.entries(shapes)) b.input(name, 'float32', shape);
  return b;
}

describe('symbolic dimensions', () => {
  const named = fc.constantFrom<Dim>('batch', 'tokens', 'heads', 2, 3, 4, 1);

  test('products have one name, whatever the order of their factors', () => {
    expect(multiplyDims(['tokens', 2, 'batch', 3])).toBe('6*batch*tokens');
    fc.assert(
      fc.property(fc.array(named), (dims) => {
        expect(multiplyDims([...dims].reverse())).toBe(multiplyDims(dims));
      }),
    );
  });

  test('division undoes multiplication', () => {
    fc.assert(
      fc.property(fc.array(named), named, (dims, factor) => {
        const product = multiplyDims(dims)!;
        expect(divideDims(multiplyDims([product, factor])!, factor)).toBe(product);
      }),
    );
    expect(divideDims('batch', 'tokens')).toBeUndefined();
    expect(divideDims(7, 2)).toBeUndefined();
    expect(divideDims(4, 0)).toBeUndefined();
  });

  test('names that exporters make up stay as they are', () => {
    expect(multiplyDims(['past + 1', 1])).toBe('past + 1');
    expect(multiplyDims(['past + 1', 2])).toBeUndefined();
    expect(divideDims('past + 1', 'past + 1')).toBe(1);
  });

  test('a known factor can be read off', () => {
    expect(knownFactor('12*batch')).toBe(12);
    expect(knownFactor('batch')).toBeUndefined();
    expect(knownFactor(12)).toBeUndefined();
  });

  test('broadcasting', () => {
    expect(broadcastDim('batch', 1)).toBe('batch');
    expect(broadcastDim('batch', 'batch')).toBe('batch');
    expect(broadcastDim('batch', 8)).toBe(8);
    expect(broadcastDim(3, 4)).toBe('mismatch');
    expect(broadcastDim('batch', 'tokens')).toBeUndefined();
  });
});

describe('Reshape', () => {
  const reshaped = (from: readonly Dim[], target: readonly number[]) => {
    const b = builder({ x: from });
    return b.shapeOf(b.reshape('x', target));
  };

  test('0 copies and -1 takes the rest', () => {
    expect(reshaped(['batch', 'tokens', 256], [0, 0, 4, 64])).toEqual(['batch', 'tokens', 4, 64]);
    expect(reshaped(['batch', 'tokens', 512], [0, 0, -1, 64])).toEqual(['batch', 'tokens', 8, 64]);
    expect(reshaped(['batch', 'tokens', 8, 64], [0, -1, 512])).toEqual(['batch', 'tokens', 512]);
    expect(reshaped(['batch', 'tokens', 512], [-1, 512])).toEqual(['batch*tokens', 512]);
    expect(reshaped(['batch', 8, 'tokens', 64], [-1, 0, 64])).toEqual(['batch*tokens', 8, 64]);
  });

  test('a dimension that no product expresses gets a name of its own', () => {
    expect(reshaped(['batch', 'tokens'], [7, -1])).toEqual([7, 'reshape_dim1']);
  });

  test('sizes that cannot fit are refused', () => {
    expect(() => reshaped([2, 3], [4])).toThrow('[2, 3] has 6 elements; [4] has 4');
    expect(() => reshaped([2, 3], [4, -1])).toThrow('cannot be reshaped');
    expect(() => reshaped([2, 3], [-1, -1])).toThrow('more than one -1');
    expect(() => reshaped([2, 3], [0, 0, 0])).toThrow('copies axis 2');
  });
});

describe('shapes computed in the graph', () => {
  test('Shape → Gather → Unsqueeze → Concat → Reshape gives back the names', () => {
    const b = builder({ x: ['batch', 'tokens', 512] });
    const shape = b.op('Shape', ['x']);
    const dim = (index: number) =>
      b.op('Unsqueeze', [b.op('Gather', [shape, b.scalar('int64', index)], { axis: int(0) }), b.ints([0])]);
    const heads = b.op('Div', [dim(2), b.ints([64])]);
    const target = b.op('Concat', [dim(0), dim(1), heads, b.ints([64])], { axis: int(0) });
    const split = b.transpose(b.op('Reshape', ['x', target]), [0, 2, 1, 3]);
    expect(b.shapeOf(split)).toEqual(['batch', 8, 'tokens', 64]);
    // and back: [batch, heads, tokens, 64] → [batch, tokens, 512] by the original's own Shape
    const merged = b.op('Reshape', [b.transpose(split, [0, 2, 1, 3]), shape]);
    expect(b.shapeOf(merged)).toEqual(['batch', 'tokens', 512]);
  });

  test('Expand to a target whose -1 means "keep", as PyTorch writes it', () => {
    const b = builder({ mask: ['batch', 1, 1, 'tokens'], x: ['batch', 8, 'tokens', 64] });
    const wanted = b.op('Concat', [b.op('Slice', [b.op('Shape', ['x']), b.ints([0]), b.ints([2])]), b.ints([-1, -1])], {
      axis: int(0),
    });
    const ones = b.op('ConstantOfShape', [b.ints([4])], {
      value: { kind: 'tensor', value: b.initializers.get(b.ints([1]))! },
    });
    const keep = b.op('Equal', [wanted, b.op('Mul', [ones, b.ints([-1])])]);
    const target = b.op('Where', [keep, ones, wanted]);
    expect(b.shapeOf(b.op('Expand', ['mask', target]))).toEqual(['batch', 8, 1, 'tokens']);
  });

  test('positions: Range up to a symbolic length', () => {
    const b = builder({ x: ['batch', 'tokens'] });
    const length = b.op('Gather', [b.op('Shape', ['x']), b.scalar('int64', 1)]);
    const positions = b.op('Range', [b.scalar('int64', 0), length, b.scalar('int64', 1)]);
    expect(
      b.shapeOf(b.op('Gather', [b.initializer('table', floatTensor(new Array(40).fill(0), [10, 4])), positions])),
    ).toEqual(['tokens', 4]);
  });

  test('Split halves a symbolic dimension only where it surely divides', () => {
    const b = builder({ x: ['batch', 6], y: ['2*batch', 6] });
    const halves = (value: string) => b.node('Split', [value], 2, { axis: int(0) }).map((part) => b.shapeOf(part)[0]);
    expect(halves('y')).toEqual(['batch', 'batch']);
    const [first, second] = halves('x');
    expect(typeof first).toBe('string');
    expect(second).not.toBe(first);
  });
});

describe('inputs that do not fit', () => {
  const refused = (build: () => void) => {
    try {
      build();
    } catch (error) {
      expect(error).toBeInstanceOf(TandemError);
      expect((error as TandemError).code).toBe('TANDEM_SHAPE_MISMATCH');
      return error as TandemError;
    }
    throw new Error('was accepted');
  };

  test('the error names the node and what feeds it', () => {
    const b = builder({ x: ['batch', 3], y: [4] });
    const error = refused(() => b.add('x', 'y', 'total'));
    expect(error.message).toBe('The shapes [batch, 3] and [4] do not broadcast.');
    expect(error.place).toBe('node "total_node" (Add)');
    expect(error.remedy).toContain('x, y');
  });

  test.each<[string, (b: GraphBuilder) => void]>([
    ['inner dimensions of a product', (b) => b.matmul('x', 'x')],
    ['a product with a scalar', (b) => b.matmul('x', b.constant(1))],
    ['inner dimensions of Gemm', (b) => b.op('Gemm', ['x', 'x'])],
    ['a permutation of other axes', (b) => b.transpose('x', [0, 2])],
    ['an axis that is not there', (b) => b.softmax('x', 2)],
    ['parts that do not make the whole', (b) => b.node('Split', ['x', b.ints([2, 2])], 2, { axis: int(1) })],
    ['squeezing more than one element', (b) => b.op('Squeeze', ['x', b.ints([1])])],
    ['concatenating different ranks', (b) => b.op('Concat', ['x', b.constant(floatTensor([1]))], { axis: int(0) })],
    ['a scale of another width', (b) => b.op('LayerNormalization', ['x', b.constant(floatTensor([1, 2]))])],
    ['a kernel wider than its input', (b) => b.op('MaxPool', ['image'], { kernel_shape: ints([5, 5]) })],
  ])('%s', (_, build) => {
    refused(() => build(builder({ x: [2, 3], image: [1, 1, 4, 4] })));
  });
});

test('unknown operators have unknown types, and what follows them stays unknown without error', () => {
  const b = builder({ x: ['batch', 3] });
  const [y] = b.node('FastGelu', ['x'], 1, {}, 'y', 'com.microsoft');
  const z = b.op('Add', [y!, 'x'], {}, 'z');
  expect(b.types.has(y!)).toBe(false);
  expect(b.types.has(z)).toBe(false);
  const s = b.op('Add', ['x', y!], {}, 's');
  expect(b.types.get(s)).toEqual({ dtype: 'float32', shape: undefined });
});

test('a whole graph is inferred again after its inputs change', () => {
  const b = builder({ x: [1, 5] });
  const y = b.matmul('x', b.initializer('w', floatTensor(new Array(10).fill(1), [5, 2])), 'y');
  b.output(y);
  const graph = b.finish();
  const wider = inferTypes({ ...graph, inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 5] }] });
  expect(wider.types.get('y')!.shape).toEqual(['batch', 2]);
});
