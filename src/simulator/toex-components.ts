/** What the machine is made of, and how its activity uses each part. */
import {
  adder,
  adderTree,
  comparator,
  divider,
  exponentUnit,
  mac,
  multiplier,
  register,
  sram,
} from '../hardware/components/index.js';
import { type ActionCounts, Composition } from '../hardware/compose.js';
import type { ToexConfig } from './toex-config.js';
import { toexMemory } from './toex-memory.js';
import type { Activity } from './toex-operations.js';

/** Counters of the candidate selector's histogram, one for each leading pattern of a coarse score; assumed. */
const HISTOGRAM_BINS = 256;
const COUNTER_BITS = 17;

/** Whether a machine decides on exits; one that does not is built without what this takes. */
export const isExiting = ({ tokens }: ToexConfig): boolean => tokens === 'exits';
/** Whether it has a light output embedding. */
export const isLight = (config: ToexConfig): boolean =>
  isExiting(config) && (config.outputEmbedding === 'light' || config.finalLogits === 'candidates');

const wordsOf = ({ engine, words, specialLanes, exit }: ToexConfig) => ({
  stream: engine.lanes * words.weightBits,
  activations: engine.rows * words.activationBits,
  scores: specialLanes * words.activationBits,
  light: exit.lanes,
  coarse: exit.selectorLanes * words.activationBits,
  keyValues: engine.lanes * words.keyValueBits,
});

export function toexComponents(config: ToexConfig): Composition {
  const { technology, engine, words, specialLanes, exit, buffers, keyValues, pending, depthTable } = config;
  const { weightBits, activationBits } = words;
  const wide = wordsOf(config);
  const memory = (bytes: number, wordBits: number) => sram.cost({ bytes, wordBits }, technology);
  const square = { aBits: activationBits, bBits: activationBits };
  const composition = new Composition(technology)
    .add(
      'multiply-accumulate lanes',
      mac.cost({ aBits: weightBits, bBits: activationBits, accumulatorBits: engine.accumulatorBits }, technology),
      engine.lanes * engine.rows,
    )
    .add('stream buffer', memory(buffers.streamBytes, wide.stream))
    .add('activation buffer', memory(buffers.activationBytes, wide.activations))
    .add('score buffer', memory(buffers.scoreBytes, wide.scores))
    .add('exponent units', exponentUnit.cost({ bits: activationBits }, technology), specialLanes)
    .add('special function adders', adder.cost({ bits: 2 * activationBits }, technology), specialLanes)
    .add('special function multipliers', multiplier.cost(square, technology), specialLanes)
    .add('dividers', divider.cost({ bits: activationBits }, technology))
    .add('top-2 comparators', comparator.cost({ bits: activationBits }, technology), 2);
  if (keyValues.place === 'chip') composition.add('key and value memory', memory(keyValues.bytes, wide.keyValues));
  if (isExiting(config)) {
    const counter = Math.ceil(Math.log2(depthTable.positions + 1));
    composition.add('depth table', register.cost({ bits: counter }, technology), depthTable.layers);
    if (pending.place === 'chip') composition.add('pending states', memory(pending.bytes, wide.activations));
  }
  if (isLight(config)) {
    composition
      .add('sign adder tree', adderTree.cost({ inputs: exit.lanes, bits: activationBits }, technology))
      .add('row scalers', multiplier.cost(square, technology), exit.selectorLanes)
      .add('coarse scores', memory(exit.scoreBytes, wide.coarse))
      .add('selector histogram', register.cost({ bits: COUNTER_BITS }, technology), HISTOGRAM_BINS)
      .add('selector adders', adder.cost({ bits: COUNTER_BITS }, technology), exit.selectorLanes)
      .add('selector comparators', comparator.cost({ bits: activationBits }, technology), exit.selectorLanes);
    if (exit.lightEmbedding === 'chip') composition.add('light output embedding', memory(exit.lightBytes, wide.light));
  }
  return composition.add('DRAM', toexMemory(config).cost);
}

/** Bytes over the memory interface, by direction. */
export function memoryTraffic(
  config: ToexConfig,
  activity: Activity,
): { readonly read: number; readonly written: number } {
  const { exit, keyValues, pending } = config;
  const off = (place: 'dram' | 'chip', bytes: number) => (place === 'dram' ? bytes : 0);
  return {
    read:
      activity.weightBytes +
      activity.outputEmbeddingBytes +
      activity.candidateBytes +
      activity.inputEmbeddingBytes +
      off(exit.lightEmbedding, activity.lightEmbeddingBytes) +
      off(keyValues.place, activity.keyValueBytesRead) +
      off(pending.place, activity.stateBytesRead),
    written: off(keyValues.place, activity.keyValueBytesWritten) + off(pending.place, activity.stateBytesWritten),
  };
}

export function toexActions(config: ToexConfig, activity: Activity): ActionCounts {
  const { engine, words, exit, keyValues, pending } = config;
  const wide = wordsOf(config);
  const { softmaxElements, normElements, geluElements, coarseScores } = activity;
  const traffic = memoryTraffic(config, activity);
  const scoreWords = (softmaxElements * words.activationBits) / wide.scores;
  const onChip = (bytesRead: number, bytesWritten: number, word: number) => ({
    read: (8 * bytesRead) / word,
    write: (8 * bytesWritten) / word,
  });
  return {
    'multiply-accumulate lanes': { mac: activity.macs },
    // A word of weights, keys or values each cycle, and for each row an activation.
    'stream buffer': { read: activity.engineCycles, write: (8 * traffic.read) / wide.stream },
    'activation buffer': {
      read: activity.engineCycles + (normElements + geluElements + activity.signs / exit.lanes) / engine.rows,
      write: activity.results / engine.rows,
    },
    // Written and read by the engine; read twice and written once by softmax.
    'score buffer': { read: 3 * scoreWords, write: 2 * scoreWords },
    'exponent units': { exponent: softmaxElements + geluElements },
    'special function adders': { add: softmaxElements + 2 * normElements },
    'special function multipliers': { multiply: softmaxElements + 2 * normElements + geluElements },
    dividers: { divide: activity.softmaxRows + activity.normRows },
    'top-2 comparators': { compare: 2 * activity.comparedLogits },
    ...(keyValues.place === 'chip' && {
      'key and value memory': onChip(activity.keyValueBytesRead, activity.keyValueBytesWritten, wide.keyValues),
    }),
    ...(isExiting(config) && {
      'depth table': { write: activity.decodersLoaded },
      ...(pending.place === 'chip' && {
        'pending states': onChip(activity.stateBytesRead, activity.stateBytesWritten, wide.activations),
      }),
    }),
    ...(isLight(config) && {
      'sign adder tree': { add: activity.signs / exit.lanes },
      'row scalers': { multiply: coarseScores },
      'coarse scores': { read: coarseScores / exit.selectorLanes, write: coarseScores / exit.selectorLanes },
      'selector histogram': { write: coarseScores },
      'selector adders': { add: coarseScores },
      'selector comparators': { compare: coarseScores },
      ...(exit.lightEmbedding === 'chip' && {
        'light output embedding': { read: (8 * activity.lightEmbeddingBytes) / wide.light },
      }),
    }),
    DRAM: toexMemory(config).actions({ readBits: 8 * traffic.read, writtenBits: 8 * traffic.written }),
  };
}
