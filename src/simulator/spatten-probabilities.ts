/** What SpAtten decides from the attention probabilities of a head: flat rows, and the values that rows use. */
import { integerScore, isSurvivor, visibleKeys } from '../trace/statistics.js';
import type { AttentionHeadRecord } from '../trace/types.js';

export interface HeadDecisions {
  /** Of each row: whether its largest probability lies below the threshold. */
  readonly flat: readonly boolean[];
  /** Of each row: keys that it sees. */
  readonly keys: readonly number[];
  /** Of each row: values that it multiplies. */
  readonly values: readonly number[];
  /** Values that some row multiplies. */
  readonly usedValues: number;
}

export interface DecisionRule {
  /** Least significant bits of the recorded K that a row does not have when it is found flat or not. */
  readonly lowBits: number;
  readonly flatThreshold: number;
  readonly valueShare: number;
  /** Local value pruning was done by the model: the record's survivors are the values that a row uses. */
  readonly survivorsAreValues: boolean;
}

/**
 * @param tokens kept rows and columns of the record, ascending; all of them when undefined
 */
export function decideHead(
  record: AttentionHeadRecord,
  tokens: readonly number[] | undefined,
  rule: DecisionRule,
): HeadDecisions {
  const rows = tokens ?? Array.from({ length: record.queries }, (_, row) => row);
  const columns = tokens ?? Array.from({ length: record.keys }, (_, column) => column);
  const most = withoutLowBits(record, rule.lowBits);
  const used = new Set<number>();
  const flat: boolean[] = [];
  const keys: number[] = [];
  const values: number[] = [];
  const scale = (record.queryStep * record.keyStep) / Math.sqrt(record.headDim);
  for (const row of rows) {
    const visible = columns.filter((column) => column < visibleKeys(record, row));
    const high = visible.map((column) => integerScore(most, row, column) * scale);
    const largest = high.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = high.reduce((total, score) => total + Math.exp(score - largest), 0);
    // The largest probability is e⁰ / Σ e^(score − largest).
    const isFlat = 1 / sum < rule.flatThreshold;
    flat.push(isFlat);
    const scores = () => (isFlat ? visible.map((column) => integerScore(record, row, column)) : high);
    const chosen = rule.survivorsAreValues
      ? visible.filter((column) => isSurvivor(record, row, column))
      : largestOf(visible, scores(), Math.ceil(rule.valueShare * visible.length));
    for (const column of chosen) used.add(column);
    keys.push(visible.length);
    values.push(chosen.length);
  }
  return { flat, keys, values, usedValues: used.size };
}

/** The `count` columns of the largest scores, ties to the earlier column. */
function largestOf(columns: readonly number[], scores: readonly number[], count: number): readonly number[] {
  if (count >= columns.length) return columns;
  const order = columns.map((_, at) => at).sort((a, b) => scores[b]! - scores[a]! || a - b);
  return order.slice(0, count).map((at) => columns[at]!);
}

function withoutLowBits(record: AttentionHeadRecord, lowBits: number): AttentionHeadRecord {
  if (lowBits === 0) return record;
  // Shifts round towards −∞, as leaving out bits of a two's complement does.
  return { ...record, k: record.k.map((element) => (element >> lowBits) << lowBits) };
}
