/** Writing a trace: header, records, end. Pure functions from values to bytes. */
import { TandemError } from '../errors.js';
import { crc32 } from './checksum.js';
import { FieldWriter } from './fields.js';
import {
  CHECKSUM_BYTES,
  END_TAG,
  FORMAT_VERSION,
  FRAME_BYTES,
  MAGIC,
  MAX_FIELD_BYTES,
  MAX_HEADER_BYTES,
  PREAMBLE_BYTES,
  recordBytes,
} from './format.js';
import { writeRecord } from './records.js';
import type { TraceHeader, TraceRecord } from './types.js';

/** The first bytes of a trace. */
export function encodeHeader(header: TraceHeader): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  if (json.length > MAX_HEADER_BYTES) throw tooLarge('The header of a trace', json.length, MAX_HEADER_BYTES);
  const bytes = new Uint8Array(PREAMBLE_BYTES + json.length + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, json.length, true);
  bytes.set(json, PREAMBLE_BYTES);
  view.setUint32(PREAMBLE_BYTES + json.length, crc32(bytes.subarray(8, PREAMBLE_BYTES + json.length)), true);
  return bytes;
}

/** @throws TANDEM_TRACE_INCONSISTENT when an array of the record has not the length that its sizes say. */
export function encodeRecord(record: TraceRecord): Uint8Array {
  checkLengths(record);
  const { tag, fields, payload } = writeRecord(record);
  return frame(tag, fields, payload);
}

/** The last bytes of a trace of `records` records. */
export function encodeEnd(records: number): Uint8Array {
  return frame(END_TAG, new FieldWriter().f64(records).finish(), []);
}

function frame(tag: number, fields: Uint8Array, payload: readonly Uint8Array[]): Uint8Array {
  const payloadBytes = payload.reduce((sum, block) => sum + block.length, 0);
  if (fields.length > MAX_FIELD_BYTES) throw tooLarge('The fields of a record', fields.length, MAX_FIELD_BYTES);
  if (payloadBytes > 0xffffffff) throw tooLarge('A record', payloadBytes, 0xffffffff);
  const bytes = new Uint8Array(recordBytes({ fieldBytes: fields.length, payloadBytes }));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, tag, true);
  view.setUint32(4, fields.length, true);
  view.setUint32(8, payloadBytes, true);
  bytes.set(fields, FRAME_BYTES);
  let at = FRAME_BYTES + fields.length;
  view.setUint32(at, crc32(bytes.subarray(0, at)), true);
  const start = at + CHECKSUM_BYTES;
  at = start;
  for (const block of payload) {
    bytes.set(block, at);
    at += block.length;
  }
  view.setUint32(at, crc32(bytes.subarray(start, at)), true);
  return bytes;
}

function checkLengths(record: TraceRecord): void {
  const wrong = (array: string, length: number, expected: number) => {
    if (length === expected) return;
    throw new TandemError(
      'TANDEM_TRACE_INCONSISTENT',
      `${array} of a ${record.kind} record has ${length} elements, not ${expected}.`,
    );
  };
  if (record.kind === 'attention-head') {
    wrong('q', record.q.length, record.queries * record.headDim);
    wrong('k', record.k.length, record.keys * record.headDim);
    wrong('survivors', record.survivors.length, Math.ceil((record.queries * record.keys) / 8));
  } else if (record.kind === 'mask') {
    const tiles = Math.ceil(record.rows / record.tile[0]) * Math.ceil(record.columns / record.tile[1]);
    wrong('nonZero', record.nonZero.length, Math.ceil(tiles / 8));
  } else if (record.kind === 'token-operands') {
    const { tokens, headDim, valueDim } = record;
    wrong('q', record.q.length, tokens * headDim);
    wrong('k', record.k.length, tokens * headDim);
    wrong('v', record.v.length, tokens * valueDim);
    wrong('steps', record.steps.length, 3 * tokens);
  }
}

function tooLarge(what: string, bytes: number, limit: number): TandemError {
  return new TandemError('TANDEM_TRACE_INCONSISTENT', `${what} takes ${bytes} bytes; the format allows ${limit}.`);
}
