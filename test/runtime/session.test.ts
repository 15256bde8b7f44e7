import { afterAll, describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withDefaults } from '../../src/graph/edit.js';
import { decodeModel } from '../../src/graph/onnx/decode.js';
import { encodeModel } from '../../src/graph/onnx/encode.js';
import { type DataType, floatTensor, int64Tensor, type Tensor, tensor } from '../../src/graph/types.js';
import { offeredProviders } from '../../src/runtime/providers.js';
import { Session } from '../../src/runtime/session.js';
import { doubling, float32 } from './fixtures.js';

const session = await Session.create(doubling());
afterAll(() => session.dispose());

describe('Session', () => {
  it('runs a graph, or the bytes of an .onnx file', async () => {
    const x = floatTensor([1, 2, 3, 4], [1, 4]);
    const fromBytes = await Session.create(encodeModel(doubling()));
    for (const each of [session, fromBytes]) {
      const { y } = await each.run({ x });
      expect(y).toMatchObject({ dtype: 'float32', shape: [1, 4] });
      expect([...float32(y)]).toEqual([2, 4, 6, 8]);
    }
    await fromBytes.dispose();
  });

  it('carries every element type both ways without changing a bit', async () => {
    const examples: readonly Tensor[] = [
      tensor('float64', [2], Float64Array.of(0.1, -1e300)),
      tensor('float16', [2], Uint16Array.of(0x3c00, 0xfbff)),
      tensor('int8', [2], Int8Array.of(-128, 127)),
      tensor('uint8', [2], Uint8Array.of(0, 255)),
      tensor('int16', [2], Int16Array.of(-32768, 32767)),
      tensor('uint16', [2], Uint16Array.of(0, 65535)),
      tensor('int32', [2], Int32Array.of(-(2 ** 31), 2 ** 31 - 1)),
      tensor('uint32', [2], Uint32Array.of(0, 2 ** 32 - 1)),
      tensor('int64', [2], BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)),
      tensor('uint64', [2], BigUint64Array.of(0n, 2n ** 64n - 1n)),
      tensor('bool', [2], Uint8Array.of(0, 1)),
      tensor('string', [2], ['', 'Grüße']),
    ];
    const b = new GraphBuilder('identity');
    for (const { dtype } of examples) b.output(b.op('Identity', [b.input(dtype, dtype, ['n'])], {}, `same_${dtype}`));
    const identity = await Session.create(b.finish());
    const results = await identity.run(Object.fromEntries(examples.map((example) => [example.dtype, example])));
    for (const example of examples) expect(results[`same_${example.dtype satisfies DataType}`]).toEqual(example);
    await identity.dispose();
  });

  it('takes the default of an input that is not fed, and what is fed instead', async () => {
    const b = new GraphBuilder('scaled');
    b.output(b.mul(b.input('x', 'float32', ['n']), b.input('factor', 'float32', []), 'y'));
    const graph = withDefaults(b.finish(), new Map([['factor', floatTensor([3], [])]]));
    const x = floatTensor([1, 2]);
    const bytes = encodeModel(graph);
    for (const source of [graph, decodeModel(bytes)]) {
      const scaled = await Session.create(source);
      expect(scaled.inputs).toEqual(graph.inputs);
      expect([...float32((await scaled.run({ x })).y)]).toEqual([3, 6]);
      expect([...float32((await scaled.run({ x, factor: floatTensor([5], []) })).y)]).toEqual([5, 10]);
      expect([...float32((await scaled.run({ x })).y)]).toEqual([3, 6]);
      await expect(scaled.run({ factor: floatTensor([5], []) })).rejects.toMatchObject({ place: 'input x' });
      await scaled.dispose();
    }
    // Of bytes, ONNX Runtime for Node names only the inputs that must be fed, and ignores what it is fed beyond.
    const opaque = await Session.create(bytes);
    expect([...float32((await opaque.run({ x })).y)]).toEqual([3, 6]);
    await expect(opaque.run({ x, factor: floatTensor([5], []) })).rejects.toMatchObject({
      code: 'TANDEM_FEED_INVALID',
    });
    await opaque.dispose();
  });

  it('fetches only what is asked for', async () => {
    const b = new GraphBuilder('two outputs');
    const x = b.input('x', 'float32', [1]);
    b.output(b.op('Neg', [x], {}, 'negative'));
    b.output(b.op('Abs', [x], {}, 'magnitude'));
    const two = await Session.create(b.finish());
    expect(Object.keys(await two.run({ x: floatTensor([-3]) }, ['magnitude']))).toEqual(['magnitude']);
    await two.dispose();
  });

  it('writes into an earlier result where the shape repeats, and makes a new one where it does not', async () => {
    const ones = floatTensor([1, 1, 1, 1], [1, 4]);
    const first = await session.run({ x: ones });
    const second = await session.run({ x: floatTensor([5, 5, 5, 5], [1, 4]) }, undefined, first);
    expect(second.y).toBe(first.y);
    expect([...float32(first.y)]).toEqual([10, 10, 10, 10]);
    const longer = await session.run({ x: floatTensor(new Float32Array(8), [2, 4]) }, undefined, first);
    expect(longer.y).not.toBe(first.y);
    expect(longer.y!.shape).toEqual([2, 4]);
    expect([...float32(first.y)]).toEqual([10, 10, 10, 10]);
  });

  it('reads and writes memory of a WebAssembly module in place', async () => {
    const { buffer } = new WebAssembly.Memory({ initial: 1 });
    const x = tensor('float32', [1, 4], new Float32Array(buffer, 64, 4).fill(3));
    const y = tensor('float32', [1, 4], new Float32Array(buffer, 128, 4));
    await session.run({ x }, undefined, { y });
    expect([...new Float32Array(buffer, 128, 4)]).toEqual([6, 6, 6, 6]);
  });

  it('gives equal bits in every run', async () => {
    const b = new GraphBuilder('product');
    const x = b.input('x', 'float32', [64, 300]);
    const y = b.input('y', 'float32', [300, 64]);
    b.output(b.matmul(x, y, 'z'));
    const product = await Session.create(b.finish(), { threads: 2 });
    const feeds = {
      x: floatTensor(
        Float32Array.from({ length: 19_200 }, (_, i) => Math.sin(i)),
        [64, 300],
      ),
      y: floatTensor(
        Float32Array.from({ length: 19_200 }, (_, i) => Math.cos(i)),
        [300, 64],
      ),
    };
    const first = await product.run(feeds);
    for (let i = 0; i < 20; i++) expect(await product.run(feeds)).toEqual(first);
    await product.dispose();
  });
});

describe('what does not fit is refused before it runs', () => {
  const good = floatTensor([1, 2, 3, 4], [1, 4]);
  it.each([
    ['a missing input', {}, '"x" is missing'],
    ['an unknown input', { x: good, z: good }, 'no input "z"'],
    ['another type', { x: int64Tensor([1, 2, 3, 4], [1, 4]) }, 'int64 [1, 4]'],
    ['another rank', { x: floatTensor([1, 2, 3, 4]) }, 'float32 [4]'],
    ['another fixed dimension', { x: floatTensor([1, 2, 3], [1, 3]) }, 'float32 [1, 3]'],
    ['data that do not fill the shape', { x: { ...good, shape: [2, 4] } }, 'with 4 elements'],
  ])('%s', async (_, feeds, message) => {
    await expect(session.run(feeds as never)).rejects.toMatchObject({
      code: 'TANDEM_FEED_INVALID',
      message: expect.stringContaining(message),
      remedy: expect.stringContaining('x'),
    });
  });

  it('an unknown output', async () => {
    await expect(session.run({ x: good }, ['w'])).rejects.toMatchObject({
      code: 'TANDEM_FEED_INVALID',
      remedy: 'Fetch some of: y.',
    });
  });

  it('two sizes for one named dimension', async () => {
    const b = new GraphBuilder('pair');
    b.output(b.add(b.input('a', 'float32', ['batch']), b.input('b', 'float32', ['batch']), 'sum'));
    const pair = await Session.create(b.finish());
    await expect(pair.run({ a: floatTensor([1, 2]), b: floatTensor([1, 2, 3]) })).rejects.toMatchObject({
      code: 'TANDEM_FEED_INVALID',
      message: expect.stringContaining('3 for "batch"'),
    });
    await pair.dispose();
  });
});

describe('what ONNX Runtime refuses has a code and a place', () => {
  it('an operator it does not know', async () => {
    await expect(Session.create(doubling('Treble'))).rejects.toMatchObject({
      code: 'TANDEM_OPERATOR_UNKNOWN',
      message: expect.stringContaining('Treble'),
      place: 'node y_node',
    });
  });

  it('an operator of an unknown domain', async () => {
    const graph = doubling();
    const foreign = { ...graph, opsets: { ...graph.opsets, 'my.own': 1 } };
    const nodes = graph.nodes.map((node) => ({ ...node, domain: 'my.own', opType: 'Mix' }));
    await expect(Session.create({ ...foreign, nodes })).rejects.toMatchObject({
      code: 'TANDEM_OPERATOR_UNKNOWN',
      message: expect.stringContaining('Mix'),
    });
  });

  it.each([
    ['bytes that are no model', Uint8Array.of(1, 2, 3)],
    ['no bytes at all', new Uint8Array(0)],
  ])('%s', async (_, bytes) => {
    await expect(Session.create(bytes)).rejects.toMatchObject({ code: 'TANDEM_GRAPH_REJECTED' });
  });

  it('a node that fails while it runs', async () => {
    const b = new GraphBuilder('rows');
    const rows = b.input('rows', 'float32', ['n', 2]);
    b.output(b.op('Gather', [rows, b.input('row', 'int64', [1])], {}, 'picked'));
    const gather = await Session.create(b.finish());
    const feeds = { rows: floatTensor([1, 2], [1, 2]), row: int64Tensor([7]) };
    await expect(gather.run(feeds)).rejects.toMatchObject({ code: 'TANDEM_RUN_FAILED', place: 'node picked_node' });
    await gather.dispose();
  });

  it.each(['abacus', ''])('the execution provider "%s"', async (name) => {
    await expect(Session.create(doubling(), { executionProviders: [name] })).rejects.toMatchObject({
      code: 'TANDEM_PROVIDER_UNAVAILABLE',
      remedy: expect.stringContaining('cpu'),
    });
    expect(offeredProviders()).toContain('cpu');
  });

  it('a session without any execution provider', async () => {
    await expect(Session.create(doubling(), { executionProviders: [] })).rejects.toMatchObject({
      code: 'TANDEM_PROVIDER_UNAVAILABLE',
    });
  });
});
