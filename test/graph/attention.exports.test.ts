/** Attention as PyTorch's exporter writes it: reading, shapes, round trip and the pattern, on real files. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readModelFile } from '../../src/graph/onnx/files.js';
import { encodeModel } from '../../src/graph/onnx/index.js';
import { findAttention } from '../../src/graph/patterns/attention.js';
import { floatTensor } from '../../src/graph/types.js';
import { checkMeaning } from './attention-meaning.js';
import { run } from './runtime.js';

const PYTHON = '/usr/bin/python3';

function hasTorch(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import torch.onnx'], { stdio: 'ignore' });
    return true;
  } catch {
    console.log(`Skipped: ${PYTHON} has no PyTorch.`);
    return false;
  }
}

const FEEDS = {
  x: floatTensor(
    Array.from({ length: 2 * 4 * 16 }, (_, i) => Math.sin(i)),
    [2, 4, 16],
  ),
  mask: floatTensor([1, 1, 1, 0, 1, 1, 1, 1], [2, 4]),
};
/** 1/√headDim, with 2 heads of 8. */
const USUAL = 1 / Math.sqrt(8);

describe.skipIf(!hasTorch())('models exported by PyTorch', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tandem-exports-'));
    execFileSync(PYTHON, [join(import.meta.dirname, 'attention_exports.py'), folder], { stdio: 'ignore' });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    { name: 'additive', layers: 1, scale: USUAL, source: 'self', steps: 'Div Add' },
    { name: 'causal', layers: 1, scale: USUAL, source: 'self', steps: 'Mul Where Where' },
    { name: 'both-scaled', layers: 1, scale: USUAL, source: 'self', steps: 'Add' },
    { name: 'cross', layers: 1, scale: 0.5, source: 'cross', steps: 'Div' },
    { name: 'packed', layers: 1, scale: USUAL, source: 'self', steps: 'Mul Add' },
    { name: 'encoder', layers: 2, scale: USUAL, source: 'self', steps: 'Mul Add' },
  ])('$name', async ({ name, layers, scale, source, steps }) => {
    const path = join(folder, `${name}.onnx`);
    const graph = readModelFile(path);
    expect(graph.types.get('y')).toEqual({ dtype: 'float32', shape: ['batch', 'tokens', 16] });

    // Dropout in training mode draws at random: the encoder's values are not comparable between runs.
    const random = graph.nodes.some(({ opType, inputs }) => opType === 'Dropout' && inputs.length === 3);
    if (!random) expect(await run(encodeModel(graph), FEEDS)).toEqual(await run(readFileSync(path), FEEDS));

    const blocks = findAttention(graph);
    expect(blocks).toHaveLength(layers);
    for (const block of blocks) {
      expect(block.effectiveScale).toBeCloseTo(scale, 6);
      expect(block).toMatchObject({ source, heads: 2, headDim: 8 });
      expect(block.steps.map(({ node }) => node.opType).join(' ')).toBe(steps);
      await checkMeaning(graph, block, FEEDS);
    }
  });
});
