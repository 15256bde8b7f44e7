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
  /** In order of the parameter. */
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
 * non-decreasing by its running maximum. Accuracy: the largest measured threshold that keeps the accuracy and below which
 * all measured ones keep it.
 * @throws TANDEM_TARGET_UNREACHABLE when the target lies outside of what was measured
 */
export function thresholdFor(profile: SparsityProfile, target: ThresholdTarget): number {
  return 'sparsity' in target
    ? thresholdForSparsity(profile, target.sparsity)
    : thresholdForLoss(profile, target.accuracyLoss);
}

function thresholdForSparsity({ points, rule }: SparsityProfile, wanted: number): number {
  let [least, most] = [points[0]!.sparsity, points[0]!.sparsity];
  let before = { parameter: points[0]!.parameter, sparsity: least };
  if (wanted === least) return before.parameter;
  for (const { parameter, sparsity } of points) {
    most = Math.max(most, sparsity);
    if (wanted >= least && wanted <= most && most > before.sparsity) {
      const way = (wanted - before.sparsity) / (most - before.sparsity);
      return before.parameter + way * (parameter - before.parameter);
    }
    before = { parameter, sparsity: most };
  }
  const text = (value: number) => `${(value * 100).toFixed(2)} %`;
  throw unreachable(
    `No threshold that was measured gives ${text(wanted)} zeros.`,
    `${rule}: sparsity ${wanted}`,
    `It reaches from ${text(least)} (τ = ${points[0]!.parameter}) to ${text(most)}; a wider \`grid\` measures larger thresholds.`,
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
  // Accuracies are multiples of 1 / examples; rounding must not turn an equal one into a smaller one.
  const enough = first!.accuracy - loss - 1e-12;
  const fails = points.findIndex(({ accuracy }) => accuracy < enough);
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
