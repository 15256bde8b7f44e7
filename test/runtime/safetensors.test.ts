import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { floatTensor, sizeOf, type Tensor, tensor } from '../../src/graph/types.js';
import { decodeSafetensors, safetensorsPieces } from '../../src/runtime/safetensors.js';
import { openSafetensors, readSafetensors, writeSafetensors } from '../../src/runtime/safetensors-files.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file put together by hand. */
function file(header: unknown, data: number[] | Uint8Array = [], claimed?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([length, json, Uint8Array.from(data)]);
}

const bytesOf = (tensors: ReadonlyMap<string, Tensor>, metadata: Record<string, string> = {}) =>
  Buffer.concat(safetensorsPieces({ tensors, metadata }));

const anyTensor: fc.Arbitrary<Tensor> = fc
  .tuple(
    fc.array(fc.nat(3), { maxLength: 3 }),
    fc.constantFrom('float32', 'float16', 'int64', 'int8', 'bool', 'float64'),
  )
  .chain(([shape, dtype]) => {
    const size = { minLength: sizeOf(shape), maxLength: sizeOf(shape) };
    const of = (data: fc.Arbitrary<Tensor['data']>) =>
      data.map((values) => tensor(dtype as Tensor['dtype'], shape, values));
    if (dtype === 'float32') return of(fc.float32Array({ ...size, noNaN: true }));
    if (dtype === 'float64') return of(fc.float64Array({ ...size, noNaN: true }));
    if (dtype === 'float16') return of(fc.uint16Array(size));
    if (dtype === 'int64') return of(fc.bigInt64Array(size));
    if (dtype === 'int8') return of(fc.int8Array(size));
    return of(fc.uint8Array({ ...size, max: 1 }));
  });
const anyTensors = fc.dictionary(
  fc.string().filter((name) => name !== '__metadata__'),
  anyTensor,
  { maxKeys: 5 },
);

describe('the format', () => {
  it('is a length, a JSON header, and the data', () => {
    const bytes = file(
      { __metadata__: { by: 'hand' }, w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } },
      [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0],
    );
    const { tensors, metadata } = decodeSafetensors(bytes);
    expect(metadata).toEqual({ by: 'hand' });
    expect(tensors).toEqual(new Map([['w', floatTensor([1, -2])]]));
  });

  it('is read at any alignment, bfloat16 as float32', () => {
    const bytes = file(
      {
        flag: { dtype: 'BOOL', shape: [], data_offsets: [0, 1] },
        brain: { dtype: 'BF16', shape: [2], data_offsets: [1, 5] },
        wide: { dtype: 'I64', shape: [1], data_offsets: [5, 13] },
      },
      [1, 0x80, 0x3f, 0x49, 0xc0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    );
    const { tensors } = decodeSafetensors(bytes);
    expect(tensors.get('flag')!.data[0]).toBe(1);
    expect(tensors.get('brain')).toEqual(floatTensor([1, -3.140625]));
    expect(tensors.get('wide')!.data[0]).toBe(-2n);
  });

  it('gives back what was written, in any order of insertion the same bytes', () => {
    fc.assert(
      fc.property(anyTensors, fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }), (values, metadata) => {
        const tensors = new Map(Object.entries(values));
        const bytes = bytesOf(tensors, metadata);
        const read = decodeSafetensors(bytes);
        expect(new Map([...read.tensors].sort())).toEqual(new Map([...tensors].sort()));
        expect(Object.entries(read.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect(bytesOf(new Map([...tensors].reverse()), metadata)).toEqual(bytes);
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  it('aligns the data of what it writes', () => {
    const bytes = bytesOf(
      new Map([
        ['a', floatTensor([1])],
        ['b', tensor('float64', [1], Float64Array.of(1))],
      ]),
    );
    const length = bytes.readBigUInt64LE();
    expect(length % 8n).toBe(0n);
    expect(JSON.parse(bytes.subarray(8, 8 + Number(length)).toString()).b.data_offsets).toEqual([0, 8]);
  });
});

describe('a damaged file', () => {
  const w = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
  const four = [0, 0, 0, 0];
  it.each([
    ['empty', new Uint8Array(0), 'it has 0 bytes'],
    ['shorter than its header', file({ w }, [], 1000n), 'claims 1000 bytes'],
    ['with an impossible header length', file({ w }, four, 2n ** 64n - 1n), 'claims 18446744073709551615'],
    ['without JSON', file('{"w": '), 'not JSON'],
    ['with a list for a header', file('[]'), 'not a JSON object'],
    ['with truncated data', file({ w }, [0, 0]), 'need 4 bytes and it has 2'],
    ['with too much data', file({ w }, [...four, 0]), 'need 4 bytes and it has 5'],
    ['with a gap', file({ w: { ...w, data_offsets: [2, 6] } }, [...four, 0, 0]), 'leaves 2 bytes unused'],
    ['with overlapping tensors', file({ v: w, w: { ...w, data_offsets: [2, 6] } }, [...four, 0, 0]), 'overlaps'],
    ['with an unknown type', file({ w: { ...w, dtype: 'F8_E4M3' } }, four), 'known are F64'],
    [
      "with the name of an object's own method for a type",
      file({ w: { ...w, dtype: 'toString' } }, four),
      'has the type',
    ],
    ['with a shape that is not its size', file({ w: { ...w, shape: [2] } }, four), '8 bytes, but has 4'],
    ['with a negative dimension', file({ w: { ...w, shape: [-1] } }, four), 'no valid shape'],
    ['with a fraction of an offset', file({ w: { ...w, data_offsets: [0.5, 4.5] } }, four), 'no valid data_offsets'],
    ['with an end before its beginning', file({ w: { ...w, data_offsets: [4, 0] } }, four), 'but has -4'],
    ['with a truth value of 2', file({ w: { dtype: 'BOOL', shape: [1], data_offsets: [0, 1] } }, [2]), 'truth values'],
    ['with numbers as metadata', file({ __metadata__: { step: 3 } }), 'metadata'],
    ['with null for a tensor', file({ w: null }), 'not described'],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes, 'weights.safetensors')).toThrow(
      expect.objectContaining({
        code: 'TANDEM_CHECKPOINT_INVALID',
        place: 'weights.safetensors',
        message: expect.stringContaining(message),
      }),
    );
  });

  it('with any bytes changed, cut or added is refused or read, but never breaks the reader', () => {
    const sound = bytesOf(
      new Map([
        ['a', floatTensor([1, 2, 3], [3, 1])],
        ['b', tensor('bool', [2], Uint8Array.of(0, 1))],
      ]),
    );
    const damage = fc.record({
      at: fc.nat(sound.length - 1),
      byte: fc.nat(255),
      keep: fc.integer({ min: 0, max: sound.length }),
      more: fc.uint8Array({ maxLength: 3 }),
      cut: fc.boolean(),
    });
    fc.assert(
      fc.property(damage, ({ at, byte, keep, more, cut }) => {
        const bytes = Buffer.concat([cut ? sound.subarray(0, keep) : sound, more]);
        if (at < bytes.length) bytes[at] = byte;
        try {
          for (const { shape, data } of decodeSafetensors(bytes).tensors.values())
            expect(data.length).toBe(sizeOf(shape));
        } catch (error) {
          if (!(error instanceof TandemError)) throw error;
          expect(error.code).toBe('TANDEM_CHECKPOINT_INVALID');
        }
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  it('is never written', () => {
    const wrong = [tensor('string', [1], ['a']), { ...floatTensor([1]), shape: [2] }];
    for (const value of wrong) {
      expect(() => bytesOf(new Map([['w', value]]))).toThrow(
        expect.objectContaining({ code: 'TANDEM_CHECKPOINT_INVALID', place: 'tensor w' }),
      );
    }
  });
});

describe('files', () => {
  const tensors = new Map([
    ['a', floatTensor([1, 2], [2, 1])],
    ['b', floatTensor([], [0])],
  ]);

  it('are written whole, over an older one, and read as a whole or tensor by tensor', async () => {
    const path = join(folder, 'weights.safetensors');
    writeFileSync(path, 'something older');
    await writeSafetensors(path, { tensors, metadata: { step: '3' } });
    expect(readdirSync(folder)).toEqual(['weights.safetensors']);
    expect(await readSafetensors(path)).toEqual({ tensors, metadata: { step: '3' } });
    const opened = await openSafetensors(path);
    expect(await opened.read('a')).toEqual(tensors.get('a'));
    await expect(opened.read('z')).rejects.toMatchObject({ code: 'TANDEM_CHECKPOINT_INVALID' });
    await opened.close();
  });

  it('stay as they were when writing fails', async () => {
    const path = join(folder, 'kept.safetensors');
    writeFileSync(path, 'older');
    const unwritable = new Map([['w', tensor('string', [1], ['text'])]]);
    await expect(writeSafetensors(path, { tensors: unwritable, metadata: {} })).rejects.toThrow();
    expect(readFileSync(path, 'utf8')).toBe('older');
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('that are absent or cut short have a code', async () => {
    await expect(readSafetensors(join(folder, 'none'))).rejects.toMatchObject({ code: 'TANDEM_FILE_NOT_FOUND' });
    const path = join(folder, 'short.safetensors');
    for (const size of [0, 5, 20]) {
      writeFileSync(path, bytesOf(tensors).subarray(0, size));
      await expect(readSafetensors(path)).rejects.toMatchObject({ code: 'TANDEM_CHECKPOINT_INVALID', place: path });
    }
  });
});
