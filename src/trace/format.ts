/** The frame of a trace file: what docs/trace-format.md describes. All numbers little-endian. */
import { TandemError } from '../errors.js';
import type { TraceRecord } from './types.js';

/** High bit set, a line end of each kind, an end-of-text: a transfer that alters text breaks the first bytes. */
export const MAGIC = Uint8Array.of(0x89, 0x54, 0x44, 0x4d, 0x0d, 0x0a, 0x1a, 0x0a);
export const FORMAT_VERSION = 1;

/** Magic, version (u32), length of the JSON block (u32). The block and its CRC-32 (u32) follow. */
export const PREAMBLE_BYTES = 16;
/** Type (u32), bytes of fields (u32), bytes of payload (u32). Fields, CRC, payload, CRC follow. */
export const FRAME_BYTES = 12;
export const CHECKSUM_BYTES = 4;
/** Fields are a few numbers; a length beyond this is a damaged one. */
export const MAX_FIELD_BYTES = 1 << 16;
/** The JSON block describes a run, not its data. */
export const MAX_HEADER_BYTES = 1 << 24;

/** Type tags. 0 ends a trace; tags above these may come with later minor additions, and readers skip them. */
export const END_TAG = 0;
export const TAGS = {
  'attention-head': 1,
  'token-bits': 2,
  'token-exits': 3,
  mask: 4,
  'token-operands': 5,
} as const satisfies Record<TraceRecord['kind'], number>;

/** What stands before a record's payload. */
export interface RecordFrame {
  readonly tag: number;
  /** Byte offset of the frame in the file. */
  readonly offset: number;
  readonly fieldBytes: number;
  readonly payloadBytes: number;
}

export function corrupt(message: string, offset: number): TandemError {
  return new TandemError('TANDEM_TRACE_CORRUPT', message, {
    place: `byte ${offset}`,
    remedy: 'Copy the file again or record the trace anew.',
  });
}

export function truncated(offset: number): TandemError {
  return new TandemError('TANDEM_TRACE_TRUNCATED', 'The trace ends before its end record.', {
    place: `byte ${offset}`,
    remedy: 'The run that wrote it was cut short, or the copy was: record or copy it again.',
  });
}

/** Total bytes of a record on file, checksums included. */
export const recordBytes = ({ fieldBytes, payloadBytes }: Pick<RecordFrame, 'fieldBytes' | 'payloadBytes'>): number =>
  FRAME_BYTES + fieldBytes + CHECKSUM_BYTES + payloadBytes + CHECKSUM_BYTES;
