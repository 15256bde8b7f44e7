/** Reading a trace in pieces from a source with random access: heads without payloads, then the records one wants. */

import { checkEnd, parseFields, parseFrame, parseHeader, parsePayload, parsePreamble } from './decode.js';
import {
  CHECKSUM_BYTES,
  corrupt,
  END_TAG,
  FRAME_BYTES,
  PREAMBLE_BYTES,
  type RecordFrame,
  recordBytes,
  truncated,
} from './format.js';
import type { RecordFields } from './records.js';
import type { TraceHeader, TraceRecord } from './types.js';

/** A file, a Blob, a remote object that serves ranges. */
export interface RandomAccess {
  readonly size: number;
  /** Exactly `length` bytes from `offset`; the range lies within `size`. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A record of which only the fields were read. */
export interface RecordEntry {
  readonly frame: RecordFrame;
  readonly fields: RecordFields;
}

export function blobSource(blob: Blob): RandomAccess {
  return {
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

async function readRange(source: RandomAccess, offset: number, length: number): Promise<Uint8Array> {
  if (offset + length > source.size) throw truncated(source.size);
  return source.read(offset, length);
}

/** The header, and an iteration over the records' fields that reads no payload. */
export async function scanTrace(
  source: RandomAccess,
): Promise<{ header: TraceHeader; entries: AsyncIterable<RecordEntry> }> {
  const jsonBytes = parsePreamble(await readRange(source, 0, Math.min(PREAMBLE_BYTES, source.size)));
  const total = PREAMBLE_BYTES + jsonBytes + CHECKSUM_BYTES;
  const header = parseHeader(await readRange(source, 0, total));
  return { header, entries: scanRecords(source, total) };
}

async function* scanRecords(source: RandomAccess, start: number): AsyncGenerator<RecordEntry> {
  let offset = start;
  for (let records = 0; ; ) {
    const frame = parseFrame(await readRange(source, offset, FRAME_BYTES), offset);
    const head = await readRange(source, offset, FRAME_BYTES + frame.fieldBytes + CHECKSUM_BYTES);
    const fields = parseFields(head, frame);
    offset += recordBytes(frame);
    if (offset > source.size) throw truncated(source.size);
    if (frame.tag === END_TAG) {
      checkEnd(head, frame, records);
      if (offset < source.size) throw corrupt('Bytes follow the end of the trace.', offset);
      return;
    }
    records++;
    if (fields !== undefined) yield { frame, fields };
  }
}

/** The whole record of an entry that `scanTrace` yielded. */
export async function readRecord(source: RandomAccess, { frame, fields }: RecordEntry): Promise<TraceRecord> {
  return parsePayload(await readRange(source, frame.offset, recordBytes(frame)), frame, fields)!;
}
