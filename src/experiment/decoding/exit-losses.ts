/** How well a decoder speaks after each layer, on text that it was not trained on. */
import { withOutputs } from '../../graph/edit.js';
import type { Graph } from '../../graph/types.js';
import { addExitLosses } from '../../models/exit-losses.js';
import type { Gpt2Config } from '../../models/gpt2.js';
import { chunks } from '../../runtime/batches.js';
import { checkAborted } from '../../runtime/evaluate.js';
import { Session } from '../../runtime/session.js';
import type { RunContext } from '../api.js';
import type { Tokens } from './prepare.js';
import type { DecodingExperiment } from './schema.js';
import { sequenceFeeds, sequencesIn } from './sequences.js';

const BATCH = 8;

/**
 * Mean cross entropy in nats of the token that follows, at each layer's exit, over a text cut into whole contexts; what is
 * left over at its end does not count.
 */
export async function lossesAtExits(
  graph: Graph,
  config: Gpt2Config,
  text: Tokens,
  runtime: DecodingExperiment['runtime'],
  context: RunContext,
): Promise<number[]> {
  const uniform = Array.from({ length: config.layers }, () => 1);
  const { graph: measured, exits } = addExitLosses(graph, uniform, config);
  const session = await Session.create(withOutputs(measured, exits), runtime);
  const sequences = sequencesIn(text, config.context);
  const task = context.progress.task('measuring every exit', sequences, 'sequences');
  const sums = exits.map(() => 0);
  try {
    for (const batch of chunks([...Array(sequences).keys()], BATCH)) {
      checkAborted(context.signal);
      const losses = await session.run(sequenceFeeds(text, batch, config.context));
      exits.forEach((exit, i) => {
        sums[i]! += Number(losses[exit]!.data[0]) * batch.length;
      });
      task.update(batch.at(-1)! + 1);
    }
  } finally {
    task.end();
    await session.dispose();
  }
  return sums.map((sum) => sum / sequences);
}
