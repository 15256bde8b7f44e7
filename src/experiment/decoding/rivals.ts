/** Other treatments of keys and values that are missing, with the same thresholds. */
import { withOutputs } from '../../graph/edit.js';
import type { DecoderModel } from '../../models/decoder-types.js';
import { Session } from '../../runtime/session.js';
import { type BackFill, EMITTED, EXITS, LOGITS, thresholdFeeds, toexRewrite } from '../../techniques/toex.js';
import type { ExitQuality } from '../../techniques/toex-calibration.js';
import type { ExitProfile } from '../../techniques/toex-profile.js';
import type { RunContext } from '../api.js';
import { LIKELIHOOD, withLikelihood } from './likelihood.js';
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
  const graph = withLikelihood(toexRewrite(model.graph, technique, backFill), LOGITS);
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
