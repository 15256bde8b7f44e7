/**
 * SpAtten (Wang, Zhang and Han, HPCA 2021): tokens and heads that matter least are removed layer by layer, rows use the
 * values of their largest probabilities only, and the least significant bits of K are read by flat rows only.
 *
 * - Importance of a token: its column sums of probabilities over queries, heads and layers; of a head: the sum of
 *   magnitudes of its output over tokens and layers. Both cascade: what is removed stays so.
 * - A removed token is seen by no query and gets nothing from attention or feed-forward part; a removed head gives 0.
 * - Where the classifier reads the first token, that one ranks before all others. One token and one head always stay.
 * - Operands are quantised with one step per layer, from ranges on calibration data. Probabilities that local value pruning
 *   keeps are not normalised again.
 *
 * Decoders are refused: their published form decides anew at each step, which this rewrite of a whole text does not.
 *
 * Where a layer has heads of several kinds, each kind ranks its own; a trace numbers attention layers.
 */
import { TandemError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import { keyRows, replaySteps } from '../graph/patterns/replay.js';
import { type Graph, int, tensor } from '../graph/types.js';
import { ACTIVATIONS } from '../trace/matrices.js';
import { attentionOf, rewire, withoutDeadNodes } from './attention-layers.js';
import { refuseCausal } from './causal.js';
import { type TokenWidths, WidthAssigner } from './dtqatten-widths.js';
import { readsFirstToken } from './first-token.js';
import { visibleScores } from './leopard.js';
import { countZeros } from './magnitude.js';
import { findPruningPoints, type PruningPoints } from './pruning-points.js';
import { integerScores, largestInteger, quantised, quantiserStep } from './quantise.js';
import { stopTokens } from './removed-tokens.js';
import { type SpattenOptions, sharesFor, spattenOptions } from './spatten-options.js';
import { spattenSpace } from './spatten-space.js';
import { type SpattenLayer, spattenRecords } from './spatten-trace.js';
import type { InferenceRewrite, OptionsSpace, Parameters, Ranges, SparsityCounts, Technique } from './types.js';

/** Input of rewritten graphs: float64 [attention layers behind the first, 2], shares of tokens and of heads. */
export const SHARES_INPUT = 'spatten.shares';
/** exp of it is 0 in float32. */
const MASKED = -1e9;
/** Shares times counts miss whole numbers by rounding. */
const CEILING_TOLERANCE = 1e-9;

export const spatten = {
  name: 'spatten',
  description:
    'SpAtten (HPCA 2021): remove tokens and heads in a cascade, prune values, read low bits of keys on demand.',
  schema: spattenOptions,
  pruned: 'values never used',
  forTraining: () => undefined,
  calibrated(graph: Graph, options: SpattenOptions) {
    const blocks = attentionOf(graph);
    refuseCausal(
      graph,
      blocks,
      'Use an encoder; decoders can be given a bit width for every token by dtqatten with decoder: true.',
    );
    sharesFor(options, blocks.length);
    return blocks.flatMap(({ query, key, value }) => [query, key, value]);
  },
  tokenWidths: (options) => widthsOf(options),
  forInference: (graph: Graph, options: SpattenOptions, _parameters: Parameters, ranges: Ranges) =>
    new SpattenRewrite(graph, attentionOf(graph), options, ranges).rewrite(),
  space(graph: Graph, options: SpattenOptions, ranges: Ranges): OptionsSpace<SpattenOptions> {
    const blocks = attentionOf(graph);
    const { dimensions, choice } = spattenSpace(blocks.length);
    // Shares of tokens and heads are fed; the share of values is built in.
    const built = new Map<number, InferenceRewrite>();
    const rewrite = (point: readonly number[]): InferenceRewrite => {
      const chosen = { ...options, ...choice(point) };
      const known = built.get(chosen.valueShare) ?? new SpattenRewrite(graph, blocks, chosen, ranges).rewrite();
      built.set(chosen.valueShare, known);
      return { ...known, ...sharesFeeds(sharesFor(chosen, blocks.length)) };
    };
    return { dimensions, options: (point) => ({ ...options, ...choice(point) }), rewrite };
  },
} satisfies Technique<SpattenOptions>;

/** Tokens that are left have all bits of a key. */
const widthsOf = ({ keyBits, lowBits }: SpattenOptions): readonly number[] => [keyBits + lowBits, 0];

/** @param rows shares of tokens and of heads, for each layer behind the first */
const sharesFeeds = (rows: readonly (readonly [number, number])[]): Pick<InferenceRewrite, 'feeds'> =>
  rows.length === 0
    ? {}
    : { feeds: { [SHARES_INPUT]: tensor('float64', [rows.length, 2], Float64Array.from(rows.flat())) } };

/** What a layer hands to the next. */
interface Cascade {
  readonly tokens: TokenWidths;
  /** bool [batch, heads]; undefined: all are left. */
  readonly heads: string | undefined;
  /** float64 [batch, tokens] and [batch, heads] */
  readonly tokenImportance: string;
  readonly headImportance: string;
}

interface Operands {
  /** Whole numbers in float32, [batch, heads, tokens, dim], and what they are multiples of. */
  readonly q: string;
  readonly k: string;
  readonly steps: { readonly query: number; readonly key: number };
  /** Real numbers on the grid of V. */
  readonly v: string;
}

class SpattenRewrite {
  readonly #b: GraphBuilder;
  readonly #points: PruningPoints;
  readonly #assigner: WidthAssigner;
  readonly #replaced = new Map<string, string>();

  constructor(
    readonly graph: Graph,
    readonly blocks: readonly AttentionBlock[],
    readonly options: SpattenOptions,
    readonly ranges: Ranges,
  ) {
    this.#b = new GraphBuilder(graph.name, graph);
    this.#points = findPruningPoints(graph, blocks);
    this.#assigner = new WidthAssigner(this.#b, widthsOf(options), readsFirstToken(graph, this.#points), 'spatten');
  }

  rewrite(): InferenceRewrite & { readonly counts: SparsityCounts } {
    const b = this.#b;
    const { blocks, options } = this;
    const rows = sharesFor(options, blocks.length);
    const shares = rows.length > 0 ? b.input(SHARES_INPUT, 'float64', [rows.length, 2]) : undefined;
    const layers: (SpattenLayer & { readonly used: string })[] = [];
    let before: Cascade | undefined;
    for (const [layer, found] of this.#points.blocksPerLayer.entries()) {
      for (const block of found) {
        const made = this.#attend(block, before, shares, layers.length);
        layers.push(made.layer);
        before = made.after;
      }
      const removed = before?.tokens.removed;
      if (removed !== undefined) stopTokens(b, this.#points, layer, removed, this.#replaced, `layer${layer}.spatten`);
    }
    const observed = layers.flatMap(({ q, k, kept, visible, tokenBits, headsLeft }) => [
      ...[q, k, kept, tokenBits, headsLeft],
      ...(visible === undefined ? [] : [visible]),
    ]);
    const counts = countZeros(
      b,
      layers.map(({ block, used }) => ({
        layer: block.layer,
        matrix: ACTIVATIONS.probabilities,
        value: used,
        layout: { kind: 'scores' },
      })),
      'spatten',
    );
    return {
      graph: withoutDeadNodes(rewire(b, this.graph, this.#replaced), [...observed, counts.zeros, counts.elements]),
      headsPerLayer: blocks.map(({ heads }) => heads!),
      heads: layers.flatMap(({ block, thresholds, steps, bits }) =>
        Array.from({ length: block.heads! }, (_, head) => ({
          layer: block.layer,
          head,
          threshold: thresholds[0]! * steps.query * steps.key * block.scale,
          bits,
        })),
      ),
      ...sharesFeeds(rows),
      observed,
      counts,
      record: (fetched, lengths, firstSequence) => spattenRecords(layers, fetched, lengths, firstSequence),
    };
  }

  #attend(
    block: AttentionBlock,
    before: Cascade | undefined,
    shares: string | undefined,
    order: number,
  ): { layer: SpattenLayer & { readonly used: string }; after: Cascade } {
    const b = this.#b;
    const { layer } = block;
    const hint = (part: string) => `layer${layer}.spatten.${part}`;
    const row =
      before && shares && b.op('Gather', [shares, b.scalar('int64', order - 1)], { axis: int(0) }, hint('shares'));
    const tokens =
      before && row
        ? this.#assigner.next(before.tokens, before.tokenImportance, row, layer)
        : this.#assigner.uniform(layer);
    const heads = before && row ? this.#headsLeft(before, row, block.heads!) : undefined;
    const operands = this.#operands(block, hint);
    const scores = this.#scores(block, operands, tokens, hint);
    this.#replaced.set(block.softmaxInput, scores);
    const visible = visibleScores(b, block);
    const chosen = this.#valuesUsed(scores, tokens, visible);
    const kept = b.op('And', [chosen, this.#rowsLeft(tokens, heads)], {}, hint('kept'));
    const used = b.cast(kept, 'float32');
    const context = b.matmul(b.mul(block.contextProbabilities, used), operands.v, hint('context'));
    this.#replaced.set(block.context, context);
    const magnitude = this.#magnitude(context, tokens);
    const sum = (earlier: string | undefined, seen: string) => (earlier === undefined ? seen : b.add(earlier, seen));
    const headsLeft = heads ?? b.op('GreaterOrEqual', [magnitude, b.scalar('float64', 0)]);
    const ofHeadsLeft = [b.op('Unsqueeze', [headsLeft, b.ints([2, 3])]), block.probabilities, b.constant(0)];
    const attention = this.#assigner.importance([b.op('Where', ofHeadsLeft)], tokens);
    return {
      layer: {
        block,
        used,
        q: operands.q,
        k: operands.k,
        kept,
        visible,
        thresholds: Float64Array.of(this.#leastScore(block)),
        steps: operands.steps,
        bits: Math.max(this.options.queryBits, this.options.keyBits + this.options.lowBits),
        valueBits: this.options.valueBits,
        valueDim: b.shapeOf(block.value).at(-1) as number,
        tokenBits: tokens.bits,
        headsLeft: b.cast(headsLeft, 'float32', hint('heads')),
      },
      after: {
        tokens,
        heads: headsLeft,
        tokenImportance: sum(before?.tokenImportance, attention),
        headImportance: sum(before?.headImportance, magnitude),
      },
    };
  }

  /** What no integer score lies below: the threshold of a technique that prunes none by comparison. */
  #leastScore({ query }: AttentionBlock): number {
    const { queryBits, keyBits, lowBits } = this.options;
    const dim = this.#b.shapeOf(query).at(-1) as number;
    return -largestInteger(queryBits) * largestInteger(keyBits + lowBits) * dim;
  }

  #operands(block: AttentionBlock, hint: (part: string) => string): Operands {
    const b = this.#b;
    const { queryBits, keyBits, lowBits, valueBits } = this.options;
    const range = (value: string) => this.ranges.get(value) ?? missingRange(value);
    const steps = {
      query: quantiserStep(range(block.query), queryBits),
      key: quantiserStep(range(block.key), keyBits + lowBits),
    };
    const valueStep = quantiserStep(range(block.value), valueBits);
    return {
      steps,
      q: quantised(b, block.query, steps.query, queryBits, hint('query')),
      k: quantised(b, keyRows(b, block), steps.key, keyBits + lowBits, hint('key')),
      v: b.mul(quantised(b, block.value, valueStep, valueBits), b.constant(valueStep), hint('value')),
    };
  }

  /** From the most significant bits of K; of rows that are flat in these, from all bits. */
  #scores(
    block: AttentionBlock,
    { q, k, steps }: Operands,
    { removed }: TokenWidths,
    hint: (part: string) => string,
  ): string {
    const b = this.#b;
    const { lowBits, flatThreshold } = this.options;
    const masked = (keys: string) => {
      const real = b.mul(
        b.cast(integerScores(b, q, keys), 'float32'),
        b.constant(steps.query * steps.key * block.scale),
      );
      const scores = replaySteps(b, block, real);
      if (removed === undefined) return scores;
      return b.op('Where', [b.op('Unsqueeze', [removed, b.ints([1, 2])]), b.constant(MASKED), scores]);
    };
    if (lowBits === 0) return masked(k);
    const low = b.constant(2 ** lowBits);
    const high = masked(b.mul(b.op('Floor', [b.div(k, low)]), low));
    const probabilities = b.op('Softmax', [high], { axis: int(-1) });
    const [largest] = b.node('TopK', [probabilities, b.ints([1])], 2, { axis: int(-1) });
    const flat = b.op('Less', [largest!, b.constant(flatThreshold)], {}, hint('flat'));
    return b.op('Where', [flat, masked(k), high], {}, hint('scores'));
  }

  /** Of each row the ⌈share·n⌉ largest of the n scores that it sees, ties to the earlier: bool [batch, heads, queries, keys]. */
  #valuesUsed(scores: string, { removed }: TokenWidths, visible: string | undefined): string {
    const b = this.#b;
    let seen = visible ?? b.op('Equal', [scores, scores]);
    if (removed !== undefined) seen = b.op('And', [seen, b.op('Not', [b.op('Unsqueeze', [removed, b.ints([1, 2])])])]);
    const { valueShare } = this.options;
    if (valueShare === 1) return seen;
    const columns = b.op('ReduceSum', [b.cast(seen, 'float64'), b.ints([-1])], { keepdims: int(1) });
    const count = this.#ceiling(b.mul(columns, b.scalar('float64', valueShare)));
    const keys = b.op('Gather', [b.op('Shape', [scores]), b.ints([-1])]);
    // The order of the order's indices: each score's rank.
    const order = b.node('TopK', [scores, keys], 2, { axis: int(-1) })[1]!;
    const rank = b.node('TopK', [order, keys], 2, { axis: int(-1), largest: int(0) })[1]!;
    return b.op('And', [seen, b.op('Less', [b.cast(rank, 'float64'), count])]);
  }

  /** Rows of tokens and heads that are left: bool [batch, heads or 1, queries, 1]. */
  #rowsLeft(tokens: TokenWidths, heads: string | undefined): string {
    const b = this.#b;
    const queries = b.op('Unsqueeze', [this.#assigner.alive(tokens), b.ints([1, 3])]);
    return heads === undefined ? queries : b.op('And', [queries, b.op('Unsqueeze', [heads, b.ints([2, 3])])]);
  }

  /** Sums of magnitudes over the tokens that are left: float64 [batch, heads]. */
  #magnitude(context: string, tokens: TokenWidths): string {
    const b = this.#b;
    const queries = b.op('Unsqueeze', [b.cast(this.#assigner.alive(tokens), 'float64'), b.ints([1, 3])]);
    const counted = b.mul(b.cast(b.op('Abs', [context]), 'float64'), queries);
    return b.op('ReduceSum', [counted, b.ints([2, 3])], { keepdims: int(0) });
  }

  /** The ⌈share·heads⌉ most important heads of those that are left, ties to the earlier: bool [batch, heads]. */
  #headsLeft({ heads, headImportance }: Cascade, row: string, count: number): string {
    const b = this.#b;
    const positions = b.ints(Array.from({ length: count }, (_, head) => head));
    const beside = (value: string, axis: number) => b.op('Unsqueeze', [value, b.ints([axis])]);
    const weighed =
      heads === undefined ? headImportance : b.op('Where', [heads, headImportance, b.scalar('float64', -1)]);
    const compared = (opType: string) => b.op(opType, [beside(weighed, 2), beside(weighed, 1)]);
    const earlier = b.op('Less', [beside(positions, 1), beside(positions, 0)]);
    const precedes = b.op('Or', [compared('Greater'), b.op('And', [compared('Equal'), earlier])]);
    const rank = b.op('ReduceSum', [b.cast(precedes, 'float64'), b.ints([1])], { keepdims: int(0) });
    const share = b.op('Gather', [row, b.scalar('int64', 1)], { axis: int(0) });
    const wanted = this.#ceiling(b.mul(share, b.scalar('float64', count)));
    const within = b.op('Less', [rank, b.op('Max', [wanted, b.scalar('float64', 1)])]);
    return heads === undefined ? within : b.op('And', [within, heads]);
  }

  #ceiling(value: string): string {
    return this.#b.op('Ceil', [this.#b.sub(value, this.#b.scalar('float64', CEILING_TOLERANCE))]);
  }
}

function missingRange(value: string): never {
  throw new TandemError('TANDEM_INTERNAL', `No calibrated range for "${value}".`);
}
