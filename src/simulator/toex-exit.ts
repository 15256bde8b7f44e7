/** Choosing a token: exit checks with the light or the full output embedding, and logits after the last layer. */
import type { ToexConfig } from './toex-config.js';
import type { Decoder } from './toex-model.js';
import {
  type Activity,
  bytesOf,
  ENGINE,
  EXIT,
  norm,
  type Operation,
  SPECIAL,
  specialCycles,
} from './toex-operations.js';

/** Scale of a row of the light output embedding, the mean of its weights' magnitudes. */
const SCALE_BITS = 16;

/** Bytes of the light output embedding: a sign for each weight, a scale for each row. */
export const lightBytes = ({ vocabulary, hidden }: Decoder): number =>
  bytesOf(vocabulary * hidden, 1) + bytesOf(vocabulary, SCALE_BITS);

/** A check of the step's newest token. Adds to `activity`. */
export function checkOperations(
  config: ToexConfig,
  decoder: Decoder,
  candidates: number,
  activity: Activity,
): Operation[] {
  activity.checks++;
  return config.outputEmbedding === 'light'
    ? lightLogits(config, decoder, candidates, activity)
    : fullLogits(config, decoder, activity);
}

/** Logits after the last layer. Adds to `activity`. */
export function finalOperations(
  config: ToexConfig,
  decoder: Decoder,
  candidates: number,
  activity: Activity,
): Operation[] {
  return config.finalLogits === 'candidates' && config.tokens === 'exits'
    ? lightLogits(config, decoder, candidates, activity)
    : fullLogits(config, decoder, activity);
}

/** The state's coarse score with every row; the best rows by two passes over the scores; exact logits of these. */
function lightLogits(config: ToexConfig, decoder: Decoder, candidates: number, activity: Activity): Operation[] {
  const { exit, engine, words } = config;
  const { vocabulary, hidden } = decoder;
  const chosen = Math.min(candidates, vocabulary);
  const selection = Math.ceil(vocabulary / exit.selectorLanes);
  const light = lightBytes(decoder);
  const rows = bytesOf(chosen * hidden, words.weightBits);
  activity.signs += vocabulary * hidden;
  activity.coarseScores += vocabulary;
  activity.lightEmbeddingBytes += light;
  activity.candidateBytes += rows;
  const operations: Operation[] = [
    norm(config, activity, hidden, 1),
    {
      name: 'coarse scores',
      unit: EXIT,
      cycles: Math.max(Math.ceil((vocabulary * hidden) / exit.lanes), selection),
      read: exit.lightEmbedding === 'dram' ? light : 0,
      write: 0,
    },
    { name: 'candidates', unit: EXIT, cycles: selection, read: 0, write: 0, decides: true },
    { name: 'logits', unit: ENGINE, cycles: Math.ceil((chosen * hidden) / engine.lanes), read: rows, write: 0 },
    { name: 'confidence', unit: SPECIAL, cycles: specialCycles(config, chosen), read: 0, write: 0, decides: true },
  ];
  return counted(operations, activity, chosen, hidden);
}

/** Exact logits of the whole vocabulary. Their exponentials are summed as they come; those of the last tile remain. */
function fullLogits(config: ToexConfig, { vocabulary, hidden }: Decoder, activity: Activity): Operation[] {
  const { engine, words, buffers } = config;
  const bytes = bytesOf(vocabulary * hidden, words.weightBits);
  const remaining = Math.min(vocabulary, Math.ceil(buffers.streamBytes / 2 / bytesOf(hidden, words.weightBits)));
  activity.outputEmbeddingBytes += bytes;
  const operations: Operation[] = [
    norm(config, activity, hidden, 1),
    { name: 'logits', unit: ENGINE, cycles: Math.ceil((vocabulary * hidden) / engine.lanes), read: bytes, write: 0 },
    { name: 'confidence', unit: SPECIAL, cycles: specialCycles(config, remaining), read: 0, write: 0, decides: true },
  ];
  return counted(operations, activity, vocabulary, hidden);
}

function counted(operations: Operation[], activity: Activity, logits: number, hidden: number): Operation[] {
  activity.macs += logits * hidden;
  activity.results += logits;
  activity.softmaxElements += logits;
  activity.softmaxRows++;
  activity.comparedLogits += logits;
  for (const { unit, cycles } of operations) {
    if (unit === ENGINE) activity.engineCycles += cycles;
    else if (unit === SPECIAL) activity.specialCycles += cycles;
    else activity.exitCycles += cycles;
  }
  return operations;
}

/** Word and position embeddings of a step's own tokens, added up. Adds to `activity`. */
export function inputOperation(config: ToexConfig, hidden: number, tokens: number, activity: Activity): Operation {
  const cycles = tokens * specialCycles(config, hidden);
  const read = bytesOf(2 * tokens * hidden, config.words.weightBits);
  activity.specialCycles += cycles;
  activity.inputEmbeddingBytes += read;
  activity.results += tokens * hidden;
  return { name: 'embedding', unit: SPECIAL, cycles, read, write: 0 };
}
