/**
 * After how many steps each score of an attention head is decided, from the actual Q and K values. The result depends
 * on the operand format only, so machines that differ in units, FIFOs or tiles share it.
 */
import { TandemError } from '../errors.js';
import { visibleKeys } from '../trace/statistics.js';
import type { AttentionHeadRecord } from '../trace/types.js';
import { instantiate, reserve } from './kernels/instantiate.js';
import { wasmBase64 } from './kernels/leopard.generated.js';
import { type BitSerialFormat, bitSerialScore, stepsOf, unseenAfter } from './leopard-reference.js';

/** Set in a stop byte when the score survived; the other bits are its number of steps. */
export const KEPT = 0x80;
export const STEPS = 0x7f;

/** A row where every score was below the threshold, scanned again to find its largest score. */
export interface Rescue {
  readonly query: number;
  /** First key with the row's largest score. */
  readonly key: number;
  /** Stop byte of each visible key in the second scan. */
  readonly stops: Uint8Array;
}

export interface HeadStops {
  readonly format: BitSerialFormat;
  readonly queries: number;
  readonly keys: number;
  readonly causal: boolean;
  /** Stop bytes, row-major [queries × keys]; 0 where a key is not visible. */
  readonly stops: Uint8Array;
  /** Bit set of the kept scores, as AttentionHeadRecord.survivors without those of rescued rows. */
  readonly kept: Uint8Array;
  /** In order of the query. */
  readonly rescues: readonly Rescue[];
}

interface Exports {
  preparePlanes(k: number, keys: number, paddedDim: number, unseen: number, steps: number, planes: number): void;
  scanHead(
    q: number,
    queries: number,
    planes: number,
    keys: number,
    causal: number,
    paddedDim: number,
    unseen: number,
    scaledUnseen: number,
    steps: number,
    threshold2: number,
    stops: number,
    rescueStops: number,
    rescues: number,
  ): number;
  packKept(stops: number, count: number, bits: number): void;
}

let kernel: ReturnType<typeof instantiate<Exports>> | undefined;

/** The kernel's dot product takes 32 values at a time. */
const LANES = 32;
const ALIGN = 64;

/**
 * @throws TANDEM_TRACE_INCONSISTENT when a value does not fit the record's own width.
 */
export function headStops(record: AttentionHeadRecord, bitsPerStep: number): HeadStops {
  const format = { bits: record.bits, bitsPerStep };
  checkRange(record);
  return fitsKernel(record) ? kernelStops(record, format) : referenceStops(record, format);
}

function checkRange(record: AttentionHeadRecord): void {
  const limit = 2 ** (record.bits - 1) - 1;
  for (const operand of ['q', 'k'] as const) {
    const values = record[operand];
    let largest = 0;
    for (let at = 0; at < values.length; at++) {
      const value = values[at]!;
      if (value > largest) largest = value;
      else if (-value > largest) largest = -value;
    }
    if (largest > limit) {
      throw inconsistent(
        record,
        `${operand} holds ±${largest}, which ${record.bits} bits in sign and magnitude cannot.`,
      );
    }
  }
}

export function inconsistent(
  record: AttentionHeadRecord,
  message: string,
  remedy = 'Record the trace anew, with integers that fit its own width.',
): TandemError {
  return new TandemError('TANDEM_TRACE_INCONSISTENT', message, {
    place: `sequence ${record.sequence}, layer ${record.layer}, head ${record.head}`,
    remedy,
  });
}

/** Planes are 16 bits wide, and twice any bound must fit 32. */
function fitsKernel({ q, queries, headDim, bits }: AttentionHeadRecord): boolean {
  const largest = 2 ** (bits - 1) - 1;
  if (2 * largest > 0x7fff) return false;
  const limit = 2 ** 31 / (2 * largest);
  if (headDim * largest < limit) return true;
  for (let query = 0; query < queries; query++) {
    let magnitude = 0;
    for (let at = query * headDim; at < (query + 1) * headDim; at++) magnitude += Math.abs(q[at]!);
    if (magnitude >= limit) return false;
  }
  return true;
}

/** The definition, score by score: exact for any width, and slow. */
export function referenceStops(record: AttentionHeadRecord, format: BitSerialFormat): HeadStops {
  const { queries, keys, headDim, causal, threshold } = record;
  const stops = new Uint8Array(queries * keys);
  const rescues: Rescue[] = [];
  const keyRows = Array.from({ length: keys }, (_, key) => record.k.subarray(key * headDim, (key + 1) * headDim));
  for (let query = 0; query < queries; query++) {
    const q = record.q.subarray(query * headDim, (query + 1) * headDim);
    const visible = keyRows.slice(0, visibleKeys(record, query));
    const scores = visible.map((k) => bitSerialScore(q, k, threshold, format));
    scores.forEach(({ steps, kept }, key) => {
      stops[query * keys + key] = steps | (kept ? KEPT : 0);
    });
    if (visible.length > 0 && !scores.some(({ kept }) => kept)) {
      const known = Math.max(...scores.map(({ lowerBounds }) => lowerBounds.at(-1)!));
      const again = visible.map((k) => bitSerialScore(q, k, known, format));
      const largest = Math.max(...again.filter(({ kept }) => kept).map(({ score }) => score));
      const key = again.findIndex(({ kept, score }) => kept && score === largest);
      rescues.push({ query, key, stops: Uint8Array.from(again, ({ steps, kept }) => steps | (kept ? KEPT : 0)) });
    }
  }
  return { format, queries, keys, causal, stops, kept: packed(stops), rescues };
}

function packed(stops: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(stops.length / 8));
  stops.forEach((stop, at) => {
    if ((stop & KEPT) !== 0) bits[at >> 3]! |= 1 << (at & 7);
  });
  return bits;
}

/** Twice the smallest integer that is kept, clamped: twice a bound is even and within ±(2^31 − 2). */
const doubledThreshold = (threshold: number): number =>
  Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), 2 * Math.ceil(threshold)));

function kernelStops(record: AttentionHeadRecord, format: BitSerialFormat): HeadStops {
  kernel ??= instantiate<Exports>(wasmBase64);
  const { memory, exports } = kernel;
  const { queries, keys, headDim, causal } = record;
  const steps = stepsOf(format);
  const paddedDim = Math.ceil(Math.max(headDim, 1) / LANES) * LANES;
  let end = kernel.heap;
  const place = (bytes: number): number => {
    const start = end;
    end = Math.ceil((end + bytes) / ALIGN) * ALIGN;
    return start;
  };
  const q = place(2 * queries * paddedDim);
  const k = place(2 * keys * paddedDim);
  const planes = place(2 * keys * steps * paddedDim);
  const unseen = place(4 * steps);
  const scaledUnseen = place(4 * (steps + 1));
  const stops = place(queries * keys);
  const kept = place(queries * keys);
  const rescueStops = place(queries * keys);
  const rescues = place(8 * queries);
  reserve(memory, end);
  writeRows(new Int16Array(memory.buffer, q, queries * paddedDim), record.q, headDim, paddedDim);
  writeRows(new Int16Array(memory.buffer, k, keys * paddedDim), record.k, headDim, paddedDim);
  const unseenView = new Int32Array(memory.buffer, unseen, steps);
  for (let step = 1; step <= steps; step++) unseenView[step - 1] = unseenAfter(format, step);
  exports.preparePlanes(k, keys, paddedDim, unseen, steps, planes);
  const bytes = new Uint8Array(memory.buffer);
  // Invisible keys are not scanned; the rest is overwritten.
  if (causal) bytes.fill(0, stops, stops + queries * keys);
  const threshold2 = doubledThreshold(record.threshold);
  const rescued = exports.scanHead(
    q,
    queries,
    planes,
    keys,
    causal ? 1 : 0,
    paddedDim,
    unseen,
    scaledUnseen,
    steps,
    threshold2,
    stops,
    rescueStops,
    rescues,
  );
  exports.packKept(stops, queries * keys, kept);
  const rows = new Int32Array(memory.buffer, rescues, 2 * rescued);
  return {
    format,
    queries,
    keys,
    causal,
    stops: bytes.slice(stops, stops + queries * keys),
    kept: keptBits(bytes.slice(kept, kept + Math.ceil((queries * keys) / 8)), queries * keys),
    rescues: Array.from({ length: rescued }, (_, at) => {
      const query = rows[2 * at]!;
      const start = rescueStops + at * keys;
      return { query, key: rows[2 * at + 1]!, stops: bytes.slice(start, start + visibleKeys(record, query)) };
    }),
  };
}

/** Clears what the padding of the last group left behind the last score. */
function keptBits(bits: Uint8Array, scores: number): Uint8Array {
  if ((scores & 7) !== 0) bits[bits.length - 1]! &= (1 << (scores & 7)) - 1;
  return bits;
}

function writeRows(to: Int16Array, from: Int16Array, dim: number, paddedDim: number): void {
  to.fill(0);
  for (let row = 0; row * dim < from.length; row++) to.set(from.subarray(row * dim, (row + 1) * dim), row * paddedDim);
}
