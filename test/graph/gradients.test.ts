import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { differentiate, type GradientRule } from '../../src/graph/gradients/index.js';
import { addCrossEntropy } from '../../src/graph/losses.js';
import { type Dim, floatTensor, type Graph, int, int64Tensor, tensor } from '../../src/graph/types.js';
import { gradientError, load, random, tolerance } from './gradient-check.js';

const sumOf = (b: GraphBuilder, value: string) => b.op('ReduceSum', [value], { keepdims: int(0) }, 'loss');
const operators = (graph: Graph) => graph.nodes.map(({ opType }) => opType);

async function gradientsOf(graph: Graph, feeds: Parameters<Awaited<ReturnType<typeof load>>>[0]) {
  const fetched = await (await load(graph))(feeds);
  return (name: string) => Array.from(fetched[`grad:${name}`]!.data as Float32Array);
}

describe('differentiate', () => {
  test('keeps the old outputs and adds one per value, in its shape and type', () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', ['batch', 3]);
    b.initializer('w', floatTensor([1, 2, 3]));
    b.output(sumOf(b, b.mul('x', 'w')));
    const derived = differentiate(b.finish(), { loss: 'loss', wrt: ['w', 'x'] });
    expect(derived.outputs).toMatchObject([
      { name: 'loss', dtype: 'float32', shape: [] },
      { name: 'grad:w', dtype: 'float32', shape: [3] },
      { name: 'grad:x', dtype: 'float32', shape: ['batch', 3] },
    ]);
  });

  test('adds up what comes back from several uses of a value', async () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', [2]);
    const square = b.mul('x', 'x');
    b.output(sumOf(b, b.op('Sum', [square, b.mul(square, 'x'), 'x', 'x'])));
    const derived = differentiate(b.finish(), { loss: 'loss', wrt: ['x', square] });
    const gradient = await gradientsOf(derived, { x: floatTensor([2, -1]) });
    expect(gradient('x')).toEqual([2 * 2 + 3 * 4 + 2, -2 + 3 + 2]);
    expect(gradient(square)).toEqual([1 + 2, 1 - 1]);
  });

  test('makes nothing for what leads only to masks, labels or values nobody asked about', () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', ['n', 4]);
    b.input('mask', 'float32', ['n', 4]);
    b.initializer('w', floatTensor(new Float32Array(16), [4, 4]));
    b.initializer('frozen', floatTensor(new Float32Array(16), [4, 4]));
    const hidden = b.matmul('x', 'frozen');
    b.op('Exp', [hidden]);
    const kept = b.mul(b.matmul(hidden, 'w'), b.op('Exp', ['mask']));
    b.output(sumOf(b, kept));
    const graph = b.finish();
    const added = operators(differentiate(graph, { loss: 'loss', wrt: ['w'] })).slice(graph.nodes.length);
    expect(added).toEqual(['Shape', 'Expand', 'Mul', 'Gemm']);
  });

  test('differentiates a differentiated graph under other names', async () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', []);
    b.output(b.mul(b.mul('x', 'x'), 'x', 'loss'));
    const once = differentiate(b.finish(), { loss: 'loss', wrt: ['x'] });
    const gradientName = (value: string) => `second:${value}`;
    const twice = differentiate(once, { loss: 'grad:x', wrt: ['x'], gradientName });
    const fetched = await (await load(twice))({ x: floatTensor([5], []) });
    expect([fetched['grad:x']!.data[0], fetched['second:x']!.data[0]]).toEqual([75, 30]);
  });

  test('gives the same gradient to two values under two names', async () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', [2]);
    b.input('y', 'float32', [2]);
    b.output(sumOf(b, b.op('Exp', [b.add('x', 'y')])));
    const gradient = await gradientsOf(differentiate(b.finish(), { loss: 'loss', wrt: ['x', 'y'] }), {
      x: floatTensor([0, 0]),
      y: floatTensor([0, 0]),
    });
    expect([gradient('x'), gradient('y')]).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  test('leaves the given graph as it was, though LayerNormalization gets more outputs', () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', ['n', 4]);
    b.initializer('w', floatTensor([1, 1, 1, 1]));
    b.output(sumOf(b, b.op('LayerNormalization', ['x', 'w'], {}, 'normed')));
    const graph = b.finish();
    const before = JSON.stringify(graph.nodes);
    const derived = differentiate(graph, { loss: 'loss', wrt: ['x'] });
    expect(JSON.stringify(graph.nodes)).toBe(before);
    expect(derived.nodes[0]!.outputs).toHaveLength(3);
  });
});

describe('custom rules', () => {
  const straightThrough: GradientRule = ({ dy }) => [() => dy];

  function rounded(): Graph {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', [3]);
    const y = b.op('Round', [b.mul('x', b.constant(4))], {}, 'quantiser.round');
    b.output(sumOf(b, b.mul(y, y)));
    return b.finish();
  }

  test.each(['quantiser.round', 'quantiser.round_node', 'quantiser.*'])(
    '%s: a straight-through estimator',
    async (pattern) => {
      const derived = differentiate(rounded(), { loss: 'loss', wrt: ['x'], rules: { [pattern]: straightThrough } });
      const gradient = await gradientsOf(derived, { x: floatTensor([0.3, 1.1, -0.6]) });
      expect(gradient('x')).toEqual([2 * 1 * 4, 2 * 4 * 4, 2 * -2 * 4]);
    },
  );

  test('a surrogate slope passes through a comparison and the Cast behind it', async () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', [3]);
    const fires = b.op('Greater', ['x', b.constant(1)], {}, 'fires');
    b.output(sumOf(b, b.mul(b.cast(fires, 'float32'), b.constant(floatTensor([1, 2, 3])))));
    // A triangle of half-width 1 around the threshold.
    const surrogate: GradientRule = ({ b, dy, x }) => [
      () => b.mul(dy, b.op('Relu', [b.sub(b.constant(1), b.op('Abs', [b.sub(x[0]!, x[1]!)]))])),
      'zero',
    ];
    const derived = differentiate(b.finish(), { loss: 'loss', wrt: ['x'], rules: { fires: surrogate } });
    const gradient = await gradientsOf(derived, { x: floatTensor([1, 1.5, 3]) });
    expect(gradient('x')).toEqual([1, 1, 0]);
  });

  test('an Identity is a place to rewrite a gradient on its way', async () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', [3]);
    const passed = b.op('Identity', ['x'], {}, 'prune.x');
    b.output(sumOf(b, b.mul(passed, b.constant(floatTensor([0.1, -2, 3])))));
    const prune: GradientRule = ({ b, dy }) => [
      () => b.op('Where', [b.op('Less', [b.op('Abs', [dy]), b.constant(1)]), b.constant(0), dy]),
    ];
    const derived = differentiate(b.finish(), { loss: 'loss', wrt: ['x'], rules: { 'prune.*': prune } });
    expect((await gradientsOf(derived, { x: floatTensor([1, 1, 1]) }))('x')).toEqual([0, -2, 3]);
  });

  test("'zero' stops a gradient", async () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', [1]);
    b.output(sumOf(b, b.mul(b.op('Exp', ['x'], {}, 'detached'), 'x')));
    const derived = differentiate(b.finish(), { loss: 'loss', wrt: ['x'], rules: { detached: 'zero' } });
    expect((await gradientsOf(derived, { x: floatTensor([0]) }))('x')).toEqual([1]);
  });
});

describe('errors', () => {
  function graphOf(build: (b: GraphBuilder) => string): Graph {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', [2, 2]);
    b.input('n', 'int64', [2]);
    b.output(build(b));
    return b.finish();
  }
  const failing =
    (graph: Graph, wrt: string, loss = 'loss') =>
    () =>
      differentiate(graph, { loss, wrt: [wrt] });

  test('an operator without derivative is named', () => {
    const graph = graphOf((b) => sumOf(b, b.op('ReduceProd', ['x'], {}, 'product')));
    expect(failing(graph, 'x')).toThrow(
      expect.objectContaining({ code: 'TANDEM_NO_GRADIENT', place: 'node product_node' }),
    );
  });
  test('so is a piecewise constant one on the only way', () => {
    const graph = graphOf((b) => sumOf(b, b.op('Round', ['x'], {}, 'rounded')));
    expect(failing(graph, 'x')).toThrow(
      expect.objectContaining({ code: 'TANDEM_NO_GRADIENT', place: 'node rounded_node' }),
    );
  });
  test('a value without influence', () => {
    const graph = graphOf((b) => {
      b.initializer('unused', floatTensor([1]));
      return sumOf(b, 'x');
    });
    expect(failing(graph, 'unused')).toThrow('does not depend on "unused"');
  });
  test('a loss that is no single number', () => {
    const graph = graphOf((b) => b.op('Exp', ['x'], {}, 'loss'));
    expect(failing(graph, 'x')).toThrow('must be one floating-point number; it is float32 [2,2]');
  });
  test('a loss or a value that does not exist, or is not floating point', () => {
    const graph = graphOf((b) => sumOf(b, 'x'));
    expect(failing(graph, 'x', 'los')).toThrow('it is not in the graph');
    expect(failing(graph, 'y')).toThrow('"y" is not in the graph');
    expect(failing(graph, 'n')).toThrow('"n" is int64');
  });
  test('a name that is taken', () => {
    const once = differentiate(
      graphOf((b) => sumOf(b, 'x')),
      { loss: 'loss', wrt: ['x'] },
    );
    expect(failing(once, 'x')).toThrow('already has a value called "grad:x"');
  });
});

describe('broadcasting', () => {
  /** Shapes that broadcast together, with some axes declared symbolic. */
  const shapes = fc
    .array(
      fc.record({
        size: fc.integer({ min: 1, max: 3 }),
        ones: fc.tuple(fc.boolean(), fc.boolean()),
        symbolic: fc.boolean(),
      }),
      {
        maxLength: 4,
      },
    )
    .chain((axes) =>
      fc.record({
        axes: fc.constant(axes),
        drop: fc.tuple(fc.nat(axes.length), fc.nat(axes.length)),
        named: fc.constantFrom('shared', 'own', 'unknown'),
      }),
    );

  test('any operand shapes, static or symbolic, are summed back exactly', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.constantFrom('Add', 'Sub', 'Mul', 'Div', 'Max'),
        async ({ axes, drop, named }, op) => {
          const operand = (which: 0 | 1) => {
            const own = axes.slice(drop[which]);
            const shape = own.map(({ size, ones }) => (ones[which] ? 1 : size));
            const declared = own.map(({ size, ones, symbolic }, i): Dim => {
              if (!symbolic) return ones[which] ? 1 : size;
              // Names of one's own leave open what is 1 at run time; shared names are equal sizes.
              const axis = i + drop[which];
              if (named === 'shared') return ones[which] ? 1 : `d${axis}`;
              return `${which}d${axis}`;
            });
            return { shape, declared: named === 'unknown' ? ('unknown' as const) : declared };
          };
          const error = await gradientError({
            inputs: { a: operand(0), b: operand(1) },
            build: (b) => b.op(op, ['a', 'b']),
          });
          expect(error).toBeLessThan(tolerance('float64'));
        },
      ),
      { numRuns: 50, seed: 7 },
    );
  });

  test('products of any rank, with symbolic batch dimensions', async () => {
    const dims = fc.record({
      batch: fc.array(fc.record({ size: fc.integer({ min: 1, max: 2 }), ones: fc.tuple(fc.boolean(), fc.boolean()) }), {
        maxLength: 2,
      }),
      drop: fc.tuple(fc.nat(2), fc.nat(2)),
      m: fc.integer({ min: 1, max: 3 }),
      k: fc.integer({ min: 1, max: 3 }),
      n: fc.integer({ min: 1, max: 3 }),
      symbolic: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(dims, async ({ batch, drop, m, k, n, symbolic }) => {
        const operand = (which: 0 | 1, matrix: number[]) => {
          const from = Math.min(drop[which], batch.length);
          const own = batch.slice(from).map(({ size, ones }) => (ones[which] ? 1 : size));
          const names = own.map((size, i): Dim => (symbolic && size > 1 ? `d${from + i}` : size));
          return { shape: [...own, ...matrix], declared: [...names, ...matrix] };
        };
        const error = await gradientError({
          inputs: { a: operand(0, [m, k]), b: operand(1, [k, n]) },
          build: (b) => b.matmul('a', 'b'),
        });
        expect(error).toBeLessThan(tolerance('float64'));
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  test('needs no run-time shapes for a bias on [batch, tokens, hidden]', () => {
    const b = new GraphBuilder('g');
    b.input('x', 'float32', ['batch', 'tokens', 8]);
    b.initializer('bias', floatTensor(new Float32Array(8)));
    b.output(b.op('ReduceMean', [b.op('Exp', [b.add('x', 'bias')])], { keepdims: int(0) }, 'loss'));
    const graph = b.finish();
    const derived = differentiate(graph, { loss: 'loss', wrt: ['bias'] });
    const sums = derived.nodes.slice(graph.nodes.length).filter(({ opType }) => opType === 'ReduceSum');
    expect(sums).toHaveLength(1);
    expect(derived.initializers.get(sums[0]!.inputs[1]!)).toEqual(int64Tensor([0, 1]));
  });
});

test('the gradient of a table is the same bytes on every run, though rows repeat and threads add', async () => {
  const [rows, width, picks] = [300, 256, 4096];
  const next = random(5);
  const b = new GraphBuilder('g');
  b.input('table', 'float32', [rows, width]);
  b.input('ids', 'int64', [picks]);
  b.input('weights', 'float32', [picks, width]);
  b.output(sumOf(b, b.mul(b.op('Gather', ['table', 'ids']), 'weights')));
  const run = await load(differentiate(b.finish(), { loss: 'loss', wrt: ['table'] }), 2);
  const ids = Array.from({ length: picks }, () => Math.floor(next(0, 30)));
  const feeds = {
    table: floatTensor(new Float32Array(rows * width), [rows, width]),
    ids: int64Tensor(ids),
    weights: floatTensor(
      Float32Array.from({ length: picks * width }, () => next(-1, 1)),
      [picks, width],
    ),
  };
  const bytes = async () => Buffer.from(((await run(feeds))['grad:table']!.data as Float32Array).buffer);
  const first = await bytes();
  for (let i = 0; i < 20; i++) expect(Buffer.compare(await bytes(), first)).toBe(0);
});

describe('with symbolic dimensions', () => {
  const open = (...shape: number[]) => ({ shape, declared: shape.map((_, i) => `n${i}`) });
  test.each([
    ['Slice from the end', (b: GraphBuilder) => b.op('Slice', ['a', b.ints([-2]), b.ints([100]), b.ints([1])])],
    ['first position', (b: GraphBuilder) => b.op('Gather', ['a', b.scalar('int64', 0)], { axis: int(1) })],
    ['last position', (b: GraphBuilder) => b.op('Gather', ['a', b.scalar('int64', -1)], { axis: int(1) })],
    ['rows', (b: GraphBuilder) => b.op('Gather', ['a', b.ints([1, 1, 0])])],
    ['Concat', (b: GraphBuilder) => b.op('Concat', ['a', b.op('Exp', ['a']), 'a'], { axis: int(1) })],
    [
      'ReduceMean',
      (b: GraphBuilder) => b.op('ReduceMean', ['a'], { axes: { kind: 'ints', value: [1, 2] }, keepdims: int(0) }),
    ],
    ['Tile', (b: GraphBuilder) => b.op('Tile', ['a', b.ints([1, 2, 2])])],
    ['Pad', (b: GraphBuilder) => b.op('Pad', ['a', b.ints([0, 1, 0, 0, 0, 2])])],
    ['Flatten', (b: GraphBuilder) => b.op('Flatten', ['a'], { axis: int(1) })],
    ['Expand', (b: GraphBuilder) => b.op('Expand', ['a', b.ints([2, 1, 1, 1])])],
    ['matrix products', (b: GraphBuilder) => b.matmul('a', b.transpose('a', [0, 2, 1]))],
  ])('%s', async (_, build) => {
    expect(await gradientError({ inputs: { a: open(2, 3, 4) }, build })).toBeLessThan(tolerance('float64'));
  });
});

describe('cross entropy', () => {
  const logits = [1, 2, 0.5, -1, 0, 3];
  /** −log softmax, in plain arithmetic. */
  const expected = (row: number[], label: number) =>
    Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[label]!;

  test('is the mean of −log softmax(logits)[label]', async () => {
    const b = new GraphBuilder('g');
    b.input('logits', 'float32', ['batch', 3]);
    b.input('labels', 'int64', ['batch']);
    const loss = b.output(addCrossEntropy(b, 'logits', 'labels'));
    const fetched = await (await load(b.finish()))({
      logits: floatTensor(logits, [2, 3]),
      labels: int64Tensor([2, 0]),
    });
    const mean = (expected(logits.slice(0, 3), 2) + expected(logits.slice(3), 0)) / 2;
    expect(fetched[loss]!.data[0]).toBeCloseTo(mean, 6);
  });

  test.each([
    [[2, -100], expected(logits.slice(0, 3), 2)],
    [[-100, -100], 0],
  ])('leaves out ignored labels %j', async (labels, mean) => {
    const b = new GraphBuilder('g');
    b.input('logits', 'float32', ['batch', 'tokens', 3]);
    b.input('labels', 'int64', ['batch', 'tokens']);
    const loss = b.output(addCrossEntropy(b, 'logits', 'labels', { ignoreIndex: -100 }));
    const derived = differentiate(b.finish(), { loss, wrt: ['logits'] });
    const fetched = await (await load(derived))({
      logits: floatTensor(logits, [1, 2, 3]),
      labels: int64Tensor(labels, [1, 2]),
    });
    expect(fetched[loss]!.data[0]).toBeCloseTo(mean, 6);
    expect(Array.from(fetched['grad:logits']!.data as Float32Array).slice(3)).toEqual([0, 0, 0]);
  });

  test('its gradient agrees with central differences', async () => {
    const error = await gradientError({
      inputs: { logits: { shape: [3, 4], declared: ['batch', 4] } },
      others: { labels: tensor('int64', [3], BigInt64Array.of(1n, 3n, 0n)) },
      build: (b) => addCrossEntropy(b, 'logits', 'labels'),
    });
    expect(error).toBeLessThan(tolerance('float64'));
  });
});
