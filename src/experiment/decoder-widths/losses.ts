/** Cross entropy of a decoder, sequence by sequence, and what a change of it loses. */
import { mean, sampleStandardDeviation } from 'simple-statistics';
import { withOutputs } from '../../graph/edit.js';
import type { Graph } from '../../graph/types.js';
import { Session } from '../../runtime/session.js';
import type { Feeds, Fetched } from '../../runtime/types.js';
import { studentQuantile } from '../../student.js';
import type { InferenceRewrite } from '../../techniques/types.js';
import type { TraceRecord } from '../../trace/types.js';
import type { RunContext } from '../api.js';
import { LIKELIHOOD, withLikelihood } from '../decoding/likelihood.js';
import { type HeldOut, overSequences } from '../decoding/profile.js';
import type { Experiment } from '../schema.js';

/** Nats a token, for each sequence. */
export type Losses = readonly number[];

export interface Measuring {
  readonly label: string;
  readonly feeds?: Feeds | undefined;
  /** What is fetched of the first sequences, and who wants it. */
  readonly observed?: {
    readonly names: readonly string[];
    readonly sequences: number;
    visit(fetched: Fetched, sequences: number, first: number): Promise<void>;
  };
}

/** A decoder that is measured again and again. */
export class LossSession {
  private constructor(readonly session: Session) {}

  /** @param observed values that a measurement may fetch */
  static async create(graph: Graph, observed: readonly string[], runtime: Experiment['runtime']): Promise<LossSession> {
    const measured = withOutputs(withLikelihood(graph, 'logits'), [LIKELIHOOD, ...observed]);
    return new LossSession(await Session.create(measured, runtime));
  }

  async losses(held: HeldOut, { label, feeds, observed }: Measuring, context: RunContext): Promise<Losses> {
    const losses: number[] = [];
    const { names = [], sequences = 0 } = observed ?? {};
    const fetches = (first: number) => [LIKELIHOOD, ...(first < sequences ? names : [])];
    for await (const fetched of overSequences(this.session, held, label, context, feeds, fetches)) {
      const { data, shape } = fetched[LIKELIHOOD]!;
      const first = losses.length;
      for (let row = 0; row < shape[0]!; row++) {
        losses.push(-mean([...(data as Float32Array).subarray(row * held.length, (row + 1) * held.length)]));
      }
      if (first < sequences) await observed!.visit(fetched, Math.min(shape[0]!, sequences - first), first);
    }
    return losses;
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }
}

/** The steps of the first sequences, as the records of their tokens' widths. */
export const stepsObserved = (
  { observed, record }: InferenceRewrite,
  length: number,
  sequences: number,
  onRecords: (records: Iterable<TraceRecord>) => void | Promise<void>,
): NonNullable<Measuring['observed']> => ({
  names: observed,
  sequences,
  visit: async (fetched, count, first) => {
    await onRecords(record(fetched, new Array<number>(count).fill(length), first));
  },
});

export const perplexityOf = (losses: Losses): number => Math.exp(mean([...losses]));

/** Mean over sequences of the nats lost, with the half width of its interval. @param probability 0.5 … 1 */
function lostNats(before: Losses, after: Losses, probability: number): { lost: number; half: number } {
  const differences = after.map((loss, sequence) => loss - before[sequence]!);
  const error = sampleStandardDeviation(differences) / Math.sqrt(differences.length);
  return { lost: mean(differences), half: studentQuantile(probability, differences.length - 1) * error };
}

/**
 * Upper end of the one-sided interval for the share of perplexity lost, by Student's t over sequences.
 * @param before of at least two sequences
 * @param confidence 0.5 … 1
 */
export function largestPerplexityLoss(before: Losses, after: Losses, confidence: number): number {
  const { lost, half } = lostNats(before, after, confidence);
  return Math.expm1(lost + half);
}

/** 95 % interval for the relative change of perplexity; undefined for a single sequence. */
export function changeInterval(before: Losses, after: Losses): readonly [number, number] | undefined {
  if (before.length < 2) return undefined;
  const { lost, half } = lostNats(before, after, 0.975);
  return [Math.expm1(lost - half), Math.expm1(lost + half)];
}
