import { expect, test } from 'vitest';
import { runText } from '../../src/cli/results.js';
import type { RunResult } from '../../src/experiment/result.js';

const head = {
  layer: 0,
  head: 0,
  threshold: 0,
  scores: 1,
  survivors: 1,
  pruningRate: 0,
  meanBits: 6,
  emptyRows: 0,
  rows: 1,
};
const result = (part: Partial<RunResult>): RunResult =>
  ({
    name: 'run',
    technique: { name: 'leopard', options: {} },
    accuracy: { baseline: 0.9, adapted: 0.9, examples: 10 },
    pruningRate: 0.25,
    meanBits: 6,
    heads: [],
    machines: [],
    ...part,
  }) as Partial<RunResult> as RunResult;

test.each([
  ['scores of attention heads', { heads: [head] }, ['scores pruned', 'mean bits a score']],
  ['activations', {}, ['activations that are zero']],
  ['what the technique says', { heads: [head], pruned: 'values never used' }, ['values never used']],
])('the text of a run names what was pruned: %s', (_, part, named) => {
  const text = runText(result(part), 'runs/run', 'table');
  const names = ['scores pruned', 'mean bits a score', 'activations that are zero', 'values never used'];
  expect(names.filter((name) => text.includes(name))).toEqual(named);
  expect(text).toMatch(/25(\.0)?[\s\u00a0]%/);
});
