/** Layers that run at once, fed with what sequences know and leaving there what they find. */
import { int64Tensor, type Tensor, tensor } from '../../graph/types.js';
import { type Sequence, wholeBlocks } from './sequence.js';
import type { DecoderSessions } from './sessions.js';

/** A score that softmax turns into exactly 0 in float32. */
const MASKED_SCORE = -1e9;

/** For a single query ONNX Runtime multiplies matrices by another kernel, whose sums end in other last bits. */
const LEAST_QUERIES = 2;

/** Rows of one sequence in one layer. */
export interface Share {
  readonly sequence: Sequence;
  /** First token whose keys and values are computed. */
  readonly from: number;
  /** First token that runs the whole layer. */
  readonly whole: number;
  /** Exclusive; the same in all layers of a span. */
  readonly to: number;
}

/** A token that runs a span, and the first of its layers that computes its keys and values, and that it runs whole. */
interface Row {
  readonly sequence: Sequence;
  readonly token: number;
  readonly enters: number;
  readonly whole: number;
}

/** @param shares by layer of the span */
export async function runSpan(
  sessions: DecoderSessions,
  span: number,
  shares: readonly (readonly Share[])[],
): Promise<void> {
  const { hidden } = sessions.sizes;
  const { from } = sessions.spans[span]!;
  const rows = rowsOf(shares);
  const entering = new Float32Array(rows.length * hidden);
  for (const [at, { sequence, token }] of rows.entries()) {
    entering.set(sequence.states.subarray(token * hidden, (token + 1) * hidden), at * hidden);
  }
  const feeds: Record<string, Tensor> = {};
  for (const [at, layerShares] of shares.entries()) {
    for (const [name, fed] of Object.entries(layerFeeds(rows, layerShares, at, from + at, hidden))) {
      feeds[`layer${from + at}.${name}`] = fed;
    }
  }
  const outputs = await sessions.run(span, entering, feeds);
  const output = outputs.output!.data as Float32Array;
  for (const [at, { sequence, token }] of rows.entries()) {
    sequence.states.set(output.subarray(at * hidden, (at + 1) * hidden), token * hidden);
  }
  for (const at of shares.keys()) {
    const layer = from + at;
    const key = outputs[`layer${layer}.key`]!.data as Float32Array;
    const value = outputs[`layer${layer}.value`]!.data as Float32Array;
    for (const [row, { sequence, token }] of entered(rows, at).entries()) {
      sequence.keys[layer]!.set(key.subarray(row * hidden, (row + 1) * hidden), token * hidden);
      sequence.values[layer]!.set(value.subarray(row * hidden, (row + 1) * hidden), token * hidden);
    }
  }
}

/** The rows of a span, so ordered that those of every layer, and those that run it whole, are the last ones. */
function rowsOf(shares: readonly (readonly Share[])[]): Row[] {
  const rows: Row[] = [];
  for (const sequence of new Set(shares.flat().map((share) => share.sequence))) {
    const own = shares.map((layer) => layer.find((share) => share.sequence === sequence));
    const first = Math.min(...own.map((share) => share?.from ?? Infinity));
    const { to } = own.find((share) => share !== undefined)!;
    const firstLayer = (runs: (share: Share) => boolean) => {
      const layer = own.findIndex((share) => share && runs(share));
      return layer < 0 ? shares.length : layer;
    };
    for (let token = first; token < to; token++) {
      const enters = firstLayer((share) => share.from <= token);
      rows.push({ sequence, token, enters, whole: firstLayer((share) => share.whole <= token) });
    }
  }
  return rows.sort((a, b) => b.whole - a.whole || b.enters - a.enters);
}

const entered = (rows: readonly Row[], layer: number): Row[] => rows.filter(({ enters }) => enters <= layer);

/** What `DecoderStages.span` asks for a layer, the one of a number within the span. */
function layerFeeds(
  rows: readonly Row[],
  shares: readonly Share[],
  at: number,
  layer: number,
  hidden: number,
): Record<string, Tensor> {
  const batch = shares.map(({ sequence }) => sequence);
  const entering = entered(rows, at);
  const whole = rows.filter((row) => row.whole <= at);
  const queries = Math.max(LEAST_QUERIES, ...shares.map((share) => share.to - share.whole));
  const known = Math.max(...shares.map(({ to }) => wholeBlocks(to)));
  const asked = new Array<number>(batch.length * queries);
  const mask = new Float32Array(batch.length * queries * known);
  const answers: number[] = [];
  const counts = batch.map(() => 0);
  for (const [i, { sequence, token }] of whole.entries()) {
    const place = batch.indexOf(sequence);
    const count = counts[place]!++;
    answers.push(place * queries + count);
    const last = count + 1 === shares[place]!.to - shares[place]!.whole;
    // The last one asks again where others of the batch have more to ask.
    for (let query = count; query < (last ? queries : count + 1); query++) {
      const question = place * queries + query;
      asked[question] = i - whole.length;
      maskLater(mask.subarray(question * known, (question + 1) * known), sequence.absent[layer]!, token);
    }
  }
  const cache = (part: 'keys' | 'values') =>
    tensor(
      'float32',
      [batch.length, known, hidden],
      sideBySide(batch.map((each) => each[part][layer]!.subarray(0, known * hidden))),
    );
  return {
    entering: int64Tensor([-entering.length], [1]),
    whole: int64Tensor([-whole.length], [1]),
    keys: cache('keys'),
    values: cache('values'),
    places: int64Tensor(
      entering.flatMap(({ sequence, token }) => [batch.indexOf(sequence), token]),
      [entering.length, 2],
    ),
    asked: int64Tensor(asked, [batch.length, queries]),
    mask: tensor('float32', [batch.length, 1, queries, known], mask),
    answers: int64Tensor(answers, [answers.length]),
  };
}

/** No query sees a later key, or one that is absent. */
function maskLater(row: Float32Array, absent: Uint8Array, token: number): void {
  row.fill(MASKED_SCORE, token + 1);
  for (let key = absent.indexOf(1); key >= 0 && key < token; key = absent.indexOf(1, key + 1)) row[key] = MASKED_SCORE;
}

/** Parts of one length one below the other; a single one is not copied. */
export function sideBySide(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
