/** What a layer does on SpAtten: cycles of each stage and of memory, elements moved, and operations. */
import { arrayCycles, type SpattenConfig } from './spatten-config.js';
import { spattenMemory } from './spatten-memory.js';
import { publishedCycles } from './spatten-published.js';
import { type RowCycles, type Schedule, type ScheduledHead, scheduleLayer } from './spatten-schedule.js';
import { quickSelectRounds, topKCycles } from './spatten-top-k.js';
import type { HeadWork, LayerWork } from './spatten-work.js';

export interface LayerRun {
  readonly cycles: number;
  readonly schedule: Schedule;
  readonly counts: Readonly<Record<(typeof COUNTS)[number], number>>;
}

export const COUNTS = [
  'tokens',
  'keptTokens',
  'heads',
  'keptHeads',
  'rows',
  'flatRows',
  'scores',
  'scoresAgain',
  'values',
  'keyMacs',
  'valueMacs',
  'keyArrayCycles',
  'valueArrayCycles',
  'softmaxCycles',
  'localTopKCycles',
  'globalTopKCycles',
  'topKComparisons',
  'pipelineCycles',
  'memoryCycles',
  'queryBits',
  'keyHighBits',
  'keyLowBits',
  'valueBits',
  'resultBits',
  'keyElements',
  'valueElements',
  'closedFormCycles',
] as const;

/** Cycles in which the memory brings a matrix. */
const readCycles = (config: SpattenConfig, bits: number): number =>
  spattenMemory(config).cycles({ readBits: bits, writtenBits: 0 });

/** A head on the machine, without its place in time. */
function headRun(config: SpattenConfig, work: HeadWork) {
  const { queries, keys, headWidth, valueWidth, decisions } = work;
  const { fetch, softmaxUnits, topK } = config;
  const keyCycles = (keys: number) => arrayCycles(config, headWidth, keys);
  const seconds: RowCycles[] = [];
  let localComparisons = 0;
  let localCycles = 0;
  const rows = decisions.flat.map((flat, row): RowCycles => {
    const visible = decisions.keys[row]!;
    const values = decisions.values[row]!;
    const rounds = quickSelectRounds(visible, values, config.topK.seed + row);
    const local = topKCycles(
      { length: visible, kept: values, rounds },
      { parallelism: topK.parallelism, movedIn: keyCycles },
    );
    localComparisons += rounds.reduce((sum, one) => sum + one, 0);
    localCycles += local;
    const key = keyCycles(visible);
    const softmax = Math.ceil(visible / softmaxUnits);
    const full: RowCycles = [key, softmax, local, arrayCycles(config, valueWidth, values)];
    if (!flat) return full;
    seconds.push(full);
    return [key, softmax, 0, 0];
  });
  const bits = {
    queryBits: queries * headWidth * fetch.queryBits,
    keyHighBits: keys * headWidth * fetch.keyBits,
    keyLowBits: seconds.length > 0 ? keys * headWidth * fetch.lowBits : 0,
    valueBits: decisions.usedValues * valueWidth * fetch.valueBits,
    resultBits: queries * valueWidth * fetch.queryBits,
  };
  const scheduled: ScheduledHead = {
    keyCycles: readCycles(config, bits.queryBits) + readCycles(config, bits.keyHighBits),
    valueCycles: readCycles(config, bits.valueBits),
    lowCycles: bits.keyLowBits > 0 ? readCycles(config, bits.keyLowBits) : 0,
    resultCycles: spattenMemory(config).cycles({ readBits: 0, writtenBits: bits.resultBits }),
    rows,
    again: seconds,
    firstFlat: decisions.flat.indexOf(true),
  };
  const sum = (values: readonly number[]) => values.reduce((total, one) => total + one, 0);
  const scores = sum(decisions.keys);
  const scoresAgain = sum(decisions.keys.filter((_, row) => decisions.flat[row]));
  const values = sum(decisions.values);
  const counts = {
    ...bits,
    rows: rows.length,
    flatRows: seconds.length,
    scores,
    scoresAgain,
    values,
    keyMacs: (scores + scoresAgain) * headWidth,
    valueMacs: values * valueWidth,
    localTopKCycles: localCycles,
    topKComparisons: localComparisons,
    keyElements: keys * headWidth * (seconds.length > 0 ? 2 : 1),
    valueElements: decisions.usedValues * valueWidth,
  };
  return { scheduled, counts };
}

/**
 * Plays a layer. After it, the top-k engine picks the tokens and heads that the next layer keeps, where it keeps fewer.
 * @param next the next layer of the same text, or step of decoding
 */
export function playLayer(config: SpattenConfig, work: LayerWork, next: LayerWork | undefined): LayerRun {
  const runs = work.heads.map((head) => headRun(config, head));
  const fits = (bytes: number, elements: (head: HeadWork) => number) =>
    work.heads.every((head) => 2 * bufferBytes(config, elements(head)) <= bytes);
  const double =
    fits(config.buffers.keyBytes, ({ keys, headWidth }) => keys * headWidth) &&
    fits(config.buffers.valueBytes, ({ keys, valueWidth }) => keys * valueWidth);
  const schedule = scheduleLayer(
    runs.map(({ scheduled }) => scheduled),
    double ? 2 : 1,
    config.queueRows,
  );
  const tokens = globalTopK(config, work.kept, next?.kept ?? work.kept);
  const heads = globalTopK(config, work.heads.length, next?.heads.length ?? work.heads.length);
  const counts = Object.fromEntries(COUNTS.map((name) => [name, 0])) as Record<(typeof COUNTS)[number], number>;
  for (const { counts: one } of runs) {
    for (const name of Object.keys(one) as (keyof typeof one)[]) counts[name] += one[name];
  }
  const [key, softmax, , value] = schedule.busy;
  counts.tokens = work.tokens;
  counts.keptTokens = work.kept;
  counts.heads = work.allHeads;
  counts.keptHeads = work.heads.length;
  counts.keyArrayCycles = key;
  counts.softmaxCycles = softmax;
  counts.valueArrayCycles = value;
  counts.memoryCycles = schedule.memory;
  counts.globalTopKCycles = tokens.cycles + heads.cycles;
  counts.topKComparisons += tokens.comparisons + heads.comparisons;
  counts.pipelineCycles = work.heads.length > 0 ? config.pipelineCycles : 0;
  counts.closedFormCycles = closedForm(config, work, next);
  return { cycles: schedule.cycles + counts.pipelineCycles + counts.globalTopKCycles, schedule, counts };
}

/** Bytes that a head's elements take in a buffer. */
export const bufferBytes = ({ datapathBits }: SpattenConfig, elements: number): number =>
  Math.ceil((elements * datapathBits) / 8);

/** The engine is fed its own number of values a cycle: importances come from a buffer, not from an array. */
function globalTopK({ topK: { parallelism, seed } }: SpattenConfig, length: number, kept: number) {
  const rounds = quickSelectRounds(length, kept, seed);
  return {
    rounds,
    cycles: topKCycles({ length, kept, rounds }, { parallelism, movedIn: (values) => Math.ceil(values / parallelism) }),
    comparisons: rounds.reduce((sum, one) => sum + one, 0),
  };
}

/** The published model's cycles of the same layer; its top-k follows the layer's last head. */
function closedForm(config: SpattenConfig, work: LayerWork, next: LayerWork | undefined): number {
  if (work.heads.length === 0) return 0;
  const kept = next?.kept ?? work.kept;
  const rounds = quickSelectRounds(work.kept, kept, config.topK.seed);
  const heads = work.heads.map(({ headWidth, queries, keys }, index) => ({
    headWidth,
    sentenceLength: queries,
    keys,
    keyBits: config.fetch.keyBits,
    valueBits: config.fetch.valueBits,
    ...(rounds.length > 0 && index === work.heads.length - 1 && { topK: { kept, rounds } }),
  }));
  const { channels } = config.dram;
  const parameters = { channels, multipliers: config.multipliers, topKParallelism: config.topK.parallelism };
  return publishedCycles(parameters, heads).total;
}
