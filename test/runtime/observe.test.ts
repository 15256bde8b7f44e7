/** Values of a step that is not taken: observed beside the training, which goes on as if nobody had looked. */
import { describe, expect, test } from 'vitest';
import { differentiate } from '../../src/graph/gradients/index.js';
import type { GradientRule } from '../../src/graph/gradients/rule.js';
import { Trainer } from '../../src/runtime/trainer.js';
import { run } from '../graph/runtime.js';
import { batchOf, float32, network, optimizer, trainable } from './fixtures.js';

/** Doubles the gradient that enters tanh, and names it. */
const doubled: GradientRule = ({ b, dy, node }) => [
  () => {
    const twice = b.add(dy, dy);
    const outputs = ['seen'];
    b.append({ name: `${node.name}_seen`, opType: 'Identity', domain: '', inputs: [twice], outputs, attributes: {} });
    return twice;
  },
];
const create = () =>
  Trainer.create({
    graph: network(),
    trainable,
    loss: 'loss',
    optimizer,
    steps: 4,
    gradientRules: { hidden: doubled },
  });

describe('Trainer.observe', () => {
  test('gives values, weights, gradients and what rules made, at the present parameters', async () => {
    const trainer = await create();
    await trainer.step(batchOf([1, 2]));
    const observed = await trainer.observe(batchOf([3, 4]), ['hidden', 'w1', 'grad:w1', 'seen']);
    expect(float32(observed.w1)).toEqual(float32(trainer.parameters().get('w1')));
    expect(observed.seen!.shape).toEqual(observed.hidden!.shape);
    const { input: x, weights: w1 } = { input: float32(batchOf([3, 4]).x), weights: float32(observed.w1) };
    const hidden = (row: number, j: number) => {
      const bias = float32(trainer.parameters().get('b1'))[j]!;
      return Math.tanh([0, 1, 2].reduce((sum, i) => sum + x[row * 3 + i]! * w1[i * 5 + j]!, bias));
    };
    for (const at of [0, 4, 9]) expect(float32(observed.hidden)[at]).toBeCloseTo(hidden(Math.floor(at / 5), at % 5), 5);
    // The rule replaces tanh's own gradient: what it made reaches w1 as xᵀ · seen.
    const seen = float32(observed.seen);
    for (const at of [0, 7, 14]) {
      const [i, j] = [Math.floor(at / 5), at % 5];
      expect(float32(observed['grad:w1'])[at]).toBeCloseTo(x[i]! * seen[j]! + x[3 + i]! * seen[5 + j]!, 5);
    }
    await trainer.dispose();
  });

  test('leaves the training as it is', async () => {
    const [watched, alone] = [await create(), await create()];
    for (let step = 0; step < 4; step++) {
      if (step % 2 === 1) await watched.observe(batchOf([step]), step === 1 ? ['hidden'] : ['seen', 'grad:w2']);
      const [a, b] = [await watched.step(batchOf([step, step + 5])), await alone.step(batchOf([step, step + 5]))];
      expect([a.loss, a.gradNorm]).toEqual([b.loss, b.gradNorm]);
    }
    for (const name of trainable) {
      expect(float32(watched.parameters().get(name))).toEqual(float32(alone.parameters().get(name)));
    }
    await Promise.all([watched.dispose(), alone.dispose()]);
  });
});

describe('further outputs of a gradient graph', () => {
  test('are values of the graph and of rules; a gradient that a rule named keeps both names', async () => {
    const named: GradientRule = ({ b, dy }) => [
      () => {
        b.append({ name: 'n', opType: 'Identity', domain: '', inputs: [dy], outputs: ['mine'], attributes: {} });
        return 'mine';
      },
    ];
    const graph = differentiate(network(), { loss: 'loss', wrt: ['error'], rules: {}, outputs: ['hidden'] });
    expect(graph.outputs.map(({ name }) => name)).toEqual(['loss', 'grad:error', 'hidden']);
    const own = differentiate(network(), {
      loss: 'loss',
      wrt: ['hidden'],
      rules: { hidden: named },
      outputs: ['error'],
    });
    expect(own.outputs.map(({ name }) => name)).toEqual(['loss', 'grad:hidden', 'error']);
    const both = differentiate(network(), {
      loss: 'loss',
      wrt: ['b1', 'w1'],
      rules: { hidden: named },
      outputs: ['mine'],
    });
    const fetched = await run(both, batchOf([1, 2]));
    expect(float32(fetched.mine).length).toBe(10);
  });

  test('that nothing makes are an error', () => {
    const make = () => differentiate(network(), { loss: 'loss', wrt: ['w1'], outputs: ['nowhere'] });
    expect(make).toThrow(expect.objectContaining({ code: 'TANDEM_NO_GRADIENT', place: 'value nowhere' }));
  });
});
