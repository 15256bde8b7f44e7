/** The threshold for a wanted sparsity or accuracy, looked up in what a run has measured: nothing is run here. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import {
  accuracyAt,
  parseProfile,
  type SparsityProfile,
  sparsityAt,
  type ThresholdTarget,
  thresholdFor,
} from '../techniques/profile.js';
import { readable } from './file-errors.js';

/** The profile in a run's folder. */
export const PROFILE_FILE = 'profile.json';

export interface ThresholdLookup {
  readonly threshold: number;
  /** What the profile expects there: shares in 0 … 1. */
  readonly sparsity: number;
  readonly accuracy: number;
  /** Below the accuracy at the profile's first point; negative where accuracy is gained. */
  readonly accuracyLoss: number;
  /** How the threshold follows from the measured points. */
  readonly found: string;
  readonly rule: string;
  readonly data: SparsityProfile['data'];
}

/**
 * @param source a run folder, or a profile file
 * @throws TANDEM_TARGET_UNREACHABLE, TANDEM_FILE_NOT_FOUND, TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID
 */
export async function lookUpThreshold(source: string, target: ThresholdTarget): Promise<ThresholdLookup> {
  const profile = await readProfile(source);
  const threshold = thresholdFor(profile, target);
  const accuracy = accuracyAt(profile, threshold);
  return {
    threshold,
    sparsity: sparsityAt(profile, threshold),
    accuracy,
    accuracyLoss: profile.points[0]!.accuracy - accuracy,
    found: howFound(profile, target, threshold),
    rule: profile.rule,
    data: profile.data,
  };
}

async function readProfile(source: string): Promise<SparsityProfile> {
  const isFolder = await readable(source, async () => (await stat(source)).isDirectory());
  const path = isFolder ? join(source, PROFILE_FILE) : source;
  try {
    return parseProfile(await readable(path, () => readFile(path, 'utf8')), path);
  } catch (cause) {
    if (!isFolder || !(cause instanceof TandemError) || cause.code !== 'TANDEM_FILE_NOT_FOUND') throw cause;
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `The folder "${source}" holds no profile of thresholds.`, {
      place: path,
      remedy: 'Name a run whose technique measures one (dynatran), once its training is done, or a profile file.',
      cause,
    });
  }
}

function howFound({ points }: SparsityProfile, target: ThresholdTarget, threshold: number): string {
  if ('accuracyLoss' in target) {
    const percent = `${Number((target.accuracyLoss * 100).toPrecision(6))} %`;
    return `the largest measured up to which at most ${percent} of the predictions change`;
  }
  const next = points.findIndex(({ parameter }) => parameter >= threshold);
  const after = points[next]!.parameter;
  return after === threshold
    ? 'measured there'
    : `interpolated between the measured ${points[next - 1]!.parameter} and ${after}`;
}
