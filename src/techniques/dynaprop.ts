/**
 * DynaProp (TransCODE: Tuli & Jha, IEEE TCAD 2023): DynaTran's magnitude rule inside training, on forward activations, on
 * the gradients that travel back, and on the gradients of the weights.
 *
 * The published code prunes the gradients of parameters after clipping, just before the optimiser's step; activation
 * gradients pruned on their way are recalled from the paper. Here all are pruned where they are made: norm, clipping and
 * AdamW see pruned gradients, and an absolute τ_T holds for gradients as they are before clipping. Where a step averages
 * several batches, each one's gradients are pruned.
 */
import { z } from 'zod';
import type { GraphBuilder } from '../graph/builder.js';
import type { Graph } from '../graph/types.js';
import { attentionOf } from './attention-layers.js';
import { forTraining, type PruningRules, thresholdsName } from './dynaprop-training.js';
import { asInference, dynatran, prunedGraph, type Rule } from './dynatran.js';
import { effectiveThreshold, prunedBelow } from './magnitude.js';
import type { InferenceRewrite, Parameters, ProfiledRule, Technique } from './types.js';

const rule = (what: string, symbol: string) =>
  z
    .strictObject({
      threshold: z
        .number()
        .min(0)
        .optional()
        .describe(`${symbol}: ${what} of at most this magnitude become 0 at every step; 0 prunes nothing`),
      sparsity: z
        .number()
        .gt(0)
        .lt(1)
        .optional()
        .describe(
          'instead: share of zeros that each matrix is to have; its threshold follows what earlier steps measured',
        ),
    })
    .refine(({ threshold, sparsity }) => (threshold === undefined) !== (sparsity === undefined), {
      error: 'needs exactly one of `threshold` and `sparsity`',
    });

export const dynapropOptions = z.strictObject({
  forward: rule('activations', 'τ_I')
    .default({ threshold: 0.02 })
    .describe('pruning of forward activations (the published experiments step τ_I by 0.02)'),
  gradients: rule('gradients of activations', 'τ_A')
    .default({ sparsity: 0.5 })
    .describe('pruning of the gradients of those activations'),
  parameters: rule('gradients of weights', 'τ_T')
    .default({ sparsity: 0.5 })
    .describe('pruning of the gradients of weight matrices, before their norm is taken (embeddings are left alone)'),
  inference: z
    .enum(['dense', 'pruned'])
    .default('pruned')
    .describe(
      'the adapted model runs as it is, or with its activations pruned by the thresholds that training ended with',
    ),
});
export type DynapropOptions = z.infer<typeof dynapropOptions>;

export const dynaprop = {
  name: 'dynaprop',
  description: 'DynaProp (TransCODE): prune activations and gradients by magnitude while training.',
  schema: dynapropOptions,
  forTraining: (graph: Graph, { forward, gradients, parameters }: DynapropOptions) =>
    forTraining(graph, { forward, gradients, parameters } satisfies PruningRules),
  calibrated(graph: Graph) {
    attentionOf(graph);
    return [];
  },
  forInference,
  curves,
} satisfies Technique<DynapropOptions>;

/** Thresholds and k of the curves: a few, since training has taken its time already. */
const GRID = [0, 0.01, 0.02, 0.04, 0.06, 0.1];
const KS = [2, 8, 32];

/** What the model that was trained this way loses at other thresholds than its own, and by top-k. */
function curves(graph: Graph, { forward }: DynapropOptions, tokens: number): ProfiledRule[] {
  const grid = [...GRID, ...(forward.threshold === undefined ? [] : [forward.threshold])];
  const [own, topK] = dynatran.profiler.rules(graph, dynatran.schema.parse({ threshold: 0, grid, topK: KS }), tokens);
  return [{ ...own!, rule: 'dynaprop' }, topK!];
}

/** DynaTran, with a threshold for each matrix where training steered them. */
function forInference(graph: Graph, { forward, inference }: DynapropOptions, parameters: Parameters): InferenceRewrite {
  const found = parameters.get(thresholdsName('forward'));
  const steered = inference === 'pruned' && forward.sparsity !== undefined && found;
  if (!steered) {
    const threshold = inference === 'dense' ? 0 : (forward.threshold ?? 0);
    return dynatran.forInference(graph, dynatran.schema.parse({ threshold }));
  }
  return asInference(graph, prunedGraph(graph, matrixByMatrix), { [thresholdsName('forward')]: found });
}

/** Thresholds of training are in units of the pruned values. */
function matrixByMatrix(b: GraphBuilder): Rule {
  const thresholds = effectiveThreshold(b, b.input(thresholdsName('forward'), 'float32', ['matrices']));
  let index = 0;
  return (value, _matrix, _scale, hint) =>
    prunedBelow(b, value, b.op('Gather', [thresholds, b.scalar('int64', index++)]), 1, hint);
}
