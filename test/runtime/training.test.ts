import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { floatTensor, type Graph, int } from '../../src/graph/types.js';
import { Trainer } from '../../src/runtime/trainer.js';
import type { OptimizerOptions } from '../../src/runtime/types.js';

const optimizer: OptimizerOptions = {
  groups: [{ match: /./, learningRate: 0.05, weightDecay: 0 }],
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  clipNorm: 0,
  warmup: 0,
  schedule: 'constant',
  accumulate: 1,
};

/** loss = mean (x·w + b − y)² */
function regression(): Graph {
  const b = new GraphBuilder('regression');
  const x = b.input('x', 'float32', ['batch', 2]);
  const y = b.input('y', 'float32', ['batch', 1]);
  const w = b.initializer('w', floatTensor([0, 0], [2, 1]));
  const bias = b.initializer('b', floatTensor([0]));
  const error = b.sub(b.add(b.matmul(x, w), bias), y, 'error');
  b.output(b.op('ReduceMean', [b.mul(error, error)], { keepdims: int(0) }, 'loss'));
  return b.finish();
}

describe('Trainer', () => {
  it('fits a line', async () => {
    const trainer = await Trainer.create({
      graph: regression(),
      trainable: ['w', 'b'],
      loss: 'loss',
      optimizer,
      steps: 400,
    });
    const x = floatTensor([0, 0, 1, 0, 0, 1, 1, 1], [4, 2]);
    const y = floatTensor([0.5, 2.5, -0.5, 1.5], [4, 1]);
    let loss = 0;
    for (let i = 0; i < 400; i++) ({ loss } = await trainer.step({ x, y }));
    expect(loss).toBeLessThan(1e-4);
    const { data } = trainer.parameters().get('w')!;
    expect(data[0]).toBeCloseTo(2, 1);
    expect(data[1]).toBeCloseTo(-1, 1);
    await trainer.dispose();
  });
});
