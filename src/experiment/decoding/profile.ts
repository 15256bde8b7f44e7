/** Exit profiles of the held-out text. */
import { withOutputs } from '../../graph/edit.js';
import type { DecoderModel } from '../../models/decoder-types.js';
import { chunks } from '../../runtime/batches.js';
import { checkAborted } from '../../runtime/evaluate.js';
import { Session } from '../../runtime/session.js';
import type { Feeds, Fetched } from '../../runtime/types.js';
import { type ExitProfile, exitProfile, joinProfiles } from '../../techniques/toex-profile.js';
import type { RunContext } from '../api.js';
import type { Tokens } from './prepare.js';
import type { DecodingExperiment } from './schema.js';
import { sequenceFeeds, sequencesIn } from './sequences.js';

const BATCH = 4;

/** Text cut into whole contexts; which of them are looked at. */
export interface HeldOut {
  readonly text: Tokens;
  readonly sequences: readonly number[];
  readonly length: number;
}

/** Sequences spread evenly over a text. @throws TANDEM_DATA_INVALID for a text shorter than a context */
export function heldOut(text: Tokens, length: number, most: number | undefined): HeldOut {
  const all = sequencesIn(text, length);
  const count = Math.min(most ?? all, all);
  return { text, length, sequences: Array.from({ length: count }, (_, i) => Math.floor((i * all) / count)) };
}

/** Runs a decoder over sequences, batch by batch. @param fetches of a batch that begins with a sequence; by default all outputs */
export async function* overSequences(
  session: Session,
  { text, sequences, length }: HeldOut,
  label: string,
  context: RunContext,
  feeds: Feeds = {},
  fetches?: (first: number) => readonly string[],
): AsyncGenerator<Fetched> {
  const task = context.progress.task(label, sequences.length, 'sequences');
  let done = 0;
  for (const batch of chunks(sequences, BATCH)) {
    checkAborted(context.signal);
    yield await session.run({ ...sequenceFeeds(text, batch, length), ...feeds }, fetches?.(done));
    done += batch.length;
    task.update(done);
  }
  task.end();
}

export async function profileOf(
  { graph }: DecoderModel,
  { technique, runtime }: Pick<DecodingExperiment, 'technique' | 'runtime'>,
  held: HeldOut,
  label: string,
  context: RunContext,
): Promise<ExitProfile> {
  const rewrite = exitProfile(graph, technique);
  const names = rewrite.graph.outputs.map(({ name }) => name);
  const session = await Session.create(withOutputs(rewrite.graph, names), runtime);
  try {
    const parts: ExitProfile[] = [];
    for await (const fetched of overSequences(session, held, label, context)) parts.push(rewrite.profile(fetched));
    return joinProfiles(parts);
  } finally {
    await session.dispose();
  }
}
