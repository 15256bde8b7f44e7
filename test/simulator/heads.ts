/** Attention heads with Gaussian Q and K, thresholded at a quantile of their scores. */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { Workload } from '../../src/simulator/types.js';
import { integerScore } from '../../src/trace/statistics.js';
import type { AttentionHeadRecord, TraceHeader } from '../../src/trace/types.js';

export const header: TraceHeader = {
  producer: 'test',
  model: 'gaussian',
  task: 'none',
  technique: 'leopard',
  layers: 1,
  headsPerLayer: [1],
  notes: {},
};

export interface HeadOptions {
  readonly tokens: number;
  readonly headDim?: number;
  readonly bits?: number;
  /** Share of scores below the threshold; 0: no threshold. */
  readonly pruned: number;
  /** Standard deviations at which values are clipped: the quantiser's range. */
  readonly range?: number;
  readonly seed?: number;
  readonly causal?: boolean;
  readonly sequence?: number;
  readonly layer?: number;
  readonly head?: number;
}

/** Keeps what reaches the threshold, and the first largest score of a row where nothing does. */
export function withSurvivors(record: AttentionHeadRecord): AttentionHeadRecord {
  const { queries, keys, causal, threshold } = record;
  const survivors = new Uint8Array(Math.ceil((queries * keys) / 8));
  const keep = (bit: number) => {
    survivors[bit >> 3]! |= 1 << (bit & 7);
  };
  for (let query = 0; query < queries; query++) {
    const scores = Array.from({ length: causal ? Math.min(keys, query + 1) : keys }, (_, key) =>
      integerScore(record, query, key),
    );
    scores.forEach((score, key) => {
      if (score >= threshold) keep(query * keys + key);
    });
    const largest = Math.max(...scores);
    if (largest < threshold) keep(query * keys + scores.indexOf(largest));
  }
  return { ...record, survivors };
}

export function gaussianHead(options: HeadOptions): AttentionHeadRecord {
  const {
    tokens,
    headDim = 64,
    bits = 12,
    pruned,
    range = 4,
    seed = 1,
    causal = false,
    sequence = 0,
    layer = 0,
    head = 0,
  } = options;
  const random = xoroshiro128plus(seed);
  const gaussian = () =>
    Math.sqrt(-2 * Math.log(1 - uniformFloat64(random))) * Math.cos(2 * Math.PI * uniformFloat64(random));
  const largest = 2 ** (bits - 1) - 1;
  const step = range / largest;
  const quantised = () =>
    Int16Array.from({ length: tokens * headDim }, () =>
      Math.max(-largest, Math.min(largest, Math.round(gaussian() / step))),
    );
  const q = quantised();
  const k = quantised();
  const record: AttentionHeadRecord = {
    kind: 'attention-head',
    sequence,
    layer,
    head,
    queries: tokens,
    keys: tokens,
    paddedLength: tokens,
    headDim,
    valueDim: headDim,
    bits,
    valueBits: 16,
    queryStep: step,
    keyStep: step,
    threshold: -Infinity,
    causal,
    q,
    k,
    survivors: new Uint8Array(0),
  };
  if (pruned === 0) return withSurvivors(record);
  const scores = Float64Array.from({ length: tokens * tokens }, (_, at) =>
    integerScore(record, Math.floor(at / tokens), at % tokens),
  ).sort();
  return withSurvivors({ ...record, threshold: scores[Math.floor(pruned * scores.length)]! });
}

export function traceOf(records: readonly AttentionHeadRecord[]): Workload {
  async function* stream() {
    yield* records;
  }
  return { kind: 'trace', header, records: stream() };
}
