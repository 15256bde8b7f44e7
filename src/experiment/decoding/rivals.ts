/** Other treatments of keys and values that are missing, with the same thresholds. */
import { GraphBuilder } from '../../graph/builder.js';
import { withOutputs } from '../../graph/edit.js';
import { type Graph, int } from '../../graph/types.js';
import type { DecoderModel } from '../../models/decoder-types.js';
import { Session } from '../../runtime/session.js';
import { type BackFill, EMITTED, EXITS, LOGITS, thresholdFeeds, toexRewrite } from '../../techniques/toex.js';
import type { ExitQuality } from '../../techniques/toex-calibration.js';
import type { ExitProfile } from '../../techniques/toex-profile.js';
import type { RunContext } from '../api.js';
import { type HeldOut, overSequences } from './profile.js';
import type { DecodingExperiment } from './schema.js';

export interface Rival {
  readonly name: string;
  readonly backFill: BackFill;
}

export const RIVALS: readonly Rival[] = [
  { name: 'state propagation', backFill: 'propagate' },
  { name: 'no back-fill', backFill: 'none' },
];

/** @param profile of the same text: what the full model says */
export async function rivalQuality(
  { name, backFill }: Rival,
  model: DecoderModel,
  { technique, runtime }: DecodingExperiment,
  thresholds: readonly number[],
  { held, profile }: { readonly held: HeldOut; readonly profile: ExitProfile },
  context: RunContext,
): Promise<ExitQuality> {
  const graph = withLikelihood(toexRewrite(model.graph, technique, backFill));
  const session = await Session.create(withOutputs(graph, [EXITS, EMITTED, LIKELIHOOD]), runtime);
  const { layers, tokens, fullToken } = profile;
  let [token, sum, equal, depth] = [0, 0, 0, 0];
  try {
    for await (const fetched of overSequences(
      session,
      held,
      `measuring ${name}`,
      context,
      thresholdFeeds(thresholds),
    )) {
      const likelihood = fetched[LIKELIHOOD]!.data as Float32Array;
      const emitted = fetched[EMITTED]!.data as BigInt64Array;
      const exits = fetched[EXITS]!.data as BigInt64Array;
      for (const [i, value] of likelihood.entries()) {
        sum += value;
        depth += Number(exits[i]);
        if (Number(emitted[i]) === fullToken[token * layers + layers - 1]) equal++;
        token++;
      }
    }
  } finally {
    await session.dispose();
  }
  return { perplexity: Math.exp(-sum / tokens), agreement: equal / tokens, meanDecoders: depth / tokens };
}

const LIKELIHOOD = 'toex.likelihood';

/** log probability of the targets, by the logits at each token's exit. */
function withLikelihood(graph: Graph): Graph {
  const b = new GraphBuilder(graph.name, graph);
  const targets = b.op('Unsqueeze', [b.input('targets', 'int64', ['batch', 'tokens']), b.ints([-1])]);
  const logarithms = b.op('LogSoftmax', [LOGITS], { axis: int(-1) });
  b.op('Squeeze', [b.op('GatherElements', [logarithms, targets], { axis: int(-1) }), b.ints([-1])], {}, LIKELIHOOD);
  return b.finish();
}
