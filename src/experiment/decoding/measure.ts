/** Early exit on the test split: quality and depth, curves, rivals, an example, and the trace. */
import type { DecoderModel } from '../../models/decoder-types.js';
import {
  checkedLayers,
  exitsAt,
  fullQuality,
  NO_CHECK,
  qualityOf,
  withFullChecks,
} from '../../techniques/toex-calibration.js';
import type { ExitProfile } from '../../techniques/toex-profile.js';
import type { RunContext } from '../api.js';
import type { Stage } from '../run-folder.js';
import type { PreparedDecoding } from './prepare.js';
import { type HeldOut, profileOf } from './profile.js';
import type { DecodingResult } from './result.js';
import { RIVALS, rivalQuality } from './rivals.js';
import type { DecodingExperiment } from './schema.js';
import { writeExitTrace } from './trace.js';

export type Measured = Pick<DecodingResult, 'quality' | 'exitLosses' | 'curves' | 'exitShares' | 'example' | 'trace'>;

/** Thresholds along the curves, for all checks alike. */
const CURVE = Array.from({ length: 21 }, (_, step) => step / 20);
/** Tokens of the passage that reports show. */
const SHOWN_TOKENS = 200;

export async function measureDecoding(
  model: DecoderModel,
  prepared: PreparedDecoding,
  experiment: DecodingExperiment,
  thresholds: readonly number[],
  test: HeldOut,
  stage: Stage,
  context: RunContext,
): Promise<Measured> {
  const { technique, seed } = experiment;
  const both = await profileOf(model, experiment, test, 'measuring: every exit of the test text', context);
  const profile = technique.outputEmbedding === 'full' ? withFullChecks(both) : both;
  const exits = exitsAt(profile, thresholds);
  const rivals: DecodingResult['quality']['rivals'][number][] = [];
  for (const rival of RIVALS) {
    const quality = await rivalQuality(rival, model, experiment, thresholds, { held: test, profile }, context);
    rivals.push({ name: rival.name, ...quality });
  }
  const { layers } = profile;
  const bySequence = test.sequences.map((_, i) => exits.slice(i * test.length, (i + 1) * test.length));
  const checks = thresholds.flatMap((threshold, layer) => (threshold === NO_CHECK ? [] : [layer + 1]));
  return {
    quality: {
      tokens: profile.tokens,
      full: fullQuality(profile),
      adapted: qualityOf(profile, exits),
      rivals,
      candidateHits: candidateHits(profile, exits),
    },
    exitLosses: Array.from({ length: layers }, (_, layer) => lossAt(profile, layer)),
    curves: curvesOf(both, experiment),
    exitShares: Array.from({ length: layers }, (_, layer) => {
      return exits.reduce((sum, exit) => sum + Number(exit === layer + 1), 0) / exits.length;
    }),
    example: exampleOf(prepared, test, exits),
    trace: await writeExitTrace(
      prepared,
      { seed, checks: { checks, candidates: technique.candidates }, exits: bySequence },
      stage,
    ),
  };
}

/** Mean cross entropy in nats when every token leaves after one layer. */
function lossAt({ layers, tokens, likelihood }: ExitProfile, layer: number): number {
  let sum = 0;
  for (let token = 0; token < tokens; token++) sum += likelihood[token * layers + layer]!;
  return -sum / tokens;
}

/** One threshold for all checks, with the light and the full output embedding. */
function curvesOf(profile: ExitProfile, { technique }: DecodingExperiment): DecodingResult['curves'] {
  const checked = checkedLayers(technique.checks, profile.layers);
  const alike = (threshold: number) =>
    Array.from({ length: profile.layers - 1 }, (_, layer) => (checked.includes(layer + 1) ? threshold : NO_CHECK));
  const curve = (name: string, checked: ExitProfile) => ({
    name,
    points: CURVE.map((threshold) => ({ threshold, ...qualityOf(checked, exitsAt(checked, alike(threshold))) })),
  });
  return [curve('light output embedding', profile), curve('full output embedding', withFullChecks(profile))];
}

/** Of tokens that left early; 1 where none did. */
function candidateHits({ layers, token, fullToken }: ExitProfile, exits: Uint16Array): number {
  let [left, hits] = [0, 0];
  for (const [at, exit] of exits.entries()) {
    if (exit === layers) continue;
    left++;
    if (token[at * layers + exit - 1] === fullToken[at * layers + exit - 1]) hits++;
  }
  return left === 0 ? 1 : hits / left;
}

/** The tokens that the decoder was given, and how deep each ran to predict what follows it. */
function exampleOf({ model }: PreparedDecoding, { text, sequences, length }: HeldOut, exits: Uint16Array) {
  // The middle of the text: its start is the start of a document.
  const middle = Math.floor(sequences.length / 2);
  const start = sequences[middle]! * length;
  const shown = Math.min(length, SHOWN_TOKENS);
  const stream = model.tokenizer.stream();
  return {
    tokens: Array.from(text.subarray(start, start + shown), (id) => stream.push(id)),
    exits: [...exits.subarray(middle * length, middle * length + shown)],
  };
}
