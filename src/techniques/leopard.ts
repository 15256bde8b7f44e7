/**
 * LeOPArd (Li et al., ISCA 2022): attention scores below a learned threshold are pruned at run time.
 *
 * Training replaces the hard comparison by a soft one and adds a differentiable count of the surviving scores to the
 * loss; inference compares integer scores with an integer threshold, exactly as the hardware does.
 */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import { pruneUnused, withOutputs } from '../graph/edit.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import { keyRows, replaySteps } from '../graph/patterns/replay.js';
import { floatTensor, type Graph, int, ints, type Tensor, tensor } from '../graph/types.js';
import { attentionOf, rewire } from './attention-layers.js';
import { leopardRecords } from './leopard-trace.js';
import { integerScores, quantised, quantiserStep } from './quantise.js';
import type { InferenceRewrite, Parameters, Ranges, Technique, TrainingRewrite } from './types.js';

/** Constants of the published method, each with the certainty known of it. */
export const leopardOptions = z.strictObject({
  sharpness: z.number().positive().default(10).describe('s of the soft threshold (published re-implementation: 10)'),
  depth: z
    .number()
    .positive()
    .default(1000)
    .describe('c, what a pruned score is pushed down to (published re-implementation: 1000)'),
  steepness: z.number().positive().default(100).describe('k of the L0 surrogate (recalled: 100)'),
  offset: z.number().positive().default(1).describe('α of the L0 surrogate (recalled: 1)'),
  penaltyWeight: z
    .number()
    .min(0)
    .default(0.1)
    .describe('λ, weight of the count of surviving scores in the loss (tuned per task)'),
  initialThreshold: z
    .number()
    .default(0)
    .describe('threshold at the start, in units of q·k/√d (published re-implementation: 0)'),
  thresholdLearningRate: z
    .number()
    .positive()
    .default(1e-2)
    .describe('learning rate of the thresholds (recalled: 1e-2)'),
  thresholdsUntil: z
    .number()
    .gt(0)
    .max(1)
    .default(0.6)
    .describe(
      'share of the steps over which thresholds learn; afterwards the weights settle around fixed ones (assumed)',
    ),
  granularity: z
    .enum(['layer', 'head'])
    .default('layer')
    .describe('one threshold per layer (assumed published) or per head'),
  queryKeyBits: z.int().min(2).max(16).default(12).describe('width of Q and K, sign included (published: 12)'),
  valueBits: z.int().min(2).max(16).default(16).describe('width of V and of the probabilities (published: 16)'),
  emptyRow: z
    .enum(['keep-largest', 'drop'])
    .default('keep-largest')
    .describe('a row with every score below the threshold keeps its largest score, or attends to nothing'),
  anneal: z
    .strictObject({
      sharpness: z.number().positive().describe('s at the first step'),
      depth: z.number().positive().describe('c at the first step'),
      steepness: z.number().positive().describe('k at the first step'),
      share: z.number().gt(0).max(1).describe('share of the steps after which the final constants hold'),
    })
    .optional()
    .describe('start from soft constants and sharpen them geometrically, so that thresholds feel a gradient from afar'),
});
export type LeopardOptions = z.infer<typeof leopardOptions>;

/** Lowest value a float32 softmax input needs: exp of it is 0. */
const MASKED = -1e9;
/** Below every integer score (16-bit operands, 2^20 dimensions), exact in float64. */
const MASKED_INTEGER = -(2 ** 52);

export const thresholdName = (layer: number): string => `leopard.threshold.layer${layer}`;

export const leopard = {
  name: 'leopard',
  description: 'LeOPArd (ISCA 2022): prune attention scores below thresholds learned with the weights.',
  schema: leopardOptions,
  forTraining,
  calibrated: (graph: Graph, _options?: LeopardOptions) =>
    attentionOf(graph).flatMap(({ query, key, value }) => [query, key, value]),
  forInference,
} satisfies Technique<LeopardOptions>;

/** Shape in which one threshold per layer or per head broadcasts against scores [batch, heads, queries, keys]. */
function thresholdShape(block: AttentionBlock, { granularity }: LeopardOptions): number[] {
  if (granularity === 'layer') return [1, 1, 1, 1];
  return [1, block.heads!, 1, 1];
}

// Training ------------------------------------------------------------------------------------------------------------

const ANNEALED = ['sharpness', 'depth', 'steepness'] as const;
const feedName = (constant: (typeof ANNEALED)[number]): string => `leopard.${constant}`;

function forTraining(graph: Graph, options: LeopardOptions): TrainingRewrite & { readonly penalty: string } {
  const blocks = attentionOf(graph);
  const b = new GraphBuilder(graph.name, graph);
  for (const constant of ANNEALED) b.input(feedName(constant), 'float32', []);
  const perLayer: Survivors[] = [];
  const replaced = new Map<string, string>();
  for (const block of blocks) {
    const shape = thresholdShape(block, options);
    const threshold = b.initializer(
      thresholdName(block.layer),
      floatTensor(new Float32Array(shape.reduce((p, d) => p * d)).fill(options.initialThreshold), shape),
    );
    const score = b.mul(block.rawScores, b.constant(block.scale), `layer${block.layer}.leopard.score`);
    const soft = softThreshold(b, score, threshold);
    replaced.set(block.softmaxInput, replaySteps(b, block, soft));
    const counted = softCount(b, soft, options);
    const visible = visibleScores(b, block);
    perLayer.push(countSurvivors(b, { ...counted, score, threshold, visible }));
    if (options.emptyRow === 'drop') replaced.set(block.context, gatedContext(b, block, counted.count, visible));
  }
  const mean = (part: keyof Survivors) =>
    b.op(
      'Mean',
      perLayer.map((layer) => layer[part]),
      {},
      `leopard.${part}`,
    );
  const penalty = mean('surrogate');
  const monitors = { alive: mean('alive'), band: mean('band') };
  const rewritten = rewire(b, graph, replaced);
  const outputs = [...rewritten.outputs.map(({ name }) => name), penalty, ...Object.values(monitors)];
  return {
    graph: pruneUnused(withOutputs(rewritten, outputs)),
    trainable: blocks.map(({ layer }) => thresholdName(layer)),
    learningRate: options.thresholdLearningRate,
    learnedUntil: options.thresholdsUntil,
    penalty,
    penaltyWeight: options.penaltyWeight,
    feeds: (step, steps) => annealed(options, step, steps),
    monitors,
  };
}

/**
 * SoftThreshold(x) = x·tanh(s(x − Th)) for x ≥ Th, c·tanh(s(x − Th)) below: near the raw score for survivors,
 * near −c for pruned ones.
 */
function softThreshold(b: GraphBuilder, score: string, threshold: string): string {
  const distance = b.sub(score, threshold);
  const squashed = b.op('Tanh', [b.mul(distance, feedName('sharpness'))]);
  const above = b.op('GreaterOrEqual', [distance, b.constant(0)]);
  return b.mul(squashed, b.op('Where', [above, score, feedName('depth')]), 'leopard.soft');
}

/** Scalars of one layer, means over its valid scores. */
interface Survivors {
  /** R = σ(k(SoftThreshold(x) + c − α)), the differentiable count. */
  readonly surrogate: string;
  /** The true share x ≥ Th. */
  readonly alive: string;
  /** Share in the band |k(SoftThreshold(x) + c − α)| ≤ BAND, where alone R has a gradient worth the name. */
  readonly band: string;
}

/** σ′(10) is 4.5e-5, a 5,000th of its peak. */
const BAND = 10;

/** k(SoftThreshold(x) + c − α) of every score, and σ of it: 1 for survivors, 0 for pruned scores. */
function softCount(b: GraphBuilder, soft: string, { offset }: LeopardOptions): { argument: string; count: string } {
  const lifted = b.sub(b.add(soft, feedName('depth')), b.constant(offset));
  const argument = b.mul(lifted, feedName('steepness'));
  return { argument, count: b.op('Sigmoid', [argument]) };
}

/**
 * A row that attends to nothing, softly: its context times the largest count among its visible scores.
 */
function gatedContext(b: GraphBuilder, block: AttentionBlock, count: string, visible: string | undefined): string {
  const seen = visible === undefined ? count : b.mul(count, b.cast(visible, 'float32'));
  // Axes became an input in operator set 18.
  const gate =
    b.opsets['']! < 18
      ? b.op('ReduceMax', [seen], { axes: ints([-1]), keepdims: int(1) })
      : b.op('ReduceMax', [seen, b.ints([-1])], { keepdims: int(1) });
  return b.mul(block.context, gate, `layer${block.layer}.leopard.gated`);
}

/** Valid scores are those of a visible key for a query that is a real token; others do not count. */
function countSurvivors(
  b: GraphBuilder,
  {
    argument,
    count,
    score,
    threshold,
    visible,
  }: { argument: string; count: string; score: string; threshold: string; visible: string | undefined },
): Survivors {
  // Every head counts in the denominator, so validity is expanded to the scores' shape first.
  const valid = b.op('Expand', [validScores(b, visible), b.op('Shape', [score])]);
  // A batch of empty texts has no valid score; it counts none.
  const total = b.op('Max', [sumAll(b, valid), b.constant(1)]);
  const share = (values: string) => b.div(sumAll(b, b.mul(values, valid)), total);
  const holds = (condition: string) => share(b.cast(condition, 'float32'));
  return {
    surrogate: share(count),
    alive: holds(b.op('GreaterOrEqual', [score, threshold])),
    band: holds(b.op('LessOrEqual', [b.op('Abs', [argument]), b.constant(BAND)])),
  };
}

const sumAll = (b: GraphBuilder, value: string): string => b.op('ReduceSum', [value], { keepdims: int(0) });

/** 1 where a score belongs to a real query and a visible key, else 0; broadcasts to [batch, heads, queries, keys]. */
function validScores(b: GraphBuilder, visible: string | undefined): string {
  const queries = b.op('Unsqueeze', ['attention_mask', b.ints([1, 3])]);
  return visible === undefined ? queries : b.mul(queries, b.cast(visible, 'float32'));
}

/** True where the model's mask leaves a score alone (within MASKED / 1e6 of 0); undefined for a model without mask. */
export function visibleScores(b: GraphBuilder, block: AttentionBlock): string | undefined {
  if (!block.steps.some(({ kind }) => kind === 'mask')) return undefined;
  const zeros = b.mul(block.rawScores, b.constant(0));
  return b.op('Greater', [replaySteps(b, block, zeros), b.constant(MASKED / 1e6)]);
}

function annealed(options: LeopardOptions, step: number, steps: number) {
  const { anneal } = options;
  const progress = anneal ? Math.min(1, step / (anneal.share * steps)) : 1;
  const value = (constant: (typeof ANNEALED)[number]) =>
    anneal ? anneal[constant] * (options[constant] / anneal[constant]) ** progress : options[constant];
  return Object.fromEntries(ANNEALED.map((constant) => [feedName(constant), floatTensor([value(constant)], [])]));
}

// Inference -----------------------------------------------------------------------------------------------------------

function forInference(graph: Graph, options: LeopardOptions, parameters: Parameters, ranges: Ranges): InferenceRewrite {
  const blocks = attentionOf(graph);
  const b = new GraphBuilder(graph.name, graph);
  const replaced = new Map<string, string>();
  const traced = blocks.map((block) => {
    const range = (value: string) => ranges.get(value) ?? missingRange(value);
    const steps = {
      query: quantiserStep(range(block.query), options.queryKeyBits),
      key: quantiserStep(range(block.key), options.queryKeyBits),
      value: quantiserStep(range(block.value), options.valueBits),
    };
    const q = quantised(b, block.query, steps.query, options.queryKeyBits, `layer${block.layer}.leopard.q`);
    const k = quantised(b, keyRows(b, block), steps.key, options.queryKeyBits, `layer${block.layer}.leopard.k`);
    const realPerInteger = steps.query * steps.key * block.scale;
    const learned = parameters.get(thresholdName(block.layer));
    if (!learned) throw new TandemError('TANDEM_INTERNAL', `No trained threshold for layer ${block.layer}.`);
    const thresholds = Float64Array.from(learned.data as Float32Array, (th) => Math.ceil(th / realPerInteger));
    const visible = visibleScores(b, block);
    const { kept, scores } = prunedScores(
      b,
      block,
      { integer: integerScores(b, q, k), visible },
      tensor('float64', learned.shape, thresholds),
      realPerInteger,
      options,
    );
    replaced.set(block.softmaxInput, scores);
    const v = b.mul(quantised(b, block.value, steps.value, options.valueBits), b.constant(steps.value));
    const probabilities = b.op('Softmax', [scores], { axis: int(-1) });
    const p = roundedProbabilities(
      b,
      options.emptyRow === 'drop' ? b.mul(probabilities, b.cast(kept, 'float32')) : probabilities,
      options,
    );
    replaced.set(block.context, b.matmul(p, v, `layer${block.layer}.leopard.context`));
    return {
      block,
      learned: learned.data as Float32Array,
      q,
      k,
      kept,
      visible,
      thresholds,
      steps,
      bits: options.queryKeyBits,
      valueBits: options.valueBits,
      valueDim: headDim(b, block.value),
    };
  });
  const rewritten = rewire(b, graph, replaced);
  return {
    graph: pruneUnused(rewritten),
    headsPerLayer: blocks.map(({ heads }) => heads!),
    heads: traced.flatMap(({ block, learned, bits }) =>
      Array.from({ length: block.heads! }, (_, head) => ({
        layer: block.layer,
        head,
        threshold: learned[learned.length > 1 ? head : 0]!,
        bits,
      })),
    ),
    observed: traced.flatMap(({ q, k, kept, visible }) => [q, k, kept, ...(visible === undefined ? [] : [visible])]),
    record: (fetched, lengths, firstSequence) => leopardRecords(traced, fetched, lengths, firstSequence),
  };
}

function headDim(b: GraphBuilder, value: string): number {
  const dim = b.shapeOf(value).at(-1);
  if (typeof dim === 'number') return dim;
  throw new TandemError('TANDEM_INTERNAL', `The head dimension of "${value}" is not static.`);
}

function missingRange(value: string): never {
  throw new TandemError('TANDEM_INTERNAL', `No calibrated range for "${value}".`);
}

/** Hard rule: keep iff the integer score reaches the integer threshold; survivors keep their raw score. */
function prunedScores(
  b: GraphBuilder,
  block: AttentionBlock,
  { integer, visible }: { integer: string; visible: string | undefined },
  threshold: Tensor,
  realPerInteger: number,
  options: LeopardOptions,
): { kept: string; scores: string } {
  const hidden = b.scalar('float64', MASKED_INTEGER);
  const candidate = visible === undefined ? integer : b.op('Where', [visible, integer, hidden]);
  let kept = b.op('GreaterOrEqual', [integer, b.constant(threshold)]);
  if (options.emptyRow === 'keep-largest') kept = b.op('Or', [kept, isFirstLargest(b, candidate)]);
  if (visible !== undefined) kept = b.op('And', [kept, visible]);
  kept = b.op('Identity', [kept], {}, `layer${block.layer}.leopard.kept`);
  const real = replaySteps(b, block, b.mul(b.cast(integer, 'float32'), b.constant(realPerInteger)));
  return { kept, scores: b.op('Where', [kept, real, b.constant(MASKED)], {}, `layer${block.layer}.leopard.scores`) };
}

/** True at the first position of a row's largest score. */
function isFirstLargest(b: GraphBuilder, candidate: string): string {
  const first = b.op('ArgMax', [candidate], { axis: int(-1), keepdims: int(1) });
  const keys = b.op('Gather', [b.op('Shape', [candidate]), b.scalar('int64', -1)]);
  const positions = b.op('Range', [b.scalar('int64', 0), keys, b.scalar('int64', 1)]);
  return b.op('Equal', [positions, first]);
}

/** Probabilities as unsigned fixed point with valueBits − 1 fraction bits (1.0 is representable). */
function roundedProbabilities(b: GraphBuilder, probabilities: string, { valueBits }: LeopardOptions): string {
  const one = 2 ** (valueBits - 1);
  return b.mul(b.op('Round', [b.mul(probabilities, b.constant(one))]), b.constant(1 / one));
}
