/**
 * What a threshold does to a model on a task, measured: the curves ρ(τ), zeros over elements, and accuracy(τ). The
 * threshold for a wanted sparsity or accuracy is looked up in them (TransCODE, 2023: a threshold calculator beside stored
 * curves), so that it may change at run time without building the model anew.
 */
import { z } from 'zod';
import { TandemError } from '../errors.js';

const share = z.number().min(0).max(1);
const matrixSchema = z.strictObject({
  layer: z.int().min(0),
  matrix: z.string(),
  zeros: z.int().min(0),
  elements: z.int().min(0),
});
const pointSchema = z.strictObject({
  parameter: z.number(),
  sparsity: share,
  accuracy: share,
  /** Share of the predictions that differ from those at the first point. */
  changed: share,
  matrices: z.array(matrixSchema),
});
const profileSchema = z.strictObject({
  tandemProfile: z.literal(1),
  rule: z.string(),
  /** What moves: "τ" or "k". */
  parameter: z.string(),
  /** The hash is that of the trained weights. */
  model: z.strictObject({ name: z.string(), sha256: z.string() }),
  data: z.strictObject({ name: z.string(), split: z.string(), examples: z.int().positive(), sha256: z.string() }),
  /** In order of the parameter; the first one is what accuracy is lost against. */
  points: z.array(pointSchema).min(1),
});

/** Curves of one pruning rule on one model and data set. */
export type SparsityProfile = z.infer<typeof profileSchema>;
export type ProfilePoint = SparsityProfile['points'][number];

/** What the threshold is to achieve: a share of zeros, or an accuracy at most this much (a share) below that at τ = 0. */
export type ThresholdTarget = { readonly sparsity: number } | { readonly accuracyLoss: number };

/**
 * Reads a profile as `JSON.stringify` wrote it.
 * @throws TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID
 */
export function parseProfile(text: string, place: string): SparsityProfile {
  const profile = profileSchema.safeParse(json(text, place));
  if (!profile.success) throw invalid(z.prettifyError(profile.error), place);
  const { points } = profile.data;
  if (points.every(({ parameter }, i) => i === 0 || points[i - 1]!.parameter < parameter)) return profile.data;
  throw invalid('The points are not in order of their parameter.', place);
}

/**
 * The threshold that the profile gives for a target. Sparsity: by linear interpolation between measured points, of ρ made
 * non-decreasing by its running maximum. Accuracy: the largest measured threshold up to which at every measured one no
 * larger share of the predictions differs from those at τ = 0 than accuracy may be lost. The loss never exceeds that
 * share, since only a changed prediction can be a lost one; but it may be small by chance where right and wrong ones
 * changed alike, so that a choice by the loss itself depends on the few examples at hand.
 * @throws TANDEM_TARGET_UNREACHABLE when the target lies outside of what was measured
 */
export function thresholdFor(profile: SparsityProfile, target: ThresholdTarget): number {
  return 'sparsity' in target
    ? thresholdForSparsity(profile, target.sparsity)
    : thresholdForLoss(profile, target.accuracyLoss);
}

/**
 * ρ(τ), the share of zeros to expect at a threshold: as `thresholdFor` inverts it.
 * @throws TANDEM_TARGET_UNREACHABLE outside of the measured thresholds
 */
export const sparsityAt = (profile: SparsityProfile, threshold: number): number =>
  interpolated(risingSparsity(profile), threshold, profile);

/**
 * The accuracy to expect at a threshold: linear between measured points.
 * @throws TANDEM_TARGET_UNREACHABLE outside of the measured thresholds
 */
export const accuracyAt = (profile: SparsityProfile, threshold: number): number =>
  interpolated(
    profile.points.map(({ parameter, accuracy }) => [parameter, accuracy]),
    threshold,
    profile,
  );

type Curve = readonly (readonly [parameter: number, value: number])[];

function risingSparsity({ points }: SparsityProfile): Curve {
  let most = 0;
  return points.map(({ parameter, sparsity }) => {
    most = Math.max(most, sparsity);
    return [parameter, most] as const;
  });
}

function interpolated(curve: Curve, threshold: number, { rule }: SparsityProfile): number {
  const next = curve.findIndex(([parameter]) => parameter >= threshold);
  const [after, before] = [curve[next], curve[next - 1]];
  if (after?.[0] === threshold) return after[1];
  if (after && before) return before[1] + ((threshold - before[0]) / (after[0] - before[0])) * (after[1] - before[1]);
  throw unreachable(
    `τ = ${threshold} lies outside of the thresholds that were measured.`,
    `${rule}: threshold ${threshold}`,
    `They reach from ${curve[0]![0]} to ${curve.at(-1)![0]}; a wider \`grid\` measures others.`,
  );
}

function thresholdForSparsity(profile: SparsityProfile, wanted: number): number {
  const curve = risingSparsity(profile);
  const [[first, least], [, most]] = [curve[0]!, curve.at(-1)!];
  const next = curve.findIndex(([, sparsity]) => sparsity >= wanted);
  if (wanted === least) return first;
  if (next > 0) {
    const [[a, from], [b, to]] = [curve[next - 1]!, curve[next]!];
    const way = (wanted - from) / (to - from);
    // Rounding must not lead out of the interval.
    return Math.min(b, a * (1 - way) + b * way);
  }
  const text = (value: number) => `${(value * 100).toFixed(2)} %`;
  throw unreachable(
    `No threshold that was measured gives ${text(wanted)} zeros.`,
    `${profile.rule}: sparsity ${wanted}`,
    `It reaches from ${text(least)} (τ = ${first}) to ${text(most)}; a wider \`grid\` measures larger thresholds.`,
  );
}

function thresholdForLoss({ points, rule }: SparsityProfile, loss: number): number {
  const [first] = points;
  if (first!.parameter > 0 || loss < 0) {
    throw unreachable(
      loss < 0 ? 'A loss of accuracy is not negative.' : 'The accuracy without pruning was not measured.',
      `${rule}: accuracyLoss ${loss}`,
      'Measure the profile from τ = 0 on, and ask for a loss of at least 0.',
    );
  }
  // Shares are multiples of 1 / examples; rounding must not turn an equal one into a larger one.
  const fails = points.findIndex(({ changed }) => changed > loss + 1e-12);
  return points[(fails < 0 ? points.length : fails) - 1]!.parameter;
}

function json(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TandemError('TANDEM_CONFIG_SYNTAX', 'The profile is not JSON.', { place, cause });
  }
}

const invalid = (message: string, place: string): TandemError =>
  new TandemError('TANDEM_CONFIG_INVALID', `This is no profile of a pruning rule. ${message}`, {
    place,
    remedy: 'Name a file profile.json that a run has written.',
  });

const unreachable = (message: string, place: string, remedy: string): TandemError =>
  new TandemError('TANDEM_TARGET_UNREACHABLE', message, { place, remedy });
