/**
 * DTQAtten (Yang et al., DATE 2022): every token has its own bit width, which follows its importance while it is forwarded.
 * Importance is what attention probabilities give a token, summed over queries, heads and layers (as SpAtten, HPCA 2021;
 * the paper's own formula is not public, so this and what follows is a reconstruction).
 *
 * - Rows of Q, K and V are quantised symmetrically, each head's row with a step of its own, at the token's width; for
 *   products of real numbers this is what the integers times their steps give. The softmax keeps full precision; a query's
 *   probabilities are then quantised like its other rows (`probabilities: real` leaves them).
 * - 0 bits remove a token from this and all later layers: no query sees it, and neither attention nor the feed-forward part
 *   adds anything to its residual stream. Where a model normalises behind the addition, the norms still pass over it; where
 *   a classifier averages over tokens, it averages what a removed one last was.
 * - With `compensation`, one pseudo-token stands for all that are removed: see dtqatten-compensation.ts.
 * - Where the classifier reads the first token, that one ranks before all others. At least one token always stays.
 * - Heads without scores (transforms, convolutions) still see all tokens. Causal models: see dtqatten-decoder.ts.
 *
 * Nothing is trained. The ratios, and the width of the first layer, are an input of the graph: they may change at run time.
 */
import { TandemError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import { keyRows, replaySteps } from '../graph/patterns/replay.js';
import { type Graph, int, tensor } from '../graph/types.js';
import type { Feeds } from '../runtime/types.js';
import { ACTIVATIONS, PSEUDO_TOKEN_NOTE } from '../trace/matrices.js';
import { attentionOf, rewire, withoutDeadNodes } from './attention-layers.js';
import { refuseCausal } from './causal.js';
import { Compensation, type PseudoToken } from './dtqatten-compensation.js';
import { DecoderRewrite } from './dtqatten-decoder.js';
import { type DtqattenChoice, type DtqattenOptions, dtqattenOptions, rowsFor } from './dtqatten-options.js';
import { dtqattenSpace } from './dtqatten-space.js';
import { type TracedOperands, type TracedWidths, tokenBitsRecords } from './dtqatten-trace.js';
import { type TokenWidths, WidthAssigner } from './dtqatten-widths.js';
import { readsFirstToken } from './first-token.js';
import { findPruningPoints, type PruningPoints } from './pruning-points.js';
import { quantisedRows } from './quantise.js';
import { stopTokens } from './removed-tokens.js';
import type { InferenceRewrite, OptionsSpace, SparsityCounts, Technique } from './types.js';

/** Input of rewritten graphs: float64 [attention layers, widths]; absent where no choice is left. */
export const RATIOS_INPUT = 'dtqatten.ratios';
/** exp of it is 0 in float32. */
const MASKED = -1e9;

export const dtqatten = {
  name: 'dtqatten',
  description: 'DTQAtten (DATE 2022): quantise every token at a width that follows its importance, and drop the least.',
  schema: dtqattenOptions,
  pruned: 'scores never computed',
  searched: ['ratios'],
  tokenWidths: ({ widths }) => widths,
  forTraining: () => undefined,
  calibrated(graph: Graph, options: DtqattenOptions) {
    rowsFor(options, options.widths, layersOf(graph, options.decoder));
    return [];
  },
  forInference: (graph: Graph, options: DtqattenOptions) => dtqattenAt(graph, options)(options),
  space(graph: Graph, options: DtqattenOptions): OptionsSpace<DtqattenOptions> {
    const { dimensions, choice } = dtqattenSpace(options, layersOf(graph, options.decoder));
    const at = dtqattenAt(graph, options);
    return {
      dimensions,
      options: (point) => ({ ...options, ...choice(point) }),
      rewrite: (point) => at(choice(point)),
    };
  },
} satisfies Technique<DtqattenOptions>;

/** What is built into the graph. */
type DtqattenGraphOptions = Pick<DtqattenOptions, 'widths' | 'probabilities'> &
  Partial<Pick<DtqattenOptions, 'decoder' | 'compensation' | 'operands'>>;

/** Rewrites a model once, and gives it with any choice: the same graph with other feeds, for whoever searches them. */
export function dtqattenAt(
  graph: Graph,
  { widths, probabilities, decoder = false, compensation = false, operands = false }: DtqattenGraphOptions,
): (choice: DtqattenChoice) => InferenceRewrite & { readonly counts: SparsityCounts } {
  const attentionLayers = layersOf(graph, decoder);
  const rewrite = decoder
    ? new DecoderRewrite(graph, { widths, probabilities }, RATIOS_INPUT).rewrite()
    : new DtqattenRewrite(graph, supported(graph).points, {
        widths,
        probabilities,
        compensation,
        operands,
      }).rewrite();
  return (choice) => ({ ...rewrite, feeds: ratiosFeeds(rowsFor(choice, widths, attentionLayers), widths) });
}

/** @param rows a row of shares for each attention layer */
function ratiosFeeds(rows: readonly (readonly number[])[], widths: readonly number[]): Feeds {
  if (widths.length === 1) return {};
  return { [RATIOS_INPUT]: tensor('float64', [rows.length, widths.length], Float64Array.from(rows.flat())) };
}

/** A pseudo-token has the smallest width that shows anything (assumed): what it stands for matters least. */
const pseudoTokenBits = (widths: readonly number[]): number => widths.findLast((width) => width > 0)!;

/** Layers with attention. */
const layersOf = (graph: Graph, decoder: boolean): number =>
  decoder ? attentionOf(graph).length : supported(graph).attentionLayers;

/** @throws TANDEM_MODEL_UNSUPPORTED */
function supported(graph: Graph): { points: PruningPoints; attentionLayers: number } {
  const blocks = attentionOf(graph);
  const cross = blocks.find(({ source }) => source === 'cross');
  if (cross) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', 'The keys come from another sequence than the queries.', {
      place: `attention layer ${cross.layer}`,
      remedy: 'Use a model whose attention layers are all self-attention: a token has one width as query and as key.',
    });
  }
  refuseCausal(graph, blocks, 'Set decoder: true: importance then adds up step by step.');
  const points = findPruningPoints(graph, blocks);
  return { points, attentionLayers: points.blocksPerLayer.filter(({ length }) => length > 0).length };
}

class DtqattenRewrite {
  readonly #b: GraphBuilder;
  readonly #assigner: WidthAssigner;
  readonly #replaced = new Map<string, string>();
  readonly #compensation: Compensation | undefined;

  constructor(
    readonly graph: Graph,
    readonly points: PruningPoints,
    readonly options: Pick<DtqattenOptions, 'widths' | 'probabilities' | 'compensation' | 'operands'>,
  ) {
    const { widths, compensation } = options;
    this.#b = new GraphBuilder(graph.name, graph);
    this.#assigner = new WidthAssigner(this.#b, widths, readsFirstToken(graph, points));
    if (compensation) this.#compensation = new Compensation(this.#b, pseudoTokenBits(widths));
  }

  rewrite(): InferenceRewrite & { readonly counts: SparsityCounts } {
    const { blocksPerLayer, headsPerLayer } = this.points;
    const layers: { layer: number; heads: number; widths: TokenWidths; operands: TracedOperands[] }[] = [];
    let importance: string | undefined;
    let current: TokenWidths | undefined;
    const ratios = this.#ratios(blocksPerLayer.filter(({ length }) => length > 0).length);
    for (const [layer, blocks] of blocksPerLayer.entries()) {
      if (blocks.length > 0) {
        current = this.#widthsAt(layer, layers.length, { current, importance, ratios });
        const pseudo = this.#compensation?.pseudoToken(current, layer);
        const own = current;
        const operands = blocks.map((block) => this.#attend(block, own, pseudo, layer));
        const seen = this.#assigner.importance(
          blocks.map(({ probabilities }) => probabilities),
          current,
        );
        this.#compensation?.saw(current, seen);
        importance = importance === undefined ? seen : this.#b.add(importance, seen);
        layers.push({ layer, heads: headsPerLayer[layer]!, widths: current, operands });
      }
      if (current?.removed === undefined) continue;
      stopTokens(this.#b, this.points, layer, current.removed, this.#replaced, `layer${layer}.dtqatten`);
    }
    const counts = this.#counts(layers);
    const rewritten = rewire(this.#b, this.graph, this.#replaced);
    const traced = layers.map(({ layer, widths, operands }): TracedWidths => {
      return { layer, bits: widths.bits, ...(this.options.operands && { operands }) };
    });
    const observed = traced.flatMap(({ bits, operands = [] }) => [
      bits,
      ...operands.flatMap(({ q, k, v }) => [q, k, v]),
    ]);
    return {
      graph: withoutDeadNodes(rewritten, [...observed, counts.zeros, counts.elements]),
      headsPerLayer,
      heads: [],
      observed,
      counts,
      ...(this.#compensation && { notes: { [PSEUDO_TOKEN_NOTE]: String(this.#compensation.bits) } }),
      record: (fetched, lengths, firstSequence) => tokenBitsRecords(traced, fetched, lengths, firstSequence),
    };
  }

  #ratios(rows: number): string | undefined {
    const { widths } = this.options;
    return widths.length === 1 ? undefined : this.#b.input(RATIOS_INPUT, 'float64', [rows, widths.length]);
  }

  /** @param order position among the layers with attention */
  #widthsAt(
    layer: number,
    order: number,
    { current, importance, ratios }: { current?: TokenWidths; importance?: string; ratios?: string },
  ): TokenWidths {
    if (ratios === undefined) return this.#assigner.uniform(layer);
    const row = this.#b.op('Gather', [ratios, this.#b.scalar('int64', order)], { axis: int(0) });
    if (!current || importance === undefined) return this.#assigner.uniform(layer, row);
    return this.#assigner.next(current, importance, row, layer);
  }

  /** Scores and context of quantised operands, without the tokens that are removed. @returns these operands */
  #attend(
    block: AttentionBlock,
    { limits, removed }: TokenWidths,
    pseudo: PseudoToken | undefined,
    layer: number,
  ): TracedOperands {
    const b = this.#b;
    const hint = (part: string) => `layer${layer}.dtqatten.${part}`;
    const rows = (value: string, part: string) => quantisedRows(b, value, limits, hint(part));
    const q = rows(block.query, 'query');
    const k = rows(keyRows(b, block), 'key');
    const v = rows(block.value, 'value');
    const raw = b.matmul(q, b.transpose(k, [0, 1, 3, 2]), hint('scores'));
    const scaled = block.scale === 1 ? raw : b.mul(raw, b.constant(block.scale));
    let scores = replaySteps(b, block, scaled);
    if (removed !== undefined) {
      scores = b.op('Where', [b.op('Unsqueeze', [removed, b.ints([1, 2])]), b.constant(MASKED), scores]);
    }
    this.#replaced.set(block.softmaxInput, scores);
    const own = block.contextProbabilities;
    const real = pseudo ? this.#compensation!.probabilities(own, pseudo) : own;
    const p = this.options.probabilities === 'real' ? real : rows(real, 'probabilities');
    const values = pseudo ? this.#compensation!.values(block.value, v, pseudo, hint('pseudo')) : v;
    this.#replaced.set(block.context, b.matmul(p, values, hint('context')));
    return { q, k, v };
  }

  /** Scores that are never computed, because their query or key is removed; a causal mask counts as open. */
  #counts(layers: readonly { layer: number; heads: number; widths: TokenWidths }[]): SparsityCounts {
    const b = this.#b;
    const { tokens } = this.#assigner;
    const squared = (count: string) => b.mul(count, count);
    const columns = layers.map(({ heads, widths }) => {
      const perHead = b.scalar('float64', heads);
      const left = this.#assigner.count(this.#assigner.alive(widths));
      return {
        elements: b.mul(squared(tokens), perHead),
        zeros: b.mul(b.sub(squared(tokens), squared(left)), perHead),
      };
    });
    const side = (part: 'zeros' | 'elements') =>
      b.op(
        'Concat',
        columns.map((column) => column[part]),
        { axis: int(1) },
        `dtqatten.${part}`,
      );
    const matrices = layers.map(({ layer }) => ({ layer, matrix: ACTIVATIONS.scores }));
    return { zeros: side('zeros'), elements: side('elements'), matrices };
  }
}
