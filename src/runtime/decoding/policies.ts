import { TandemError } from '../../errors.js';
import type { Candidate, Choices, ExitPolicy, Verdict } from './exit-types.js';
import type { LightEmbedding } from './light-embedding.js';
import type { DecoderSessions } from './sessions.js';

/** Each token stops after as many layers as it is given, by sequence of the batch and token. */
export function fixedDepths(depth: (sequence: number, token: number) => number): ExitPolicy {
  return {
    async afterLayer(layers, candidates) {
      return candidates.map(({ sequence, token }) => ({ exit: depth(sequence, token) <= layers }));
    },
  };
}

/** How sure a choice is: the lead of the likeliest over the next one (CALM's measure), or its probability. */
export type ConfidenceMeasure = 'gap' | 'probability';

export interface ConfidenceOptions {
  /** By layer, from the first one on: confidence from which a token stops; undefined where no check is made. */
  readonly thresholds: readonly (number | undefined)[];
  readonly measure: ConfidenceMeasure;
}

/**
 * A token stops when the light output embedding is sure of its successor.
 * @throws TANDEM_CONFIG_INVALID for thresholds beyond 0 … 1
 */
export function confidencePolicy(
  sessions: DecoderSessions,
  light: LightEmbedding,
  { thresholds, measure }: ConfidenceOptions,
): ExitPolicy {
  for (const [layer, threshold] of thresholds.entries()) {
    if (threshold === undefined || (threshold >= 0 && threshold <= 1)) continue;
    throw new TandemError('TANDEM_CONFIG_INVALID', `The threshold ${threshold} is not a confidence from 0 to 1.`, {
      place: `threshold after layer ${layer + 1}`,
      remedy: 'Give a threshold from 0 (always stop) to 1 (stop when nothing else is possible).',
    });
  }
  return {
    async afterLayer(depth, candidates) {
      const threshold = thresholds[depth - 1];
      if (threshold === undefined) return candidates.map(() => ({ exit: false }));
      return (await lightChoices(sessions, light, candidates)).map((choices): Verdict => {
        return { exit: confidence(choices.logits, measure) >= threshold, choices };
      });
    },
  };
}

/** What the light output embedding lets each candidate choose from. */
export async function lightChoices(
  sessions: DecoderSessions,
  light: LightEmbedding,
  candidates: readonly Candidate[],
): Promise<Choices[]> {
  const { hidden } = sessions.sizes;
  const rows = new Float32Array(candidates.length * hidden);
  for (const [row, { state }] of candidates.entries()) rows.set(state, row * hidden);
  const normed = await sessions.norm(rows);
  return candidates.map((_, row) => light.choices(normed.subarray(row * hidden, (row + 1) * hidden)));
}

/** Of softmax over the logits: the largest probability, or by how much it exceeds the next one. */
export function confidence(logits: Float32Array, measure: ConfidenceMeasure): number {
  let [first, second] = [-Infinity, -Infinity];
  for (const logit of logits) {
    if (logit > first) [first, second] = [logit, first];
    else if (logit > second) second = logit;
  }
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - first);
  return (measure === 'probability' ? 1 : 1 - Math.exp(second - first)) / sum;
}
