/** A small encoder with its loss, and trainers of it with and without DynaProp. */
import { GraphBuilder } from '../../src/graph/builder.js';
import { addCrossEntropy } from '../../src/graph/losses.js';
import type { Graph } from '../../src/graph/types.js';
import { buildBert, freshBertWeights } from '../../src/models/bert.js';
import { collate, labelTensor } from '../../src/runtime/collate.js';
import { Trainer } from '../../src/runtime/trainer.js';
import type { Feeds, ParameterGroup } from '../../src/runtime/types.js';
import { dynaprop } from '../../src/techniques/dynaprop.js';
import type { TrainingRewrite } from '../../src/techniques/types.js';

/** Heads of width 4: their scale, 1/2, and its products are exact. */
export const SIZES = { layers: 2, hidden: 8, heads: 2, intermediate: 16, vocabulary: 12, positions: 8, segments: 2 };

/** Weights ten times as large as customary, so that activations and gradients are well away from rounding. */
export function encoder(): { graph: Graph; trainable: string[] } {
  const weights = freshBertWeights(3);
  return buildBert(
    { ...SIZES, epsilon: 1e-12, activation: 'gelu' },
    (name, shape) => {
      const weight = weights(name, shape);
      if (name.endsWith('.bias') || name.includes('norm')) return weight;
      return { ...weight, data: (weight.data as Float32Array).map((element) => 10 * element) };
    },
    2,
  );
}

const SENTENCES = [
  [1, 5, 9, 2, 7],
  [1, 2, 3],
  [4, 10, 11, 6],
];
export const LENGTHS = SENTENCES.map(({ length }) => length);
export const feedsOf = (labels: readonly number[] = [0, 1, 1]): Feeds => ({
  ...collate(SENTENCES),
  labels: labelTensor(labels),
});

export const rewriteOf = (graph: Graph, options: unknown): TrainingRewrite =>
  dynaprop.forTraining(graph, dynaprop.schema.parse(options));

export function withLoss(graph: Graph): { graph: Graph; loss: string } {
  const b = new GraphBuilder(graph.name, graph);
  const loss = addCrossEntropy(b, 'logits', b.input('labels', 'int64', ['batch']));
  return { graph: b.finish(), loss };
}

export async function trainerOf(
  trainable: readonly string[],
  graph: Graph,
  rewrite?: TrainingRewrite,
  groups: readonly ParameterGroup[] = [{ match: /./, learningRate: 0.01, weightDecay: 0.01 }],
): Promise<Trainer> {
  return Trainer.create({
    ...withLoss(graph),
    trainable,
    optimizer: {
      groups,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      clipNorm: 1,
      warmup: 0,
      schedule: 'constant',
      accumulate: 1,
    },
    steps: 50,
    gradientRules: rewrite?.gradientRules,
    extras: rewrite?.feedback?.measured ?? [],
    runtime: { threads: 1 },
  });
}
