/** What the fields of an AttentionBlock promise, computed by ONNX Runtime. */
import { expect } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.js';
import { withOutputs } from '../../src/graph/edit.js';
import type { AttentionBlock } from '../../src/graph/patterns/attention.js';
import { keyRows, replaySteps } from '../../src/graph/patterns/replay.js';
import type { Graph } from '../../src/graph/types.js';
import { run, type Values } from './runtime.js';

/**
 * query · keyᵀ = rawScores; the steps on rawScores · scale give softmaxInput; probabilities · value = context.
 * Recomputes each beside the original.
 */
export async function checkMeaning(graph: Graph, block: AttentionBlock, feeds: Values): Promise<void> {
  const b = new GraphBuilder(graph.name, graph);
  const keys = keyRows(b, block);
  const rank = b.shapeOf(keys).length;
  const transposed = b.transpose(keys, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
  const pairs: [string, string][] = [
    [block.rawScores, b.matmul(block.query, transposed)],
    [block.softmaxInput, replaySteps(b, block, b.mul(block.rawScores, b.constant(block.scale)))],
    [block.probabilities, b.softmax(block.softmaxInput, -1)],
    [block.context, b.matmul(block.contextProbabilities, block.value)],
  ];
  const values = await run(withOutputs(b.finish(), pairs.flat()), feeds);
  for (const [original, again] of pairs) {
    expect(values[again]!.shape).toEqual(values[original]!.shape);
    const [wanted, got] = [values[original]!.data as Float32Array, values[again]!.data as Float32Array];
    // Masked scores may be −∞ on both sides.
    const near = (a: number, b: number) => a === b || Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(a));
    const apart = wanted.findIndex((value, i) => !near(value, got[i]!));
    expect(apart, `${original} is ${wanted[apart]}, recomputed ${got[apart]}`).toBe(-1);
  }
}

/** The one element of a list. */
export function only<T>(list: readonly T[]): T {
  expect(list).toHaveLength(1);
  return list[0]!;
}
