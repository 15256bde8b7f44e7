/**
 * Compensation for removed tokens (the journal extension DTATrans, TCAD 2023; its details are not public, so this is a
 * reconstruction): at each layer one pseudo-token stands for all tokens of 0 bits, as the last key that every query sees.
 *
 * - Its probability, the mass m, is what these tokens had, on average over queries and heads, in the last layer in which
 *   each of them was alive; the probabilities of the tokens that are left become (1 − m) of what they were.
 * - Its value, in each head, is the average of theirs, weighted by those probabilities. Values are projections of what a
 *   removed token last was, so that a machine projects the average alone: one row. It is quantised at the smallest width.
 *
 * All tokens' masses add up to 1 at every layer.
 */
import type { GraphBuilder } from '../graph/builder.js';
import { floatTensor, int } from '../graph/types.js';
import type { TokenWidths } from './dtqatten-widths.js';
import { largestInteger, quantisedRows } from './quantise.js';

/** Divisor where no token is removed, and so nothing is averaged. */
const TINY = 1e-30;

/** The pseudo-token of a layer, float32. */
export interface PseudoToken {
  /** [batch, 1, 1, 1] */
  readonly mass: string;
  /** Share of each token in it, [batch, 1, 1, tokens]. */
  readonly weights: string;
}

export class Compensation {
  /** Of each token in the last layer in which it was alive: float64 [batch, tokens]. */
  #masses: string | undefined;
  /** Of the pseudo-token of the layer before: float64 [batch, 1]; undefined: there was none. */
  #mass: string | undefined;

  /** @param bits width of pseudo-tokens */
  constructor(
    readonly b: GraphBuilder,
    readonly bits: number,
  ) {}

  /** Undefined where nothing can be removed yet. */
  pseudoToken({ removed }: TokenWidths, layer: number): PseudoToken | undefined {
    const { b } = this;
    if (removed === undefined || this.#masses === undefined) return undefined;
    const masses = b.op('Where', [removed, this.#masses, b.scalar('float64', 0)]);
    this.#mass = b.op('ReduceSum', [masses, b.ints([1])], { keepdims: int(1) });
    const weights = b.div(masses, b.op('Max', [this.#mass, b.scalar('float64', TINY)]));
    const unfolded = (value: string, hint: string) =>
      b.op('Unsqueeze', [b.cast(value, 'float32'), b.ints([1, 2])], {}, `layer${layer}.dtqatten.${hint}`);
    return { mass: unfolded(this.#mass, 'mass'), weights: unfolded(weights, 'weights') };
  }

  /**
   * Takes in what a layer's probabilities give to tokens.
   * @param given their column sums, float64 [batch, tokens]
   */
  saw({ removed }: TokenWidths, given: string): void {
    const { b } = this;
    const shares = b.div(given, b.op('ReduceSum', [given, b.ints([1])], { keepdims: int(1) }));
    const left = this.#mass === undefined ? shares : b.mul(shares, b.sub(b.scalar('float64', 1), this.#mass));
    this.#masses =
      removed === undefined || this.#masses === undefined ? left : b.op('Where', [removed, this.#masses, left]);
  }

  /** Probabilities with the pseudo-token's as the last column: [batch, heads, queries, keys + 1]. */
  probabilities(real: string, { mass }: PseudoToken): string {
    const { b } = this;
    const left = b.mul(real, b.sub(b.constant(1), mass));
    const first = b.op('Gather', [real, b.ints([0])], { axis: int(3) });
    const column = b.add(b.mul(first, b.constant(0)), mass);
    return b.op('Concat', [left, column], { axis: int(3) });
  }

  /**
   * The pseudo-token's value as the last row: [batch, heads, keys + 1, dim].
   * @param value as the model has it
   * @param rows the same, quantised
   */
  values(value: string, rows: string, { mass, weights }: PseudoToken, hint: string): string {
    const { b } = this;
    const limits = b.constant(floatTensor([largestInteger(this.bits)]));
    const flat = b.op('Squeeze', [mass, b.ints([2, 3])]);
    const average = b.matmul(weights, value);
    const row = quantisedRows(b, average, b.add(b.mul(flat, b.constant(0)), limits), hint);
    return b.op('Concat', [rows, row], { axis: int(2) });
  }
}
