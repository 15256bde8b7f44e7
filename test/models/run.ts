import { withOutputs } from '../../src/graph/edit.js';
import type { Graph } from '../../src/graph/types.js';
import { collate } from '../../src/runtime/collate.js';
import { Session } from '../../src/runtime/session.js';

/** Values of a graph for a batch of token ids, as plain numbers. */
export async function valuesOf(
  graph: Graph,
  rows: readonly (readonly number[])[],
  names: readonly string[],
): Promise<Record<string, number[]>> {
  const session = await Session.create(withOutputs(graph, names), { threads: 1 });
  try {
    const fetched = await session.run(collate(rows));
    return Object.fromEntries(names.map((name) => [name, Array.from(fetched[name]!.data as Float32Array)]));
  } finally {
    await session.dispose();
  }
}

export const largestDifference = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), a.length === b.length ? 0 : Infinity);
