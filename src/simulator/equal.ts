/** Makes machines comparable: resizes one until it has the area, or the multipliers, of another. */
import { TandemError } from '../errors.js';
import type { Machine, Sizing } from './types.js';

export const EQUALITIES = ['area', 'multipliers'] as const;
export type Equality = (typeof EQUALITIES)[number];

export interface SizedMachine {
  // biome-ignore lint/suspicious/noExplicitAny: each machine has a configuration of its own, validated by its schema.
  readonly machine: Machine<any>;
  readonly config: unknown;
}

/** Factors that are looked at: 2^(1/64) apart, from 2^−10 to 2^10. */
const STEPS_PER_OCTAVE = 64;
const OCTAVES = 10;

/**
 * The configuration nearest to the reference, of those that `Sizing.resized` makes.
 * @returns it, and its area (µm²) or multipliers (bits²) over the reference's
 * @throws TANDEM_CONFIG_INVALID for a machine without sizes to compare at
 */
export function madeEqual(
  reference: SizedMachine,
  other: SizedMachine,
  equal: Equality,
): { config: unknown; achieved: number } {
  const wanted = sizeOf(reference, reference.config, equal);
  const distance = (size: number) => Math.abs(Math.log(size / wanted));
  let best = { config: other.config, achieved: sizeOf(other, other.config, equal) / wanted };
  for (let step = -OCTAVES * STEPS_PER_OCTAVE; step <= OCTAVES * STEPS_PER_OCTAVE; step++) {
    const config = sizingOf(other.machine).resized(other.config, 2 ** (step / STEPS_PER_OCTAVE));
    const size = sizeOf(other, config, equal);
    if (distance(size) < distance(best.achieved * wanted)) best = { config, achieved: size / wanted };
  }
  return best;
}

function sizeOf({ machine }: SizedMachine, config: unknown, equal: Equality): number {
  const sizing = sizingOf(machine);
  return equal === 'area' ? sizing.areaSquareMicrometres(config) : sizing.multiplierBits(config);
}

function sizingOf({ name, sizing }: SizedMachine['machine']): Sizing<unknown> {
  if (sizing) return sizing;
  throw new TandemError('TANDEM_CONFIG_INVALID', `The machine "${name}" has no sizes to compare at.`, {
    place: 'equal',
    remedy: 'Leave `equal` out, or leave this machine out: see `tandem list machines`.',
  });
}

/** A count times a factor, at least 1. */
export const resizedCount = (count: number, factor: number): number => Math.max(1, Math.round(count * factor));
