import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { checkFinite, sortNodes, validateGraph } from '../../src/graph/check.js';
import {
  GraphIndex,
  initializersFromInputs,
  inputsFromInitializers,
  parameterCount,
  pruneUnused,
  renameValues,
  replaceInput,
  withDefaults,
  withFixedDefaults,
  withOutputs,
} from '../../src/graph/edit.js';
import { floatTensor, type Graph, tensor } from '../../src/graph/types.js';
import { run } from './runtime.js';

/** y = tanh(x · w) + b, and a branch that no output needs. */
function graph(): Graph {
  const b = new GraphBuilder('edit');
  b.input('x', 'float32', ['batch', 2]);
  b.initializer('w', floatTensor([1, 2, 3, 4], [2, 2]));
  b.initializer('b', floatTensor([0.5, -0.5]));
  const h = b.op('Tanh', [b.matmul('x', 'w', 'xw')], {}, 'h');
  b.op('Exp', [b.mul(h, b.constant(3, 'three'))], {}, 'unused');
  b.output(b.add(h, 'b', 'y'));
  return b.finish();
}
const x = floatTensor([1, -1], [1, 2]);

describe('weights and inputs', () => {
  test('weights become inputs and come back, and both compute the same', async () => {
    const original = graph();
    const open = inputsFromInitializers(original, ['w', 'b']);
    expect(open.inputs.map(({ name, shape }) => [name, shape])).toEqual([
      ['x', ['batch', 2]],
      ['w', [2, 2]],
      ['b', [2]],
    ]);
    expect([...open.initializers.keys()]).toEqual(['three']);
    const fed = await run(open, { x, w: original.initializers.get('w')!, b: original.initializers.get('b')! });
    expect(fed).toEqual(await run(original, { x }));

    const closed = initializersFromInputs(
      open,
      new Map([...original.initializers].filter(([name]) => name !== 'three')),
    );
    expect(closed.inputs).toEqual(original.inputs);
    expect(await run(closed, { x })).toEqual(fed);
  });

  test('a value of another shape or type does not become a weight', () => {
    const open = inputsFromInitializers(graph(), ['w']);
    expect(() => initializersFromInputs(open, new Map([['w', floatTensor([1, 2])]]))).toThrow('[2, 2]');
    expect(() =>
      initializersFromInputs(open, new Map([['w', tensor('float64', [2, 2], new Float64Array(4))]])),
    ).toThrow('float64');
    expect(() => inputsFromInitializers(graph(), ['nothing'])).toThrow('no initializer "nothing"');
  });
});

describe('defaults of inputs', () => {
  const open = inputsFromInitializers(graph(), ['w', 'b']);
  const fed = { w: floatTensor([1, 0, 0, 1], [2, 2]), b: floatTensor([0, 0]) };
  const withDefault = withDefaults(open, new Map([['b', fed.b]]));

  test('need not be fed', async () => {
    expect(await run(validateGraph(withDefault), { x, w: fed.w })).toEqual(await run(open, { x, ...fed }));
  });

  test('stay with their inputs, where nothing reads them too', () => {
    const kept = pruneUnused(withOutputs(withDefault, ['xw']));
    expect(kept.inputs).toEqual(open.inputs);
    expect(kept.initializers).toEqual(new Map([['b', fed.b]]));
  });

  test('can be fixed, after which there is no such input', () => {
    const fixed = withFixedDefaults(withDefault);
    expect(fixed.inputs.map(({ name }) => name)).toEqual(['x', 'w']);
    expect(fixed).toEqual(initializersFromInputs(open, new Map([['b', fed.b]])));
    expect(inputsFromInitializers(withDefault, ['b']).inputs).toEqual(open.inputs);
  });

  test('fit what the input declares', () => {
    expect(() => withDefaults(open, new Map([['b', floatTensor([1])]]))).toThrow('[2]');
    expect(() => withDefaults(open, new Map([['nothing', floatTensor([1])]]))).toThrow('no input "nothing"');
  });
});

describe('outputs and dead nodes', () => {
  test('any value can be an output', async () => {
    const opened = withOutputs(graph(), ['y', 'xw', 'y']);
    expect(opened.outputs.map(({ name }) => name)).toEqual(['y', 'xw']);
    expect([...((await run(opened, { x })).xw!.data as Float32Array)]).toEqual([-2, -2]);
    expect(() => withOutputs(graph(), ['nothing'])).toThrow('nothing');
  });

  test('what no output needs goes; inputs stay', () => {
    const pruned = pruneUnused(graph());
    expect(pruned.nodes.map(({ opType }) => opType)).toEqual(['MatMul', 'Tanh', 'Add']);
    expect([...pruned.initializers.keys()]).toEqual(['w', 'b']);
    expect([...pruned.types.keys()].sort()).toEqual(['b', 'h', 'w', 'x', 'xw', 'y']);
    expect(pruneUnused(withOutputs(graph(), ['b'])).inputs).toHaveLength(1);
  });

  test('what a subgraph reads from outside is needed', () => {
    const inner: Graph = {
      ...graph(),
      inputs: [],
      initializers: new Map(),
      nodes: [],
      outputs: [{ name: 'h', dtype: 'float32', shape: undefined }],
    };
    const node = {
      name: 'if',
      opType: 'If',
      domain: '',
      inputs: ['condition'],
      outputs: ['z'],
      attributes: { then_branch: { kind: 'graph', value: inner }, else_branch: { kind: 'graph', value: inner } },
    } as const;
    const original = graph();
    const branching: Graph = {
      ...original,
      inputs: [...original.inputs, { name: 'condition', dtype: 'bool', shape: [] }],
      nodes: [...original.nodes, node],
      outputs: [{ name: 'z', dtype: 'float32', shape: undefined }],
    };
    expect(pruneUnused(branching).nodes.map(({ opType }) => opType)).toEqual(['MatMul', 'Tanh', 'If']);
    const renamed = renameValues(branching, { h: 'hidden' });
    const branch = renamed.nodes.at(-1)!.attributes.then_branch;
    expect(branch?.kind === 'graph' && branch.value.outputs[0]!.name).toBe('hidden');
    expect(validateGraph(renamed)).toBe(renamed);
    expect(new GraphIndex(branching).consumersOf('h').map(({ opType }) => opType)).toEqual(['Mul', 'Add', 'If']);
  });
});

describe('walking and rewiring', () => {
  test('producers and consumers', () => {
    const index = new GraphIndex(graph());
    expect(index.producerOf('h')?.opType).toBe('Tanh');
    expect(index.producerOf('x')).toBeUndefined();
    expect(index.consumersOf('h').map(({ opType }) => opType)).toEqual(['Mul', 'Add']);
    expect(index.consumersOf('y')).toEqual([]);
  });

  test('a read is replaced everywhere, or where asked', () => {
    const everywhere = replaceInput(graph(), 'h', 'xw');
    expect(new GraphIndex(everywhere).consumersOf('h')).toEqual([]);
    const once = replaceInput(graph(), 'h', 'xw', ({ opType }) => opType === 'Add');
    expect(new GraphIndex(once).consumersOf('xw').map(({ opType }) => opType)).toEqual(['Tanh', 'Add']);
  });

  test('renaming keeps the computation', async () => {
    const renamed = renameValues(graph(), { x: 'input', w: 'x', y: 'result' });
    expect((await run(renamed, { input: x })).result).toEqual((await run(graph(), { x })).y);
    expect(() => renameValues(graph(), { x: 'w' })).toThrow('in use');
  });

  test('parameters are the floating-point weights, without scalar constants', () => {
    expect(parameterCount(graph())).toBe(6);
  });
});

describe('checks', () => {
  test('nodes in any order are sorted; those in order keep it', () => {
    const original = graph();
    expect(sortNodes(original).nodes).toEqual(original.nodes);
    const reversed = sortNodes({ ...original, nodes: [...original.nodes].reverse() });
    const position = (name: string) => reversed.nodes.findIndex(({ outputs }) => outputs.includes(name));
    for (const node of reversed.nodes) {
      for (const input of node.inputs) expect(position(input)).toBeLessThan(position(node.outputs[0]!));
    }
  });

  test('a chain of 20,000 nodes does not exhaust the stack', () => {
    const nodes = Array.from({ length: 20_000 }, (_, i) => ({
      name: `n${i}`,
      opType: 'Neg',
      domain: '',
      inputs: [i === 0 ? 'x' : `v${i - 1}`],
      outputs: [`v${i}`],
      attributes: {},
    }));
    expect(sortNodes({ ...graph(), nodes: [...nodes].reverse() }).nodes[0]!.name).toBe('n0');
  });

  test.each<[string, Parameters<typeof tensor>]>([
    ['NaN', ['float32', [2, 2], Float32Array.of(0, 1, Number.NaN, 3)]],
    ['Infinity', ['float64', [3], Float64Array.of(0, 1, Number.POSITIVE_INFINITY)]],
    ['half-precision infinity', ['float16', [3], Uint16Array.of(0x3c00, 0x7bff, 0x7c00)]],
  ])('%s among the weights is found, with its index', (_, weight) => {
    checkFinite(graph());
    const damaged: Graph = { ...graph(), initializers: new Map([['layer.weight', tensor(...weight)]]) };
    expect(() => checkFinite(damaged)).toThrow('Element 2 of "layer.weight"');
    expect(() => checkFinite(damaged)).toThrow(expect.objectContaining({ code: 'TANDEM_WEIGHTS_NOT_FINITE' }));
  });
});
