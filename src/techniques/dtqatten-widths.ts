/** DTQAtten's decision as graph operators: how important each token is, and the width that it gets by its rank. */
import type { GraphBuilder } from '../graph/builder.js';
import { floatTensor, int, tensor } from '../graph/types.js';
import { largestInteger } from './quantise.js';

/** Ranks before every sum of probabilities. */
const FIRST_OF_ALL = 1e300;
/** Shares times lengths miss whole numbers by rounding: 0.7 · 10 must not become 8 tokens. */
const CEILING_TOLERANCE = 1e-9;

/** What tokens have at one layer; [batch, tokens] each. */
export interface TokenWidths {
  /** Position among the widths, float32; 0 for padding. */
  readonly classes: string;
  /** float32; padding has the largest width, which nothing counts. */
  readonly bits: string;
  /** Largest integer of that width, float32; 0 at 0 bits. */
  readonly limits: string;
  /** bool: real tokens of 0 bits; undefined where there cannot be any. */
  readonly removed: string | undefined;
}

/** Gives widths layer by layer. */
export class WidthAssigner {
  readonly #real: string;
  readonly #tokens: string;
  readonly #positions: string;
  readonly #earlier: string;

  /**
   * @param widths descending
   * @param keepsFirst whether the first token ranks before all others, because the classifier reads it
   * @param technique prefix of value names
   */
  constructor(
    readonly b: GraphBuilder,
    readonly widths: readonly number[],
    readonly keepsFirst: boolean,
    readonly technique = 'dtqatten',
  ) {
    this.#real = b.op('Greater', ['attention_mask', b.constant(0)], {}, `${technique}.real`);
    this.#tokens = this.count(this.#real, `${technique}.tokens`);
    const padded = b.op('Gather', [b.op('Shape', ['attention_mask']), b.scalar('int64', 1)]);
    this.#positions = b.op('Range', [b.scalar('int64', 0), padded, b.scalar('int64', 1)], {}, `${technique}.positions`);
    this.#earlier = b.op('Less', [this.#beside(this.#positions, 1), this.#beside(this.#positions, 0)]);
  }

  /** Real tokens, float64 [batch, 1]. */
  get tokens(): string {
    return this.#tokens;
  }

  /** True entries, float64 [batch, 1]. */
  count(flags: string, hint?: string): string {
    return this.b.op('ReduceSum', [this.b.cast(flags, 'float64'), this.b.ints([1])], { keepdims: int(1) }, hint);
  }

  /** Real tokens that are not removed, bool [batch, tokens]. */
  alive({ removed }: TokenWidths): string {
    return removed === undefined ? this.#real : this.b.op('And', [this.#real, this.b.op('Not', [removed])]);
  }

  /**
   * Every token at one width: nothing is known of its importance yet.
   * @param row float64 [widths], 1 at that width and 0 elsewhere; absent: the largest width
   */
  uniform(layer: number, row?: string): TokenWidths {
    const { b } = this;
    const positions = Float64Array.from(this.widths, (_, width) => width);
    const one = b.constant(tensor('float64', [positions.length], positions));
    const chosen =
      row === undefined ? b.constant(0) : b.cast(b.op('ReduceSum', [b.mul(row, one)], { keepdims: int(0) }), 'float32');
    return this.#described(b.mul(b.cast(this.#real, 'float32'), chosen), layer, false);
  }

  /**
   * The ⌈r₀·n⌉ first of n tokens get the largest width, the ⌈r₁·n⌉ behind them the next one, and so on; at least one token
   * stays. Tokens rank by the width that they have, then by importance, then by position: a width never rises, and the
   * shares hold as far as they do not ask for that.
   * @param importance float64 [batch, tokens]
   * @param ratios float64 [widths]
   */
  next(before: TokenWidths, importance: string, ratios: string, layer: number): TokenWidths {
    const { b } = this;
    const bounds = this.#bounds(ratios);
    const rank = b.op('Unsqueeze', [this.#rank(before.classes, importance), b.ints([2])]);
    const passed = b.op('GreaterOrEqual', [rank, b.op('Unsqueeze', [bounds, b.ints([1])])]);
    const wanted = b.op('ReduceSum', [b.cast(passed, 'float32'), b.ints([2])], { keepdims: int(0) });
    const classes = b.op('Max', [before.classes, wanted]);
    return this.#described(b.op('Where', [this.#real, classes, b.constant(0)]), layer, true);
  }

  /**
   * Column sums of the probabilities over heads and real queries that are left: float64 [batch, tokens].
   * @param probabilities [batch, heads, queries, keys] of each kind of head
   */
  importance(probabilities: readonly string[], widths: TokenWidths): string {
    const { b } = this;
    const queries = b.op('Unsqueeze', [b.cast(this.alive(widths), 'float64'), b.ints([1, 3])]);
    const sums = probabilities.map((one) => {
      const counted = b.mul(b.cast(one, 'float64'), queries);
      return b.op('ReduceSum', [counted, b.ints([1, 2])], { keepdims: int(0) });
    });
    return sums.reduce((total, sum) => b.add(total, sum));
  }

  /** Ranks below bound w have width w or a larger one: float64 [batch, widths − 1]. */
  #bounds(ratios: string): string {
    const { b, widths } = this;
    const shares = b.op('Gather', [ratios, b.ints(widths.slice(1).map((_, width) => width))], { axis: int(0) });
    const exact = b.sub(b.mul(this.#tokens, shares), b.scalar('float64', CEILING_TOLERANCE));
    const bounds = b.op('CumSum', [b.op('Ceil', [exact]), b.scalar('int64', 1)]);
    if (widths.at(-1) !== 0) return bounds;
    const least = Float64Array.from(widths.slice(1), (_, width) => (width === widths.length - 2 ? 1 : 0));
    return b.op('Max', [bounds, b.constant(tensor('float64', [least.length], least))]);
  }

  /** How many tokens of the same text come before a token: float64 [batch, tokens]. */
  #rank(classes: string, importance: string): string {
    const { b } = this;
    const isFirst = b.op('Equal', [this.#positions, b.scalar('int64', 0)]);
    const weighed = this.keepsFirst
      ? b.op('Where', [isFirst, b.scalar('float64', FIRST_OF_ALL), importance])
      : importance;
    const compared = (opType: string, values: string) =>
      b.op(opType, [this.#beside(values, 2), this.#beside(values, 1)]);
    const ties = b.op('And', [compared('Equal', weighed), this.#earlier]);
    const within = b.op('Or', [compared('Greater', weighed), ties]);
    const same = b.op('And', [compared('Equal', classes), within]);
    const precedes = b.op('Or', [compared('Less', classes), same]);
    const counted = b.op('And', [precedes, this.#beside(this.#real, 2)]);
    return b.op('ReduceSum', [b.cast(counted, 'float64'), b.ints([1])], { keepdims: int(0) });
  }

  #beside(values: string, axis: number): string {
    return this.b.op('Unsqueeze', [values, this.b.ints([axis])]);
  }

  #described(classes: string, layer: number, mayRemove: boolean): TokenWidths {
    const { b, widths } = this;
    const index = b.cast(classes, 'int64');
    const table = (values: readonly number[], hint: string) =>
      b.op('Gather', [b.constant(floatTensor(values)), index], {}, `layer${layer}.${this.technique}.${hint}`);
    const removes = mayRemove && widths.at(-1) === 0;
    return {
      classes,
      bits: table(widths, 'bits'),
      limits: table(
        widths.map((bits) => (bits === 0 ? 0 : largestInteger(bits))),
        'limits',
      ),
      removed: removes
        ? b.op('Equal', [classes, b.constant(widths.length - 1)], {}, `layer${layer}.${this.technique}.removed`)
        : undefined,
    };
  }
}
