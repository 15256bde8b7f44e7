/**
 * DynaTran (Tuli & Jha, AccelTran, 2022; TransCODE, 2023): every activation matrix of a forward pass loses its elements of
 * magnitude at most τ. Nothing is trained: τ is an input of the graph, chosen from curves that were measured before.
 */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import { floatTensor, type Graph, int64Tensor } from '../graph/types.js';
import type { Feeds } from '../runtime/types.js';
import { ACTIVATIONS } from '../trace/matrices.js';
import { attentionOf, rewire, withoutDeadNodes } from './attention-layers.js';
import { aboveKthLargest, countZeros, effectiveThreshold, prunedBelow, withPrunedWeights } from './magnitude.js';
import { maskRecords, type ObservedMatrix } from './mask-trace.js';
import { thresholdFor } from './profile.js';
import { findPruningPoints, type PruningPoints } from './pruning-points.js';
import type { InferenceRewrite, ProfiledRule, SparsityCounts, Technique } from './types.js';

/** 0 … 0.1 in steps of 0.005, as the published evaluation of AccelTran. */
const GRID = Array.from({ length: 21 }, (_, step) => step / 200);
/** 2^0 … 2^9, likewise. */
const KS = Array.from({ length: 10 }, (_, power) => 2 ** power);

const threshold = z.number().min(0);
export const dynatranOptions = z
  .strictObject({
    threshold: threshold
      .optional()
      .describe(
        'τ: activations of at most this magnitude become 0; 0 prunes nothing. One of threshold, sparsity, accuracyLoss',
      ),
    sparsity: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe('instead: share of zeros in all pruned activations that τ is to give, on the validation split'),
    accuracyLoss: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        'instead: the largest loss of accuracy, a share (0.005: half a point), on the validation split; τ is such that no larger share of the predictions changes',
      ),
    weightThreshold: threshold
      .optional()
      .describe('weights of at most this magnitude become 0 too, once (published for BERT-Base: 0.025)'),
    grid: z
      .array(threshold)
      .min(2)
      .default(GRID)
      .describe('thresholds at which sparsity and accuracy are measured (published: 0 to 0.1 in steps of 0.005)'),
    topK: z
      .array(z.int().positive())
      .default(KS)
      .describe('k of the top-k baseline; those above the longest text are left out (published: 1 to 512, doubling)'),
  })
  .refine(({ threshold, sparsity, accuracyLoss }) => [threshold, sparsity, accuracyLoss].filter(isGiven).length === 1, {
    error: 'needs exactly one of `threshold`, `sparsity` and `accuracyLoss`',
  });
export type DynatranOptions = z.infer<typeof dynatranOptions>;

const isGiven = (value: unknown): boolean => value !== undefined;

/** Inputs of rewritten graphs: float32 and int64 scalars. */
export const THRESHOLD_INPUT = 'dynatran.threshold';
export const TOP_K_INPUT = 'dynatran.k';

export const dynatran = {
  name: 'dynatran',
  description: 'DynaTran (AccelTran, TransCODE): zero every activation whose magnitude is at most a threshold.',
  schema: dynatranOptions,
  forTraining: () => undefined,
  calibrated(graph: Graph) {
    attentionOf(graph);
    return [];
  },
  forInference,
  profiler: { input: THRESHOLD_INPUT, rules, settle },
} satisfies Technique<DynatranOptions>;

export interface PrunedGraph {
  readonly graph: Graph;
  readonly points: PruningPoints;
  /** Where each matrix is read once it is pruned. */
  readonly observed: readonly ObservedMatrix[];
  readonly counts: SparsityCounts;
}

/**
 * Prunes a model's activations and counts their zeros.
 * @throws TANDEM_MODEL_UNSUPPORTED
 */
export function prunedGraph(graph: Graph, ruleOf: (b: GraphBuilder) => Rule): PrunedGraph {
  const points = findPruningPoints(graph, attentionOf(graph));
  const b = new GraphBuilder(graph.name, graph);
  const replaced = new Map<string, string>();
  const prune = ruleOf(b);
  const observed = points.matrices.map(({ layer, matrix, value, layout, scale, pruned }) => {
    const after = pruned ? prune(value, matrix, scale, `layer${layer}.dynatran.${matrix}`) : value;
    if (after !== value) replaced.set(value, after);
    return { layer, matrix, layout, observed: after };
  });
  const counted = observed.filter((_, i) => points.matrices[i]!.pruned);
  const counts = countZeros(
    b,
    counted.map(({ observed: value, ...point }) => ({ ...point, value })),
    'dynatran',
  );
  return { graph: rewire(b, graph, replaced), points, observed, counts };
}

/** Prunes a matrix, in their order: gives the value that takes its place. */
export type Rule = (value: string, matrix: string, scale: number, hint: string) => string;

/** By the input `dynatran.threshold`. */
function magnitudeRule(b: GraphBuilder): Rule {
  const used = effectiveThreshold(b, b.input(THRESHOLD_INPUT, 'float32', []));
  return (value, _, scale, hint) => prunedBelow(b, value, used, scale, hint);
}

/** By the input `dynatran.k`; probabilities alone. */
function topKRule(b: GraphBuilder): Rule {
  const k = b.input(TOP_K_INPUT, 'int64', []);
  return (value, matrix, _, hint) =>
    matrix === ACTIVATIONS.probabilities ? aboveKthLargest(b, value, k, hint) : value;
}

export const thresholdFeeds = (value: number): Feeds => ({ [THRESHOLD_INPUT]: floatTensor([value], []) });
export const topKFeeds = (k: number): Feeds => ({ [TOP_K_INPUT]: int64Tensor([k], []) });

function forInference(graph: Graph, { threshold, weightThreshold }: DynatranOptions): InferenceRewrite {
  if (threshold === undefined) {
    throw new TandemError('TANDEM_INTERNAL', 'The threshold is not chosen yet: settle the options with a profile.');
  }
  const lean = weightThreshold === undefined ? graph : withPrunedWeights(graph, weightThreshold);
  return asInference(lean, prunedGraph(lean, magnitudeRule), thresholdFeeds(threshold));
}

type CountingRewrite = InferenceRewrite & { readonly counts: SparsityCounts };

/** @param lean the model that was pruned */
export function asInference(
  lean: Graph,
  { graph: rewritten, points, observed, counts }: PrunedGraph,
  feeds: Feeds,
): CountingRewrite {
  const weights = points.weights.map((point) => ({ ...point, tensor: lean.initializers.get(point.weight)! }));
  const kept = [...observed.map((one) => one.observed), counts.zeros, counts.elements];
  return {
    graph: withoutDeadNodes(rewritten, kept),
    headsPerLayer: points.headsPerLayer,
    heads: [],
    feeds,
    observed: observed.map((one) => one.observed),
    counts,
    record: (fetched, lengths, firstSequence) => maskRecords(observed, weights, fetched, lengths, firstSequence),
  };
}

function rules(graph: Graph, { weightThreshold, grid, topK }: DynatranOptions, tokens: number): ProfiledRule[] {
  const values = sorted([0, ...grid]);
  const byMagnitude = (rule: string, model: Graph): ProfiledRule => ({
    rule,
    parameter: 'τ',
    values,
    rewrite: movable(model, magnitudeRule, thresholdFeeds),
  });
  const plain = byMagnitude('dynatran', graph);
  const ks = sorted(topK.filter((k) => k <= tokens));
  const topped: ProfiledRule = {
    rule: 'top-k',
    parameter: 'k',
    values: ks,
    rewrite: movable(graph, topKRule, topKFeeds),
  };
  const compared = ks.length > 0 ? [plain, topped] : [plain];
  if (weightThreshold === undefined) return compared;
  return [byMagnitude('dynatran + weight pruning', withPrunedWeights(graph, weightThreshold)), ...compared];
}

/** The model pruned by a rule, rewritten once, at any value of the rule's parameter. */
function movable(
  model: Graph,
  rule: (b: GraphBuilder) => Rule,
  feeds: (value: number) => Feeds,
): ProfiledRule['rewrite'] {
  const rewrite = asInference(model, prunedGraph(model, rule), {});
  return (value) => ({ ...rewrite, feeds: feeds(value) });
}

const sorted = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

function settle(
  { threshold, sparsity, accuracyLoss, ...rest }: DynatranOptions,
  profile: Parameters<typeof thresholdFor>[0],
): { options: DynatranOptions; parameter: number } {
  const target = sparsity === undefined ? { accuracyLoss: accuracyLoss ?? 0 } : { sparsity };
  const parameter = threshold ?? thresholdFor(profile, target);
  return { options: { ...rest, threshold: parameter }, parameter };
}
