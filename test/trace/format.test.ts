import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { crc32 } from '../../src/trace/checksum.js';
import { decodeTrace, TraceDecoder } from '../../src/trace/decode.js';
import { encodeEnd, encodeHeader, encodeRecord } from '../../src/trace/encode.js';
import { blobSource, readRecord, scanTrace } from '../../src/trace/scan.js';
import type { TraceRecord } from '../../src/trace/types.js';
import { anyRecord, header, joined } from './records.js';

const encoded = (records: readonly TraceRecord[]): Uint8Array =>
  joined([encodeHeader(header), ...records.map(encodeRecord), encodeEnd(records.length)]);

function decoded(bytes: Uint8Array, chunkBytes = bytes.length): { records: TraceRecord[]; decoder: TraceDecoder } {
  const decoder = new TraceDecoder();
  const records: TraceRecord[] = [];
  for (let at = 0; at < bytes.length; at += Math.max(1, chunkBytes)) {
    records.push(...decoder.push(bytes.subarray(at, at + Math.max(1, chunkBytes))));
  }
  decoder.finish();
  return { records, decoder };
}

const failure = (action: () => unknown): TandemError => {
  try {
    action();
  } catch (error) {
    if (error instanceof TandemError) return error;
    throw error;
  }
  throw new Error('no failure');
};

describe('the checksum', () => {
  it('is the CRC-32 of the check string', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  });
  it.skipIf(zlibCrc32 === undefined)('equals zlib, in one piece or two', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ maxLength: 9 }), (a, b) => {
        expect(crc32(a)).toBe(zlibCrc32(a));
        expect(crc32(b, crc32(a))).toBe(zlibCrc32(joined([a, b])));
      }),
    );
  });
});

describe('the trace format', () => {
  it('gives back every record, whatever the chunks', () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 5 }), fc.integer({ min: 1, max: 300 }), (records, chunkBytes) => {
        const { records: read, decoder } = decoded(encoded(records), chunkBytes);
        expect(read).toEqual(records);
        expect(decoder.header).toEqual(header);
        expect(decoder.skipped).toBe(0);
      }),
    );
  });

  it('streams', async () => {
    const records = fc.sample(anyRecord, { numRuns: 20, seed: 1 });
    const bytes = encoded(records);
    async function* chunks() {
      for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
    }
    const trace = await decodeTrace(chunks());
    expect(trace.header).toEqual(header);
    const read: TraceRecord[] = [];
    for await (const record of trace.records) read.push(record);
    expect(read).toEqual(records);
  });

  it('tells a truncated trace from a complete one, at every length', () => {
    const bytes = encoded(fc.sample(anyRecord, { numRuns: 4, seed: 2 }));
    for (let length = 0; length < bytes.length; length++) {
      const error = failure(() => decoded(bytes.subarray(0, length)));
      expect(error.code).toBe('TANDEM_TRACE_TRUNCATED');
      expect(error.place).toBe(`byte ${length}`);
    }
  });

  it('notices any damaged byte and says where', () => {
    const bytes = encoded(fc.sample(anyRecord, { numRuns: 4, seed: 3 }));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = bytes.slice();
        damaged[at]! ^= flip;
        const error = failure(() => decoded(damaged, 64));
        expect(error.code).toMatch(/^TANDEM_(NOT_A_TRACE|TRACE_(CORRUPT|VERSION|TRUNCATED))$/);
        expect(error.place).toMatch(/^byte \d+$/);
      }),
      { numRuns: 500 },
    );
  });

  it('survives any bytes', () => {
    const start = encodeHeader(header);
    fc.assert(
      fc.property(fc.boolean(), fc.uint8Array({ maxLength: 200 }), (valid, noise) => {
        const error = failure(() => decoded(valid ? joined([start, noise]) : noise));
        expect(error.code).toMatch(/^TANDEM_/);
      }),
      { numRuns: 1000 },
    );
  });

  it('does not believe a huge length: the head of a record is checked before its payload is awaited', () => {
    const record = encodeRecord({ kind: 'token-bits', sequence: 0, layer: 0, head: -1, bits: Uint8Array.of(1, 2) });
    record.set([255, 255, 255, 127], 8);
    expect(failure(() => decoded(joined([encodeHeader(header), record]))).code).toBe('TANDEM_TRACE_CORRUPT');
  });

  it('skips records of kinds it does not know', () => {
    const known: TraceRecord = { kind: 'token-bits', sequence: 0, layer: 1, head: -1, bits: Uint8Array.of(4, 8) };
    const unknown = encodeRecord(known);
    unknown.set([99, 0, 0, 0], 0);
    new DataView(unknown.buffer).setUint32(24, crc32(unknown.subarray(0, 24)), true);
    const { records, decoder } = decoded(joined([encodeHeader(header), unknown, encodeRecord(known), encodeEnd(2)]));
    expect(records).toEqual([known]);
    expect(decoder.skipped).toBe(1);
  });

  it('reads exits from before there were prompts as having a prompt of one token, and none of no tokens', () => {
    const exits: TraceRecord = { kind: 'token-exits', sequence: 7, layers: 2, prompt: 1, exits: Uint16Array.of(1, 2) };
    const bytes = encodeRecord(exits);
    const fieldsUntil = (end: number, prompt?: number) => {
      const head = bytes.slice(0, end);
      const view = new DataView(head.buffer);
      view.setUint32(4, end - 12, true);
      if (prompt !== undefined) view.setUint32(20, prompt, true);
      const sum = new Uint8Array(Uint32Array.of(crc32(head)).buffer);
      return joined([encodeHeader(header), head, sum, bytes.slice(28), encodeEnd(1)]);
    };
    expect(decoded(fieldsUntil(20)).records).toEqual([exits]);
    expect(decoded(fieldsUntil(24, 2)).records).toEqual([{ ...exits, prompt: 2 }]);
    expect(failure(() => decoded(fieldsUntil(24, 0))).code).toBe('TANDEM_TRACE_CORRUPT');
  });

  it('reports bytes after the end, a wrong count, another version', () => {
    const record = encodeRecord({ kind: 'token-exits', sequence: 0, layers: 2, prompt: 1, exits: Uint16Array.of(1) });
    const start = encodeHeader(header);
    expect(failure(() => decoded(joined([start, encodeEnd(0), Uint8Array.of(0)]))).code).toBe('TANDEM_TRACE_CORRUPT');
    expect(failure(() => decoded(joined([start, record, encodeEnd(2)]))).code).toBe('TANDEM_TRACE_CORRUPT');
    const newer = start.slice();
    newer[8] = 2;
    expect(failure(() => decoded(newer))).toMatchObject({ code: 'TANDEM_TRACE_VERSION', place: 'byte 8' });
  });

  it('refuses to write arrays that contradict the sizes', () => {
    const record = fc.sample(anyRecord, { numRuns: 50, seed: 4 }).find(({ kind }) => kind === 'attention-head')!;
    const error = failure(() => encodeRecord({ ...record, q: new Int16Array(999) } as TraceRecord));
    expect(error.code).toBe('TANDEM_TRACE_INCONSISTENT');
  });
});

describe('reading in pieces', () => {
  it('lists the fields without reading payloads, then reads the records one wants', async () => {
    const records = fc.sample(anyRecord, { numRuns: 12, seed: 5 });
    const bytes = encoded(records);
    const blob = blobSource(new Blob([bytes as Uint8Array<ArrayBuffer>]));
    let read = 0;
    const counting = {
      size: blob.size,
      read: (offset: number, length: number) => {
        read += length;
        return blob.read(offset, length);
      },
    };
    const { header: found, entries } = await scanTrace(counting);
    expect(found).toEqual(header);
    const list = [];
    for await (const entry of entries) list.push(entry);
    expect(list.map(({ fields }) => fields.kind)).toEqual(records.map(({ kind }) => kind));
    const payloads = list.reduce((sum, { frame }) => sum + frame.payloadBytes, 0);
    // The preamble and each frame are read twice, alone and with what follows; no payload and no checksum of one is read.
    const frames = records.length + 1;
    expect(read).toBe(bytes.length - payloads - 4 * frames + 16 + 12 * frames);
    expect(await readRecord(blob, list[7]!)).toEqual(records[7]);
  });

  it('reports a truncated trace', async () => {
    const bytes = encoded(fc.sample(anyRecord, { numRuns: 3, seed: 6 }));
    for (let length = 0; length < bytes.length; length++) {
      const scan = async () => {
        const { entries } = await scanTrace(blobSource(new Blob([bytes.slice(0, length)])));
        for await (const _ of entries);
      };
      await expect(scan(), `${length} bytes`).rejects.toMatchObject({ code: 'TANDEM_TRACE_TRUNCATED' });
    }
  });
});
