import { describe, expect, test } from 'vitest';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import { collate } from '../../src/runtime/collate.js';
import { checkTechnique, type TechniqueSubject } from '../../src/techniques/conformance.js';
import { dynaprop } from '../../src/techniques/dynaprop.js';
import { leopard } from '../../src/techniques/leopard.js';
import { techniques } from '../../src/techniques/registry.js';
import type { Technique } from '../../src/techniques/types.js';
import { run } from '../graph/runtime.js';

const config = { layers: 2, hidden: 8, heads: 2, intermediate: 16, vocabulary: 12, positions: 8, segments: 2 };
const { graph } = buildBert({ ...config, epsilon: 1e-12, activation: 'gelu' }, freshBertWeights(1), 2);
const rows = [
  [1, 5, 9, 2],
  [1, 2],
];
const subject = (options: unknown): TechniqueSubject => ({
  options,
  graph,
  feeds: collate(rows),
  lengths: rows.map(({ length }) => length),
  run,
});

/** Options of techniques that have no defaults for all of them. */
const REQUIRED: Readonly<Record<string, unknown>> = { dynatran: { threshold: 0.01 } };

test.each(techniques.list().map((technique) => [technique.name, technique] as const))(
  '%s keeps what techniques promise',
  async (_, technique) => {
    expect(await checkTechnique(technique, subject(REQUIRED[technique.name] ?? {}))).toEqual([]);
  },
);

test.each([
  { granularity: 'head' },
  { emptyRow: 'drop' },
  { queryKeyBits: 8, valueBits: 8 },
  { anneal: { sharpness: 0.1, depth: 10, steepness: 1, share: 0.5 } },
])('leopard keeps it with %o', async (options) => {
  expect(await checkTechnique(leopard, subject(options))).toEqual([]);
});

test.each([
  { forward: { sparsity: 0.5 } },
  { gradients: { threshold: 1e-3 }, parameters: { threshold: 1e-4 } },
  { inference: 'dense' },
])('dynaprop keeps it with %o', async (options) => {
  expect(await checkTechnique(dynaprop, subject(options))).toEqual([]);
});

test('a technique without parameters keeps it too', async () => {
  const learnsNothing: Technique = {
    ...(leopard as Technique),
    forTraining: (model, options) => ({
      ...leopard.forTraining(model, options as never),
      trainable: [],
      learningRate: 0,
      learnedUntil: 1,
    }),
  };
  expect(await checkTechnique(learnsNothing, subject({}))).toEqual([]);
});

describe('a technique that breaks a promise is told which', () => {
  const broken = (change: Partial<Technique>) => checkTechnique({ ...(leopard as Technique), ...change }, subject({}));

  test('options', async () => {
    expect(await checkTechnique(leopard, subject({ depth: -1 }))).toEqual([expect.stringContaining('its schema')]);
  });

  test('an input that is not fed', async () => {
    const forTraining: Technique['forTraining'] = (model, options) => {
      const rewrite = leopard.forTraining(model, options as never);
      return { ...rewrite, feeds: (step, steps) => (step === 4 ? {} : rewrite.feeds(step, steps)) };
    };
    expect(await broken({ forTraining })).toEqual([expect.stringContaining('feeds(4, 5)')]);
  });

  test('records in the wrong place', async () => {
    const forInference: Technique['forInference'] = (model, options, parameters, ranges) => {
      const rewrite = leopard.forInference(model, options as never, parameters, ranges);
      return {
        ...rewrite,
        heads: rewrite.heads.slice(1),
        record: (fetched, lengths) => rewrite.record(fetched, lengths, 0),
      };
    };
    const found = await broken({ forInference });
    expect(found).toContain('records go sequence by sequence, from the first number given');
    expect(found).toContain('there is a rule for layer 0, head 0');
  });
});
