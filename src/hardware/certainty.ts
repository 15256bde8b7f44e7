/**
 * How sure a constant is, as an interval, and how intervals travel through sums and products. The factors are our
 * choice (assumed): they rank the certainties, they are not measured spreads.
 */
import type { Certainty, Constant } from './types.js';

/** A constant of this certainty is taken to lie within value / factor … value · factor. */
export const CERTAINTY_FACTOR: Readonly<Record<Certainty, number>> = {
  published: 1.1,
  derived: 1.2,
  scaled: 1.3,
  assumed: 2,
};

/** Relative factors [low, high] around a value. */
export type Interval = readonly [number, number];

export const EXACT: Interval = [1, 1];

export function certaintyInterval(certainty: Certainty): Interval {
  const factor = CERTAINTY_FACTOR[certainty];
  return [1 / factor, factor];
}

/** A number with the constants it came from and the relative interval they imply. */
export interface Estimate {
  readonly value: number;
  readonly interval: Interval;
  readonly constants: readonly Constant[];
}

export function estimate(constant: Constant): Estimate {
  return { value: constant.value, interval: certaintyInterval(constant.certainty), constants: [constant] };
}

/** A pure number: a width, a count. */
export function exactly(value: number): Estimate {
  return { value, interval: EXACT, constants: [] };
}

/** Factors of a product are unsure independently of each other: their logarithms add in quadrature. */
export function product(...factors: readonly (Estimate | number)[]): Estimate {
  const estimates = factors.map((factor) => (typeof factor === 'number' ? exactly(factor) : factor));
  const spread = (side: 0 | 1) => Math.hypot(...estimates.map((one) => Math.log(one.interval[side])));
  return {
    value: estimates.reduce((value, one) => value * one.value, 1),
    interval: [Math.exp(-spread(0)), Math.exp(spread(1))],
    constants: distinct(estimates.flatMap((one) => one.constants)),
  };
}

/** Terms of a sum often share constants, so all are taken to err the same way: the wide, safe choice. */
export function sum(...terms: readonly Estimate[]): Estimate {
  const value = terms.reduce((total, term) => total + term.value, 0);
  return { value, interval: weighted(terms), constants: distinct(terms.flatMap((term) => term.constants)) };
}

/** Relative interval of a sum whose terms all err the same way. */
export function weighted(terms: readonly { readonly value: number; readonly interval: Interval }[]): Interval {
  const side = (index: 0 | 1) => terms.reduce((total, term) => total + term.value * term.interval[index], 0);
  const value = terms.reduce((total, term) => total + term.value, 0);
  return value === 0 ? EXACT : [side(0) / value, side(1) / value];
}

/** The narrowest interval that contains all given ones. */
export function widest(intervals: readonly Interval[]): Interval {
  return [Math.min(1, ...intervals.map(([low]) => low)), Math.max(1, ...intervals.map(([, high]) => high))];
}

/** Constants without repetition, by name, in order of first use. */
export function distinct(constants: readonly Constant[]): readonly Constant[] {
  const byName = new Map<string, Constant>();
  for (const constant of constants) if (!byName.has(constant.name)) byName.set(constant.name, constant);
  return [...byName.values()];
}
