/** DynaProp's loss and gradients against PyTorch, whose pruning is written as autograd functions. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Tensor } from '../../src/graph/types.js';
import { productWeights } from '../../src/techniques/pruning-points.js';
import { encoder, feedsOf, rewriteOf, SIZES, trainerOf } from './training-setup.js';

const python = '/usr/bin/python3';
const hasTorch = existsSync(python) && spawnSync(python, ['-c', 'import torch']).status === 0;
if (!hasTorch) console.warn(`The comparison with PyTorch is skipped: ${python} has no torch.`);
const script = fileURLToPath(new URL('./dynaprop_reference.py', import.meta.url));

type Nested = number | Nested[];
function nested({ data, shape }: Tensor): Nested {
  const flat = Array.from(data as ArrayLike<number | bigint>, Number);
  const [rows, columns] = shape as [number, number?];
  if (columns === undefined) return flat;
  return Array.from({ length: rows }, (_, row) => flat.slice(row * columns, (row + 1) * columns));
}

const flat = (values: Nested): number[] => (Array.isArray(values) ? values.flatMap(flat) : [values]);

const CASES = [
  { forward: 0, gradients: 0, parameters: 0 },
  { forward: 0.08, gradients: 0, parameters: 0 },
  { forward: 0, gradients: 2e-3, parameters: 0 },
  { forward: 0, gradients: 0, parameters: 3e-3 },
  { forward: 0.08, gradients: 2e-3, parameters: 3e-3 },
];

test.skipIf(!hasTorch)(
  'loss and gradients equal those of PyTorch, whatever is pruned',
  async () => {
    const { graph, trainable } = encoder();
    const feeds = feedsOf();
    const pruned = productWeights(graph);
    const task = {
      weights: Object.fromEntries(trainable.map((name) => [name, nested(graph.initializers.get(name)!)])),
      ids: nested(feeds.input_ids!),
      mask: nested(feeds.attention_mask!),
      labels: nested(feeds.labels!),
      heads: SIZES.heads,
      layers: SIZES.layers,
      pruned,
      cases: CASES,
    };
    const answer = spawnSync(python, [script], { input: JSON.stringify(task), encoding: 'utf8' });
    expect(answer.stderr).toBe('');
    const answers = JSON.parse(answer.stdout) as { loss: number; gradients: Record<string, Nested> }[];

    for (const [at, thresholds] of CASES.entries()) {
      const rule = (kind: keyof typeof thresholds) => ({ threshold: thresholds[kind] });
      const rules = { forward: rule('forward'), gradients: rule('gradients'), parameters: rule('parameters') };
      const rewrite = rewriteOf(graph, rules);
      const trainer = await trainerOf(trainable, rewrite.graph, rewrite);
      const names = trainable.map((name) => `grad:${name}`);
      const fetched = await trainer.observe({ ...feeds, ...rewrite.feeds(0, 1) }, ['loss', ...names]);
      await trainer.dispose();
      expect(Number(fetched.loss!.data[0])).toBeCloseTo(answers[at]!.loss, 5);
      let zeros = 0;
      for (const name of trainable) {
        const found = Array.from(fetched[`grad:${name}`]!.data as Float32Array);
        const wanted = flat(answers[at]!.gradients[name]!);
        const largest = Math.max(...wanted.map(Math.abs), 1e-3);
        const missed = wanted.map((value, i) => Math.abs(found[i]! - value));
        expect(Math.max(...missed), `${name} with ${JSON.stringify(thresholds)}`).toBeLessThan(1e-4 * largest);
        if (pruned.includes(name)) zeros += found.filter((value) => value === 0).length;
      }
      if (thresholds.parameters > 0) expect(zeros).toBeGreaterThan(200);
    }
  },
  60_000,
);
