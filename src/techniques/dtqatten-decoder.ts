/**
 * DTQAtten for decoders, with importance over steps. At step t a decoder knows what queries 0 … t gave each token; row t of
 * every layer ranks the tokens that it sees by that, and reads their keys and values at the widths that follow. The pass over
 * a whole text then equals decoding it token by token with a cache of keys and values.
 *
 * - A step's own token has the width of the first layer in all layers, and is never removed (as in SpAtten).
 * - Widths never rise with depth within a step. From step to step they may: the cache keeps every token whole, so that one
 *   that becomes important comes back (assumed; nothing is published of it).
 * - Nothing is removed from the residual stream: each token was its step's own once.
 */
import { TandemError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import type { AttentionBlock } from '../graph/patterns/attention.js';
import { keyRows, replaySteps } from '../graph/patterns/replay.js';
import { floatTensor, type Graph, int, tensor } from '../graph/types.js';
import type { Fetched } from '../runtime/types.js';
import { ACTIVATIONS } from '../trace/matrices.js';
import { DECODING_NOTE, DECODING_STEPS } from '../trace/steps.js';
import type { TokenBitsRecord } from '../trace/types.js';
import { attentionOf, rewire, withoutDeadNodes } from './attention-layers.js';
import type { DtqattenOptions } from './dtqatten-options.js';
import { largestInteger, quantisedRows } from './quantise.js';
import type { InferenceRewrite, SparsityCounts } from './types.js';

/** exp of it is 0 in float32. */
const MASKED = -1e9;
const CEILING_TOLERANCE = 1e-9;
/** Above every importance: a sum of probabilities over queries, heads and layers. */
const CLASS_STEP = 1e7;
const NEVER = -1e12;

interface DecoderLayer {
  readonly block: AttentionBlock;
  /** Position of each seen token's width among the widths, at each step: float64 [batch, steps, tokens]. */
  readonly classes: string;
  readonly bits: string;
}

export class DecoderRewrite {
  readonly #b: GraphBuilder;
  readonly #replaced = new Map<string, string>();
  /** bool [tokens, tokens], steps by tokens. */
  readonly #seen: string;
  readonly #own: string;
  /** Tokens that each step sees, float64 [tokens, 1]. */
  readonly #stepTokens: string;
  readonly #count: string;
  readonly #real: string;

  constructor(
    readonly graph: Graph,
    readonly options: Pick<DtqattenOptions, 'widths' | 'probabilities'>,
    readonly ratiosInput: string,
  ) {
    const b = new GraphBuilder(graph.name, graph);
    this.#b = b;
    this.#real = b.op('Greater', ['attention_mask', b.constant(0)]);
    const length = b.op('Gather', [b.op('Shape', ['attention_mask']), b.scalar('int64', 1)]);
    this.#count = b.op('Reshape', [length, b.ints([1])]);
    const places = b.op('Range', [b.scalar('int64', 0), length, b.scalar('int64', 1)]);
    const steps = b.op('Unsqueeze', [places, b.ints([1])]);
    const tokens = b.op('Unsqueeze', [places, b.ints([0])]);
    this.#seen = b.op('LessOrEqual', [tokens, steps]);
    this.#own = b.op('Equal', [tokens, steps]);
    this.#stepTokens = b.add(b.cast(steps, 'float64'), b.scalar('float64', 1));
  }

  rewrite(): InferenceRewrite & { readonly counts: SparsityCounts } {
    const b = this.#b;
    const { widths } = this.options;
    const blocks = attentionOf(this.graph);
    const ratios = widths.length > 1 ? b.input(this.ratiosInput, 'float64', [blocks.length, widths.length]) : undefined;
    const layers: DecoderLayer[] = [];
    let importance: string | undefined;
    for (const [order, block] of blocks.entries()) {
      requireSelf(block, order);
      const row = ratios && b.op('Gather', [ratios, b.scalar('int64', order)], { axis: int(0) });
      const before = layers.at(-1)?.classes;
      const classes =
        before === undefined || row === undefined || importance === undefined
          ? this.#uniform(row)
          : this.#next(before, importance, row);
      this.#attend(block, classes, layers[0]?.classes ?? classes);
      const given = b.op('ReduceSum', [b.cast(block.probabilities, 'float64'), b.ints([1])], { keepdims: int(0) });
      const soFar = b.op('CumSum', [given, b.scalar('int64', 1)]);
      importance = importance === undefined ? soFar : b.add(importance, soFar);
      const table = b.constant(floatTensor(widths));
      const bits = b.op('Gather', [table, b.cast(classes, 'int64')], {}, `layer${order}.dtqatten.bits`);
      layers.push({ block, classes, bits });
    }
    const counts = this.#counts(layers);
    const observed = layers.map(({ bits }) => bits);
    const rewritten = rewire(b, this.graph, this.#replaced);
    return {
      graph: withoutDeadNodes(rewritten, [...observed, counts.zeros, counts.elements]),
      headsPerLayer: blocks.map(({ heads }) => heads!),
      heads: [],
      observed,
      counts,
      notes: { [DECODING_NOTE]: DECODING_STEPS },
      record: (fetched, lengths, firstSequence) => stepRecords(observed, fetched, lengths, firstSequence),
    };
  }

  /** All seen tokens at one width. */
  #uniform(row: string | undefined): string {
    const b = this.#b;
    const zero = b.mul(b.cast(b.op('Unsqueeze', [this.#real, b.ints([1])]), 'float64'), b.scalar('float64', 0));
    const all = b.add(zero, b.mul(this.#stepTokens, b.scalar('float64', 0)));
    if (row === undefined) return all;
    const places = Float64Array.from(this.options.widths, (_, width) => width);
    const chosen = b.mul(row, b.constant(tensor('float64', [places.length], places)));
    return b.add(all, b.op('ReduceSum', [chosen], { keepdims: int(0) }));
  }

  /** Within each step, by the width that a token has, then by importance, then by position; the step's own token first. */
  #next(before: string, importance: string, row: string): string {
    const b = this.#b;
    const { widths } = this.options;
    const ranked = b.sub(importance, b.mul(before, b.scalar('float64', CLASS_STEP)));
    const ownFirst = b.op('Where', [this.#own, b.scalar('float64', CLASS_STEP), ranked]);
    const keys = b.op('Where', [this.#seen, ownFirst, b.scalar('float64', NEVER)]);
    // The order of the order's indices: each token's rank.
    const order = b.node('TopK', [keys, this.#count], 2, { axis: int(-1) })[1]!;
    const rank = b.node('TopK', [order, this.#count], 2, { axis: int(-1), largest: int(0) })[1]!;
    const shares = b.op('Gather', [row, b.ints(widths.slice(1).map((_, width) => width))], { axis: int(0) });
    const exact = b.sub(b.mul(this.#stepTokens, shares), b.scalar('float64', CEILING_TOLERANCE));
    const bounds = b.op('CumSum', [b.op('Ceil', [exact]), b.scalar('int64', 1)]);
    const passed = b.op('GreaterOrEqual', [
      b.op('Unsqueeze', [b.cast(rank, 'float64'), b.ints([3])]),
      b.op('Unsqueeze', [bounds, b.ints([1])]),
    ]);
    const wanted = b.op('ReduceSum', [b.cast(passed, 'float64'), b.ints([3])], { keepdims: int(0) });
    return b.op('Max', [before, b.op('Where', [this.#own, b.scalar('float64', 0), wanted])]);
  }

  /** @param first classes of the first layer, where all tokens, a step's own one among them, have one width */
  #attend(block: AttentionBlock, classes: string, first: string): void {
    const b = this.#b;
    const { widths, probabilities } = this.options;
    const shown = widths.filter((width) => width > 0);
    const at = (width: number) =>
      b.op('Unsqueeze', [b.op('Equal', [classes, b.scalar('float64', width)]), b.ints([1])]);
    const limitsOf = (value: string) => {
      const table = b.constant(floatTensor(widths.map((bits) => (bits === 0 ? 0 : largestInteger(bits)))));
      return b.op('Gather', [table, b.cast(value, 'int64')]);
    };
    // Any token stands for all of a step: in the first layer they have one width. [batch, tokens]
    const ofStep = b.op('Gather', [first, b.scalar('int64', 0)], { axis: int(2) });
    const ownLimits = limitsOf(ofStep);
    const evenLimits = (width: number) =>
      limitsOf(b.add(b.mul(ofStep, b.scalar('float64', 0)), b.scalar('float64', width)));
    const rows = (value: string, limits: string) => quantisedRows(b, value, limits, `${value}.rows`);
    const q = rows(block.query, ownLimits);
    const [key, value] = [keyRows(b, block), block.value];
    const parts = shown.map((_, width) => {
      const limits = evenLimits(width);
      return {
        chosen: at(width),
        raw: b.matmul(q, b.transpose(rows(key, limits), [0, 1, 3, 2])),
        value: rows(value, limits),
      };
    });
    const raw = parts.slice(1).reduce((sum, part) => b.op('Where', [part.chosen, part.raw, sum]), parts[0]!.raw);
    const scaled = block.scale === 1 ? raw : b.mul(raw, b.constant(block.scale));
    const masked = replaySteps(b, block, scaled);
    const removes = shown.length < widths.length;
    const scores = removes ? b.op('Where', [at(shown.length), b.constant(MASKED), masked]) : masked;
    this.#replaced.set(block.softmaxInput, scores);
    const real = block.contextProbabilities;
    const p = probabilities === 'real' ? real : rows(real, ownLimits);
    const contexts = parts.map((part) => b.matmul(b.mul(p, b.cast(part.chosen, 'float32')), part.value));
    this.#replaced.set(
      block.context,
      contexts.reduce((sum, one) => b.add(sum, one)),
    );
  }

  /** Scores that a step would see and does not compute, because their token is removed for it. */
  #counts(layers: readonly DecoderLayer[]): SparsityCounts {
    const b = this.#b;
    const { widths } = this.options;
    const queries = b.op('Unsqueeze', [this.#real, b.ints([2])]);
    const seen = b.op('And', [queries, this.#seen]);
    const count = (flags: string) =>
      b.op('Unsqueeze', [
        b.op('ReduceSum', [b.cast(flags, 'float64'), b.ints([1, 2])], { keepdims: int(0) }),
        b.ints([1]),
      ]);
    const removedClass = b.scalar('float64', widths.at(-1) === 0 ? widths.length - 1 : widths.length);
    const columns = layers.map(({ block, classes }) => {
      const heads = b.scalar('float64', block.heads!);
      const removed = b.op('And', [seen, b.op('Equal', [classes, removedClass])]);
      return { zeros: b.mul(count(removed), heads), elements: b.mul(count(seen), heads) };
    });
    const side = (part: 'zeros' | 'elements') => {
      const all = columns.map((column) => column[part]);
      return b.op('Concat', all, { axis: int(1) }, `dtqatten.${part}`);
    };
    const matrices = layers.map(({ block }) => ({ layer: block.layer, matrix: ACTIVATIONS.scores }));
    return { zeros: side('zeros'), elements: side('elements'), matrices };
  }
}

function requireSelf({ source, layer }: AttentionBlock, order: number): void {
  if (source !== 'cross' && layer === order) return;
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', 'The keys come from another sequence than the queries.', {
    place: `attention layer ${layer}`,
    remedy: 'Use a decoder whose attention layers are all causal self-attention.',
  });
}

/** For each sequence, step and layer the widths of the tokens that the step sees, its own last. */
function* stepRecords(
  bits: readonly string[],
  fetched: Fetched,
  lengths: readonly number[],
  firstSequence: number,
): Generator<TokenBitsRecord> {
  for (const [item, tokens] of lengths.entries()) {
    for (let step = 0; step < tokens; step++) {
      for (const [layer, name] of bits.entries()) {
        const { data, shape } = fetched[name]!;
        const start = (item * shape[1]! + step) * shape[2]!;
        const widths = Uint8Array.from((data as Float32Array).subarray(start, start + step + 1));
        yield { kind: 'token-bits', sequence: firstSequence + item, layer, head: -1, bits: widths };
      }
    }
  }
}
