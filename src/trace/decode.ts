/**
 * Reading a trace from chunks of any size, in any runtime. Nothing is allocated beyond the bytes that arrived, so
 * damaged lengths cost nothing; every failure names the byte at which it was found.
 */
import { TandemError } from '../errors.js';
import { crc32 } from './checksum.js';
import { FieldReader } from './fields.js';
import {
  CHECKSUM_BYTES,
  corrupt,
  END_TAG,
  FORMAT_VERSION,
  FRAME_BYTES,
  MAGIC,
  MAX_FIELD_BYTES,
  MAX_HEADER_BYTES,
  PREAMBLE_BYTES,
  type RecordFrame,
  recordBytes,
  truncated,
} from './format.js';
import { type RecordFields, readFields, withPayload } from './records.js';
import type { TraceHeader, TraceRecord } from './types.js';

/** Bytes that have arrived and are not consumed yet. */
class Pending {
  #chunks: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    // A plain view: slice() of a Node Buffer would not copy.
    this.#chunks.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#length += chunk.length;
  }

  /** The first `bytes` bytes (which must have arrived), without consuming them. */
  peek(bytes: number): Uint8Array {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= bytes) return first.subarray(0, bytes);
    const joined = new Uint8Array(bytes);
    let at = 0;
    let used = 0;
    for (; at < bytes; used++) {
      const part = this.#chunks[used]!.subarray(0, bytes - at);
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  drop(bytes: number): void {
    this.#length -= bytes;
    let chunks = 0;
    while (bytes > 0 && this.#chunks[chunks]!.length <= bytes) bytes -= this.#chunks[chunks++]!.length;
    this.#chunks.splice(0, chunks);
    if (bytes > 0) this.#chunks[0] = this.#chunks[0]!.subarray(bytes);
  }
}

/** Push chunks, take records. `finish` tells a complete trace from one that was cut off. */
export class TraceDecoder {
  readonly #pending = new Pending();
  #offset = 0;
  #records = 0;
  #skipped = 0;
  #ended = false;
  #header: TraceHeader | undefined;
  #head: { frame: RecordFrame; fields: RecordFields | undefined } | undefined;

  /** Known once enough chunks were pushed. */
  get header(): TraceHeader | undefined {
    return this.#header;
  }
  /** Records of kinds that this version does not know; they were checked and skipped. */
  get skipped(): number {
    return this.#skipped;
  }

  /** The records that the bytes so far complete. */
  push(chunk: Uint8Array): TraceRecord[] {
    this.#pending.push(chunk);
    const records: TraceRecord[] = [];
    if (this.#header === undefined) this.#readHeader();
    while (this.#header !== undefined && this.#readRecord(records));
    return records;
  }

  /** @throws TANDEM_TRACE_TRUNCATED unless the end record has been read. */
  finish(): void {
    if (!this.#ended || this.#head !== undefined) throw truncated(this.#offset + this.#pending.length);
  }

  #readHeader(): void {
    if (this.#pending.length < PREAMBLE_BYTES) {
      checkMagic(this.#pending.peek(Math.min(this.#pending.length, MAGIC.length)));
      return;
    }
    const jsonBytes = parsePreamble(this.#pending.peek(PREAMBLE_BYTES));
    const total = PREAMBLE_BYTES + jsonBytes + CHECKSUM_BYTES;
    if (this.#pending.length < total) return;
    this.#header = parseHeader(this.#pending.peek(total));
    this.#pending.drop(total);
    this.#offset = total;
  }

  #readRecord(records: TraceRecord[]): boolean {
    if (this.#ended && this.#head === undefined) {
      if (this.#pending.length > 0) throw corrupt('Bytes follow the end of the trace.', this.#offset);
      return false;
    }
    this.#head ??= this.#readHead();
    if (this.#head === undefined) return false;
    const { frame, fields } = this.#head;
    const total = recordBytes(frame);
    if (this.#pending.length < total) return false;
    const record = parsePayload(this.#pending.peek(total), frame, fields);
    if (frame.tag !== END_TAG) this.#records++;
    if (record !== undefined) records.push(record);
    else if (frame.tag !== END_TAG) this.#skipped++;
    this.#pending.drop(total);
    this.#offset += total;
    this.#head = undefined;
    return true;
  }

  /** The head is checked before its payload is awaited, so that a damaged length is never believed. */
  #readHead(): { frame: RecordFrame; fields: RecordFields | undefined } | undefined {
    if (this.#pending.length < FRAME_BYTES) return undefined;
    const frame = parseFrame(this.#pending.peek(FRAME_BYTES), this.#offset);
    const headBytes = FRAME_BYTES + frame.fieldBytes + CHECKSUM_BYTES;
    if (this.#pending.length < headBytes) return undefined;
    const head = this.#pending.peek(headBytes);
    const fields = parseFields(head, frame);
    if (frame.tag === END_TAG) {
      checkEnd(head, frame, this.#records);
      this.#ended = true;
    }
    return { frame, fields };
  }
}

/**
 * Header and records of a trace that arrives in chunks (a file stream, a fetch response, a Blob's stream).
 * @throws TANDEM_NOT_A_TRACE, TANDEM_TRACE_VERSION, TANDEM_TRACE_CORRUPT or, at the end, TANDEM_TRACE_TRUNCATED.
 */
export async function decodeTrace(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ header: TraceHeader; records: AsyncIterable<TraceRecord> }> {
  const decoder = new TraceDecoder();
  const source = chunks[Symbol.asyncIterator]();
  const first: TraceRecord[] = [];
  while (decoder.header === undefined) {
    const { done, value } = await source.next();
    if (done) decoder.finish();
    else first.push(...decoder.push(value));
  }
  async function* records(): AsyncGenerator<TraceRecord> {
    try {
      yield* first;
      for (let next = await source.next(); !next.done; next = await source.next()) yield* decoder.push(next.value);
      decoder.finish();
    } finally {
      await source.return?.();
    }
  }
  return { header: decoder.header, records: records() };
}

// The pieces below also serve the reader that skips payloads. -----------------------------------------------------------

function checkMagic(bytes: Uint8Array): void {
  if (bytes.every((byte, at) => byte === MAGIC[at])) return;
  throw new TandemError('TANDEM_NOT_A_TRACE', 'The file does not begin like a trace.', {
    place: 'byte 0',
    remedy: 'Name a file that `tandem run` or a trace writer produced, and copy it as binary.',
  });
}

/** Length of the JSON block. */
export function parsePreamble(bytes: Uint8Array): number {
  checkMagic(bytes.subarray(0, MAGIC.length));
  if (bytes.length < PREAMBLE_BYTES) throw truncated(bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, PREAMBLE_BYTES);
  const version = view.getUint32(8, true);
  if (version !== FORMAT_VERSION) {
    throw new TandemError(
      'TANDEM_TRACE_VERSION',
      `The trace has format version ${version}; this Tandem reads ${FORMAT_VERSION}.`,
      {
        place: 'byte 8',
        remedy: version > FORMAT_VERSION ? 'Install a newer Tandem.' : 'Record the trace anew.',
      },
    );
  }
  const length = view.getUint32(12, true);
  if (length > MAX_HEADER_BYTES) throw corrupt(`The header claims ${length} bytes.`, 12);
  return length;
}

/** `bytes`: preamble, JSON block and checksum. */
export function parseHeader(bytes: Uint8Array): TraceHeader {
  const end = bytes.length - CHECKSUM_BYTES;
  checkSum(bytes.subarray(8, end), bytes.subarray(end), 8, 'header');
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(PREAMBLE_BYTES, end)));
  } catch (cause) {
    throw new TandemError('TANDEM_TRACE_CORRUPT', 'The header is not JSON.', {
      place: `byte ${PREAMBLE_BYTES}`,
      cause,
    });
  }
  if (!isHeader(header)) throw corrupt('The header lacks a field or has one of the wrong type.', PREAMBLE_BYTES);
  return header;
}

function isHeader(value: unknown): value is TraceHeader {
  if (typeof value !== 'object' || value === null) return false;
  const header = value as Record<string, unknown>;
  const { headsPerLayer, notes } = header;
  return (
    ['producer', 'model', 'task', 'technique'].every((key) => typeof header[key] === 'string') &&
    Number.isInteger(header.layers) &&
    (header.sequences === undefined || Number.isInteger(header.sequences)) &&
    Array.isArray(headsPerLayer) &&
    headsPerLayer.every((heads) => Number.isInteger(heads)) &&
    typeof notes === 'object' &&
    notes !== null &&
    Object.values(notes).every((note) => typeof note === 'string')
  );
}

export function parseFrame(bytes: Uint8Array, offset: number): RecordFrame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_BYTES);
  const frame = {
    tag: view.getUint32(0, true),
    offset,
    fieldBytes: view.getUint32(4, true),
    payloadBytes: view.getUint32(8, true),
  };
  if (frame.fieldBytes > MAX_FIELD_BYTES) throw corrupt(`A record claims ${frame.fieldBytes} bytes of fields.`, offset);
  return frame;
}

/** `head`: frame, fields and their checksum. Undefined for the end record and for kinds of later versions. */
export function parseFields(head: Uint8Array, frame: RecordFrame): RecordFields | undefined {
  const end = FRAME_BYTES + frame.fieldBytes;
  checkSum(head.subarray(0, end), head.subarray(end, end + CHECKSUM_BYTES), frame.offset, 'record head');
  return readFields(frame.tag, head.subarray(FRAME_BYTES, end), frame.payloadBytes, frame.offset);
}

/** `bytes`: the whole record. */
export function parsePayload(
  bytes: Uint8Array,
  frame: RecordFrame,
  fields: RecordFields | undefined,
): TraceRecord | undefined {
  const start = FRAME_BYTES + frame.fieldBytes + CHECKSUM_BYTES;
  const payload = bytes.subarray(start, start + frame.payloadBytes);
  checkSum(payload, bytes.subarray(start + frame.payloadBytes), frame.offset, 'payload');
  return fields && withPayload(fields, payload);
}

export function checkEnd(head: Uint8Array, frame: RecordFrame, records: number): void {
  const counted = new FieldReader(head.subarray(FRAME_BYTES, FRAME_BYTES + frame.fieldBytes), frame.offset).f64();
  if (counted !== records)
    throw corrupt(`The end record counts ${counted} records; ${records} were read.`, frame.offset);
}

function checkSum(bytes: Uint8Array, stored: Uint8Array, offset: number, what: string): void {
  const expected = new DataView(stored.buffer, stored.byteOffset, CHECKSUM_BYTES).getUint32(0, true);
  if (crc32(bytes) !== expected) throw corrupt(`The ${what} does not match its checksum.`, offset);
}
