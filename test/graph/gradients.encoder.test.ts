import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { differentiate } from '../../src/graph/gradients/index.js';
import { floatTensor, int64Tensor, sizeOf } from '../../src/graph/types.js';
import { encoderWithLoss } from './encoder.js';
import { load, random } from './gradient-check.js';

const SIZES = { layers: 2, hidden: 32, heads: 2, feedForward: 64, vocabulary: 100, positions: 16, classes: 3 };
const [BATCH, TOKENS] = [4, 12];

function example() {
  const next = random(11);
  const below = (limit: number) => Math.floor(next(0, limit));
  const ids = Array.from({ length: BATCH }, () => Array.from({ length: TOKENS }, () => below(SIZES.vocabulary)));
  const lengths = Array.from({ length: BATCH }, () => 3 + below(TOKENS - 2));
  const mask = lengths.map((length) => Array.from({ length: TOKENS }, (_, i) => (i < length ? 1 : 0)));
  const labels = Array.from({ length: BATCH }, () => below(SIZES.classes));
  const feeds = {
    input_ids: int64Tensor(ids.flat(), [BATCH, TOKENS]),
    attention_mask: floatTensor(mask.flat(), [BATCH, TOKENS]),
    labels: int64Tensor(labels),
  };
  return { ids, mask, labels, feeds };
}

const PYTHON = '/usr/bin/python3';
const torch = spawnSync(PYTHON, ['-c', 'import torch']).status === 0;
if (!torch) console.log(`Skipped: comparison of an encoder's gradients with PyTorch (${PYTHON} has no torch).`);

describe('a two-layer BERT-like encoder', () => {
  const { graph, weights } = encoderWithLoss(SIZES, 5);
  const derived = differentiate(graph, { loss: 'loss', wrt: weights });

  test('knows the type of every gradient', () => {
    const shapes = Object.fromEntries(derived.outputs.map(({ name, shape }) => [name, shape]));
    for (const name of weights) expect(shapes[`grad:${name}`]).toEqual(graph.initializers.get(name)!.shape);
  });

  test.skipIf(!torch)("has PyTorch's loss and gradients", async () => {
    const { ids, mask, labels, feeds } = example();
    const fetched = await (await load(derived))(feeds);
    const folder = mkdtempSync(join(tmpdir(), 'gradients-'));
    try {
      const files = { input: join(folder, 'weights'), output: join(folder, 'gradients') };
      const shapes = weights.map((name) => [name, graph.initializers.get(name)!.shape] as const);
      const bytes = weights.map((name) => Buffer.from((graph.initializers.get(name)!.data as Float32Array).buffer));
      writeFileSync(files.input, Buffer.concat(bytes));
      const request = join(folder, 'request.json');
      writeFileSync(request, JSON.stringify({ ...files, sizes: SIZES, weights: shapes, ids, mask, labels }));
      execFileSync(PYTHON, [join(import.meta.dirname, 'encoder_reference.py'), request]);
      const file = readFileSync(files.output);
      const reference = new Float32Array(file.buffer, file.byteOffset, file.length / 4);
      expect(fetched.loss!.data[0]).toBeCloseTo(reference[0]!, 5);
      let at = 1;
      for (const [name, shape] of shapes) {
        const expected = reference.subarray(at, at + sizeOf(shape));
        at += expected.length;
        const actual = fetched[`grad:${name}`]!.data as Float32Array;
        expect({ name, error: relativeError(actual, expected) }).toEqual({ name, error: expect.closeTo(0, 4) });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** ‖actual − expected‖ / ‖expected‖, with a floor for gradients that vanish but for rounding (a key's bias). */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  const norm = (values: Float32Array) => Math.hypot(...values);
  return norm(actual.map((value, i) => value - expected[i]!)) / Math.max(norm(expected), 1e-5);
}
