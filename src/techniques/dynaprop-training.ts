/**
 * DynaProp in training (TransCODE, IEEE TCAD 2023): the magnitude rule on forward activations, on the gradients that
 * travel back through them, and on the gradients of the weights.
 *
 * Each pruned value passes an Identity first. Its gradient rule prunes what travels back, so that the gradient that the
 * next product reads is the one that is pruned and counted. Forward pruning multiplies by a 0/1 mask and is
 * differentiated as such: a pruned element passes no gradient.
 */
import { GraphBuilder } from '../graph/builder.js';
import { pruneUnused, withOutputs } from '../graph/edit.js';
import type { GradientRule } from '../graph/gradients/rule.js';
import { floatTensor, type Graph, int, sizeOf, type Tensor } from '../graph/types.js';
import type { Fetched } from '../runtime/types.js';
import type { MaskRecord } from '../trace/types.js';
import { attentionOf, rewire } from './attention-layers.js';
import { firstThreshold, KINDS, type Kind, nextThreshold, type PruningRule } from './dynaprop-thresholds.js';
import { type BatchSizes, batchSizes, elementsOf, onesOf } from './magnitude.js';
import { joined, maskOf, weightMask } from './mask-trace.js';
import { findPruningPoints, type MatrixPoint, productWeights, type WeightPoint } from './pruning-points.js';
import type { Carried, Parameters, StepFeedback, TrainingRewrite } from './types.js';

export type PruningRules = Readonly<Record<Kind, PruningRule>>;

/** Input of a training graph, and what training leaves for inference: float32, one threshold for each matrix. */
export const thresholdsName = (kind: Kind): string => `dynaprop.threshold.${kind}`;

/** What reports call the shares of zeros. */
const MONITORS: Readonly<Record<Kind, string>> = {
  forward: 'sparsity.activations',
  gradients: 'sparsity.gradients',
  parameters: 'sparsity.parameter-gradients',
};

/** A pruned matrix, and the values that measure it. */
interface Target {
  readonly kind: Kind;
  /** Position in the kind's vector of thresholds. */
  readonly index: number;
  /** The pruned value is this multiple of the matrix that an absolute threshold is meant for. */
  readonly unit: number;
  /** Non-zeros and elements, real tokens only: float64, whose elements add up; a number where it is always the same. */
  readonly kept: string;
  readonly elements: string | number;
  /** Mean magnitude before pruning, where the threshold follows the sparsity. */
  readonly mean: string | undefined;
}

/** A matrix, and the values that hold it and its gradient after pruning. */
interface Observed {
  readonly point: MatrixPoint;
  readonly forward: string;
  readonly backward: string;
}

/** @throws TANDEM_MODEL_UNSUPPORTED for a graph without recognisable attention */
export function forTraining(graph: Graph, rules: PruningRules): TrainingRewrite {
  const { matrices, weights, headsPerLayer } = findPruningPoints(graph, attentionOf(graph));
  const rewriter = new TrainingRewriter(graph, rules);
  for (const point of matrices) rewriter.addMatrix(point);
  for (const weight of productWeights(graph)) rewriter.addWeight(weight);
  const { targets, observed, gradientRules } = rewriter;
  return {
    graph: rewriter.finish(),
    trainable: [],
    learningRate: 0,
    learnedUntil: 1,
    gradientRules,
    feeds: (_step, _steps, carried) => Object.fromEntries(thresholds(targets, rules, carried)),
    monitors: {},
    feedback: {
      measured: targets.flatMap(measuredOf),
      next: (measured, carried) => afterStep(targets, rules, measured, carried),
      found: (carried) => thresholds(targets, rules, carried),
    },
    observer: {
      headsPerLayer,
      observed: [
        ...observed.flatMap(({ forward, backward }) => [forward, backward]),
        ...weights.flatMap(({ weight }) => [weight, gradientName(weight)]),
      ],
      *record(fetched, lengths, step) {
        for (const mask of records(observed, weights, fetched, lengths)) yield { ...mask, step };
      },
    },
  };
}

// The graph -------------------------------------------------------------------------------------------------------------

class TrainingRewriter {
  readonly targets: Target[] = [];
  readonly observed: Observed[] = [];
  readonly gradientRules: Record<string, GradientRule> = {};
  readonly #b: GraphBuilder;
  readonly #sizes: BatchSizes;
  readonly #replaced = new Map<string, string>();

  constructor(
    readonly graph: Graph,
    readonly rules: PruningRules,
  ) {
    this.#b = new GraphBuilder(graph.name, graph);
    for (const kind of KINDS) this.#b.input(thresholdsName(kind), 'float32', [`${kind} matrices`]);
    this.#sizes = batchSizes(this.#b);
  }

  addMatrix(point: MatrixPoint): void {
    const b = this.#b;
    const { layer, matrix, value, layout, scale, pruned } = point;
    // Heads of different kinds hold parts of one matrix.
    const name = b.unique(`dynaprop.${layer}.${matrix}`);
    const passing = b.op('Identity', [this.#replaced.get(value) ?? value], {}, `${name}.passing`);
    const backward = b.unique(`${name}.gradient`);
    let forward = passing;
    if (pruned) {
      const elements = elementsOf(b, passing, layout, this.#sizes);
      const activations = this.#target('forward', name, Math.abs(scale), elements);
      const gradients = this.#target('gradients', `${name}.gradient`, 1 / Math.abs(scale), elements);
      const count = (builder: GraphBuilder, ones: string) => onesOf(builder, ones, layout);
      forward = prune(b, passing, activations, count);
      this.gradientRules[passing] = pruningRule(gradients, count, backward);
    } else this.gradientRules[passing] = ({ b: made, dy }) => [() => called(made, dy, backward)];
    this.#replaced.set(value, forward);
    this.observed.push({ point, forward, backward });
  }

  /** Its gradient is pruned after all its contributions are added up, before norm, clipping and optimiser see it. */
  addWeight(weight: string): void {
    const passing = this.#b.op('Identity', [weight], {}, `dynaprop.${weight}.passing`);
    const target = this.#target(
      'parameters',
      `dynaprop.${weight}.gradient`,
      1,
      sizeOf(this.graph.initializers.get(weight)!.shape),
    );
    this.gradientRules[passing] = pruningRule(target, onesOfMatrix, this.#b.unique(`dynaprop.${weight}.gradient`));
    this.#replaced.set(weight, passing);
  }

  finish(): Graph {
    const graph = rewire(this.#b, this.graph, this.#replaced);
    const measured = this.targets.flatMap(measuredOf).filter((name) => graph.types.has(name));
    return pruneUnused(withOutputs(graph, [...graph.outputs.map(({ name }) => name), ...measured]));
  }

  #target(kind: Kind, name: string, unit: number, elements: string | number): Target {
    const index = this.targets.filter((target) => target.kind === kind).length;
    const mean = this.rules[kind].sparsity === undefined ? undefined : `${name}.mean`;
    const target = { kind, index, unit, kept: `${name}.kept`, elements, mean };
    this.targets.push(target);
    return target;
  }
}

/** Counts the ones of a 0/1 mask. */
type Count = (b: GraphBuilder, ones: string) => string;

/** x where |x| > τ, else 0, and its measures under the target's names. Not a number stays what it is. */
function prune(b: GraphBuilder, x: string, { kind, index, kept, mean }: Target, count: Count): string {
  const magnitude = b.op('Abs', [x]);
  const threshold = b.op('Gather', [thresholdsName(kind), b.scalar('int64', index)]);
  const ones = b.cast(b.op('Greater', [magnitude, threshold]), 'float32');
  called(b, count(b, ones), kept);
  if (mean !== undefined) called(b, b.op('ReduceMean', [magnitude], { keepdims: int(0) }), mean);
  return b.mul(x, ones);
}

const pruningRule =
  (target: Target, count: Count, name: string): GradientRule =>
  ({ b, dy }) => [() => called(b, prune(b, dy, target, count), name)];

/** Gives a value one more name, exactly this one: gradient graphs name and merge values as they please. */
function called(b: GraphBuilder, value: string, name: string): string {
  b.append({ name: `${name}_node`, opType: 'Identity', domain: '', inputs: [value], outputs: [name], attributes: {} });
  return value;
}

function onesOfMatrix(b: GraphBuilder, ones: string): string {
  // Row by row first: sums of more than 2^24 ones are not exact in float32.
  const rows = b.cast(b.op('ReduceSum', [ones, b.ints([1])], { keepdims: int(0) }), 'float64');
  return b.op('ReduceSum', [rows], { keepdims: int(0) });
}

// Between the steps -----------------------------------------------------------------------------------------------------

const measuredOf = ({ kept, elements, mean }: Target): string[] =>
  [kept, elements, mean].filter((value) => typeof value === 'string');

const firstOf = (targets: readonly Target[], rules: PruningRules): Carried =>
  targets.map(({ kind, unit }) => unit * firstThreshold(rules[kind]));

/** Thresholds by input. */
function thresholds(targets: readonly Target[], rules: PruningRules, carried = firstOf(targets, rules)): Parameters {
  const of = (kind: Kind) => carried.filter((_, at) => targets[at]!.kind === kind);
  return new Map(KINDS.map((kind) => [thresholdsName(kind), floatTensor(of(kind))]));
}

function afterStep(
  targets: readonly Target[],
  rules: PruningRules,
  measured: Fetched,
  before: Carried = firstOf(targets, rules),
): ReturnType<StepFeedback['next']> {
  const read = (value: string | number) => (typeof value === 'number' ? value : total(measured[value]!));
  const sums = new Map<Kind, { zeros: number; elements: number }>();
  const carried = targets.map(({ kind, kept, elements, mean }, at) => {
    const all = read(elements);
    const none = all - read(kept);
    const sum = sums.get(kind) ?? { zeros: 0, elements: 0 };
    sums.set(kind, { zeros: sum.zeros + none, elements: sum.elements + all });
    const seen = { sparsity: none / Math.max(1, all), mean: mean === undefined ? 0 : read(mean) };
    return nextThreshold(rules[kind], before[at]!, seen);
  });
  const share = (kind: Kind, { zeros, elements } = sums.get(kind)!) => zeros / Math.max(1, elements);
  return { monitors: Object.fromEntries([...sums.keys()].map((kind) => [MONITORS[kind], share(kind)])), carried };
}

const total = ({ data }: Tensor): number => Array.from(data as Float64Array).reduce((sum, part) => sum + part, 0);

// Masks -----------------------------------------------------------------------------------------------------------------

const gradientName = (weight: string): string => `grad:${weight}`;

/** Sequence by sequence; masks of weights and of their gradients, which the batch shares, come with sequence 0. */
function* records(
  observed: readonly Observed[],
  weights: readonly WeightPoint[],
  fetched: Fetched,
  lengths: readonly number[],
): Generator<MaskRecord> {
  const weightMasks = (phase: MaskRecord['phase'], nameOf: (weight: string) => string) =>
    joined(weights.map((point) => weightMask({ ...point, tensor: fetched[nameOf(point.weight)]! }, phase)));
  for (const [item, tokens] of lengths.entries()) {
    const at = { item, tokens, sequence: item };
    const masks = (phase: 'forward' | 'backward') =>
      joined(observed.map((one) => maskOf({ ...one.point, observed: one[phase] }, fetched[one[phase]]!, at, phase)));
    if (item === 0) yield* weightMasks('forward', (weight) => weight);
    yield* masks('forward');
    yield* masks('backward').reverse();
    if (item === 0) yield* weightMasks('update', gradientName);
  }
}
