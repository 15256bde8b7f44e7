/** What the stops of a head add up to, independent of the machine; and whether the trace agrees with them. */
import { visibleKeys } from '../trace/statistics.js';
import type { AttentionHeadRecord } from '../trace/types.js';
import { bitsAfter, stepsOf } from './leopard-reference.js';
import { type HeadStops, inconsistent, KEPT, STEPS } from './leopard-stops.js';

export interface HeadProfile {
  readonly rows: number;
  /** Real queries × visible keys. */
  readonly scores: number;
  /** Scores at or above the threshold. */
  readonly kept: number;
  /** Rows without any. */
  readonly emptyRows: number;
  /** Steps and bits of K (per element) over all scores, first scans only. */
  readonly steps: number;
  readonly bits: number;
  /** Steps of second scans. */
  readonly rescueSteps: number;
  /** Scores by number of steps: index 1 … steps. */
  readonly stops: Float64Array;
  /** Kept scores of each row. */
  readonly keptPerRow: Uint32Array;
}

export function profileOf({ format, queries, keys, causal, stops, rescues }: HeadStops): HeadProfile {
  const byStop = new Uint32Array(256);
  const keptPerRow = new Uint32Array(queries);
  for (let query = 0; query < queries; query++) {
    const start = query * keys;
    const end = start + visibleKeys({ causal, keys }, query);
    let kept = 0;
    for (let at = start; at < end; at++) {
      const stop = stops[at]!;
      byStop[stop]!++;
      kept += stop >> 7;
    }
    keptPerRow[query] = kept;
  }
  const counted = new Float64Array(stepsOf(format) + 1);
  let [scores, kept, steps, bits] = [0, 0, 0, 0];
  for (let step = 1; step < counted.length; step++) {
    const count = byStop[step]! + byStop[step | KEPT]!;
    counted[step] = count;
    scores += count;
    kept += byStop[step | KEPT]!;
    steps += step * count;
    bits += bitsAfter(format, step) * count;
  }
  const rescueSteps = rescues.reduce((sum, row) => row.stops.reduce((s, stop) => s + (stop & STEPS), sum), 0);
  return {
    rows: queries,
    scores,
    kept,
    emptyRows: rescues.length,
    steps,
    bits,
    rescueSteps,
    stops: counted,
    keptPerRow,
  };
}

/** The profile of a machine that prunes nothing and takes a score in one step of `bits` bits. */
export function denseProfile(
  { queries, keys, causal }: Pick<AttentionHeadRecord, 'queries' | 'keys' | 'causal'>,
  bits: number,
): HeadProfile {
  const keptPerRow = Uint32Array.from({ length: queries }, (_, query) => visibleKeys({ causal, keys }, query));
  const scores = keptPerRow.reduce((sum, visible) => sum + visible, 0);
  return {
    rows: queries,
    scores,
    kept: scores,
    emptyRows: 0,
    steps: scores,
    bits: bits * scores,
    rescueSteps: 0,
    stops: Float64Array.of(0, scores),
    keptPerRow,
  };
}

/**
 * The survivors that the machine finds are those that the model used, bit for bit.
 * @throws TANDEM_TRACE_INCONSISTENT naming the first row that differs.
 */
export function checkSurvivors(
  record: AttentionHeadRecord,
  { kept, rescues }: HeadStops,
  emptyRow: 'keep-largest' | 'drop',
): void {
  const expected = kept.slice();
  if (emptyRow === 'keep-largest') {
    for (const { query, key } of rescues) {
      const bit = query * record.keys + key;
      expected[bit >> 3]! |= 1 << (bit & 7);
    }
  }
  if (expected.every((byte, at) => byte === record.survivors[at])) return;
  const survives = (bits: Uint8Array, at: number) => ((bits[at >> 3]! >> (at & 7)) & 1) === 1;
  for (let at = 0; at < record.queries * record.keys; at++) {
    if (survives(expected, at) === survives(record.survivors, at)) continue;
    const [query, key] = [Math.floor(at / record.keys), at % record.keys];
    const found = survives(expected, at) ? 'survives' : 'is pruned';
    throw inconsistent(
      record,
      `The score of query ${query} and key ${key} ${found} by Q, K and threshold (empty rows: ${emptyRow}), but not by the recorded survivors.`,
      `If the model treats rows without survivors otherwise, set the machine's emptyRow to ${emptyRow === 'drop' ? 'keep-largest' : 'drop'}; if not, record the trace anew.`,
    );
  }
}
