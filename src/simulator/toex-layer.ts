/** One layer in one step: its operations, pass by pass over the layer's weights. */
import type { ToexConfig } from './toex-config.js';
import type { LayerRun } from './toex-controller.js';
import type { Decoder, DecoderLayer } from './toex-model.js';
import {
  type Activity,
  bytesOf,
  ENGINE,
  type HeadWork,
  norm,
  type Operation,
  productCycles,
  SPECIAL,
  SPECIAL_PASSES,
  specialCycles,
} from './toex-operations.js';

/** Activations of a token in a layer, bytes: its state, the norm of it, and what goes into and comes out of a product. */
export function tokenBytes({ words }: ToexConfig, { hidden, layers }: Decoder): number {
  const widest = layers.map(({ attention, feedForward }) => {
    const between = feedForward.slice(1, -1);
    return Math.max(3 * attention, ...between.map((width, at) => width + (at === 0 ? 0 : between[at - 1]!)));
  });
  return bytesOf(2 * hidden + Math.max(...widest), words.activationBits);
}

/** Tokens that share a pass over a layer’s weights. */
export const passTokens = (config: ToexConfig, decoder: Decoder): number =>
  Math.floor(config.buffers.activationBytes / tokenBytes(config, decoder));

/** Part of a run: tokens of which only keys and values are computed, then those that run the layer. */
interface Pass {
  /** Tokens with keys and values before those of the pass. */
  readonly before: number;
  readonly keyValueOnly: number;
  readonly tokens: number;
  readonly statesRead: number;
  readonly statesWritten: number;
}

function* passesOf(run: LayerRun, most: number): Generator<Pass> {
  const length = run.keyValueOnly + run.tokens;
  for (let at = 0; at < length; at += most) {
    const size = Math.min(most, length - at);
    const keyValueOnly = Math.min(size, Math.max(0, run.keyValueOnly - at));
    const tokens = size - keyValueOnly;
    yield {
      before: run.before + at,
      keyValueOnly,
      tokens,
      // A run of several passes has all its states in memory, or, as embeddings and in the end, none.
      statesRead: length <= most ? run.statesRead : run.statesRead > 0 ? size : 0,
      statesWritten: run.statesWritten > 0 ? tokens : 0,
    };
  }
}

/** Adds to `activity`. */
export function layerOperations(
  config: ToexConfig,
  decoder: Decoder,
  run: LayerRun,
  most: number,
  activity: Activity,
): Operation[] {
  const layer = decoder.layers[run.layer - 1]!;
  activity.decodersLoaded++;
  activity.tokenLayers += run.tokens;
  activity.backFilledTokenLayers += run.backFilled;
  activity.keyValueProjections += run.keyValueOnly;
  const operations: Operation[] = [];
  let bytes = 0;
  for (const pass of passesOf(run, most)) {
    activity.repeatedWeightBytes += bytes;
    bytes = passOperations(config, decoder.hidden, layer, pass, activity, operations);
  }
  return operations;
}

/** @returns bytes of weights that the pass streams */
function passOperations(
  config: ToexConfig,
  hidden: number,
  layer: DecoderLayer,
  pass: Pass,
  activity: Activity,
  operations: Operation[],
): number {
  const { keyValues, pending, words } = config;
  const { attention, feedForward, feedForwardWords, queryWords, keyValueWords, contextWords } = layer;
  const { tokens, keyValueOnly } = pass;
  const all = tokens + keyValueOnly;
  const projected = (tokens > 0 ? queryWords : 0) + keyValueWords;
  const weights = (count: number) => bytesOf(count, words.weightBits);
  const stateBytes = (states: number) => bytesOf(states * hidden, words.activationBits);
  const [stored, stateRead, stateWritten] = [
    bytesOf(all * 2 * attention, words.keyValueBits),
    stateBytes(pass.statesRead),
    stateBytes(pass.statesWritten),
  ];
  const offChip = (where: 'dram' | 'chip', bytes: number) => (where === 'dram' ? bytes : 0);
  let passWeights = weights(projected);
  activity.weightPasses++;
  activity.keyValueBytesWritten += stored;
  activity.stateBytesRead += stateRead;
  activity.stateBytesWritten += stateWritten;
  activity.macs += hidden * attention * (tokens + 2 * all);
  activity.results += attention * (tokens + 2 * all);
  operations.push(norm(config, activity, hidden, all, offChip(pending.place, stateRead)), {
    name: 'queries, keys, values',
    unit: ENGINE,
    cycles: (tokens > 0 ? productCycles(config, queryWords, tokens) : 0) + productCycles(config, keyValueWords, all),
    read: passWeights,
    write: offChip(keyValues.place, stored),
  });
  if (tokens > 0) {
    const product = (name: string, count: number, rows: number, columns: number): Operation => {
      passWeights += weights(count);
      activity.macs += tokens * rows * columns;
      activity.results += tokens * columns;
      return { name, unit: ENGINE, cycles: productCycles(config, count, tokens), read: weights(count), write: 0 };
    };
    operations.push(
      attentionOperation(config, layer, pass, activity),
      product('projection', contextWords, attention, hidden),
      norm(config, activity, hidden, tokens),
    );
    for (const [at, count] of feedForwardWords.entries()) {
      const columns = feedForward[at + 1]!;
      operations.push(product('feed-forward', count, feedForward[at]!, columns));
      if (at < feedForwardWords.length - 1) operations.push(gelu(config, activity, columns, tokens));
    }
    const last = operations[operations.length - 1]!;
    operations[operations.length - 1] = { ...last, write: offChip(pending.place, stateWritten) };
  }
  for (const { unit, cycles, attention: heads = [] } of operations.slice(-operationsOf(pass, layer))) {
    if (unit === ENGINE) activity.engineCycles += cycles;
    if (unit === SPECIAL) activity.specialCycles += cycles;
    for (const head of heads) activity.specialCycles += head.heads * head.softmaxCycles;
  }
  activity.weightBytes += passWeights;
  return passWeights;
}

const operationsOf = ({ tokens }: Pass, { feedForwardWords }: DecoderLayer): number =>
  tokens === 0 ? 2 : 4 + 2 * feedForwardWords.length;

function gelu(config: ToexConfig, activity: Activity, width: number, tokens: number): Operation {
  activity.geluElements += tokens * width;
  activity.results += tokens * width;
  return { name: 'GELU', unit: SPECIAL, cycles: tokens * specialCycles(config, width), read: 0, write: 0 };
}

/**
 * Token i of the pass sees the keys before the pass and those of the pass up to its own, which are on the chip. A head's
 * keys, and its values, come from memory once where half of the stream buffer holds them, else once for each group of rows.
 */
function attentionOperation(config: ToexConfig, layer: DecoderLayer, pass: Pass, activity: Activity): Operation {
  const { engine, buffers, words, keyValues } = config;
  const { tokens } = pass;
  const earlier = pass.before + pass.keyValueOnly;
  const groups = Math.ceil(tokens / engine.rows);
  const scores = tokens * earlier + (tokens * (tokens + 1)) / 2;
  let softmaxCycles = 0;
  for (let token = 0; token < tokens; token++)
    softmaxCycles += SPECIAL_PASSES * specialCycles(config, earlier + token + 1);
  let engineCycles = 0;
  const attention = headWidths(layer).map(({ width, heads }): HeadWork => {
    const head = bytesOf(pass.before * width, words.keyValueBits);
    const times = head <= buffers.streamBytes / 2 ? 1 : groups;
    let cycles = 0;
    // The rows of a group go together, as far as the last one of them sees.
    for (let end = engine.rows; end < tokens + engine.rows; end += engine.rows)
      cycles += Math.ceil(((earlier + Math.min(end, tokens)) * width) / engine.lanes);
    engineCycles += 2 * heads * cycles;
    activity.keyValueBytesRead += 2 * heads * head * times;
    activity.macs += 2 * heads * scores * width;
    activity.softmaxElements += heads * scores;
    activity.softmaxRows += heads * tokens;
    activity.results += heads * tokens * width;
    const bytes = keyValues.place === 'dram' ? head * times : 0;
    return { heads, scoreCycles: cycles, softmaxCycles, contextCycles: cycles, bytes };
  });
  const read = attention.reduce((sum, { heads, bytes }) => sum + 2 * heads * bytes, 0);
  return { name: 'attention', unit: ENGINE, cycles: engineCycles, read, write: 0, attention };
}

/** Equal heads together. */
function headWidths({ heads }: DecoderLayer): { width: number; heads: number }[] {
  const counts = new Map<number, number>();
  for (const width of heads) counts.set(width, (counts.get(width) ?? 0) + 1);
  return [...counts].map(([width, number]) => ({ width, heads: number }));
}
