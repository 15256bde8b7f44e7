/** Files of requests to memory, as DRAMsim3 reads them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { TandemError } from '../../src/errors.js';
import { openRequests } from '../../src/workload/files.js';
import { type MemoryRequest, parseRequests } from '../../src/workload/requests.js';

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(some: AsyncIterable<readonly MemoryRequest[]>): Promise<MemoryRequest[]> {
  const requests: MemoryRequest[] = [];
  for await (const part of some) requests.push(...part);
  return requests;
}

async function parse(text: string | Uint8Array, { size = 7, capacity = 2 ** 33 } = {}): Promise<MemoryRequest[]> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return all(parseRequests(inPieces(bytes, size), 'trace.txt', capacity));
}

const written = (requests: readonly MemoryRequest[]): string =>
  requests
    .map(
      ({ address, write, cycle }) => `0x${address.toString(16).toUpperCase()} ${write ? 'WRITE' : 'READ'} ${cycle}\n`,
    )
    .join('');

const lists = fc
  .array(fc.record({ address: fc.nat(2 ** 31), write: fc.boolean(), wait: fc.nat(1000) }), {
    minLength: 1,
    maxLength: 30,
  })
  .map((items) => {
    let cycle = 0;
    return items.map(({ wait, ...request }): MemoryRequest => {
      cycle += wait;
      return { ...request, cycle };
    });
  });

test('what is written is read, wherever the file is cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(lists, fc.integer({ min: 1, max: 64 }), async (requests, size) => {
      expect(await parse(written(requests), { size })).toEqual(requests);
    }),
  );
});

test('empty lines, Windows line ends, small letters, spaces and a missing last line end do not matter', async () => {
  expect(await parse('\r\n  0xff  read 1 \r\n\n1F40\tWrite 12')).toEqual([
    { address: 255, write: false, cycle: 1 },
    { address: 8000, write: true, cycle: 12 },
  ]);
});

describe('errors name the line and what to do', () => {
  const good = '0x0 READ 5\n';
  test.each([
    ['0x40 READ', 2, 'is not a request'],
    ['0x40 FETCH 6', 2, 'is not a request'],
    ['0xZZ READ 6', 2, 'is not a request'],
    ['0x40 READ -6', 2, 'is not a request'],
    ['0x40 READ 6.5', 2, 'is not a request'],
    ['0x40 READ 6 7', 2, 'is not a request'],
    ['# comment', 2, 'is not a request'],
    ['0x40 READ 4', 2, 'comes after cycle 5'],
    ['0x200000000 READ 6', 2, 'beyond the memory'],
    ['0x40 READ 99999999999999999999', 2, 'beyond 2^53'],
    ['0'.repeat(500), 2, 'is not a request'],
  ])('%s', async (line, number, message) => {
    const error = await parse(`${good}${line}\n${good}`).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'TANDEM_WORKLOAD_INVALID', place: `trace.txt:${number}` });
    expect((error as TandemError).message).toContain(message);
    expect((error as TandemError).remedy).toBeTruthy();
  });

  test('a file without requests', async () => {
    await expect(parse('\n\n')).rejects.toMatchObject({ code: 'TANDEM_WORKLOAD_INVALID', place: 'trace.txt' });
    await expect(parse('')).rejects.toMatchObject({ code: 'TANDEM_WORKLOAD_INVALID' });
  });

  test('a line that never ends is refused before it fills memory', async () => {
    let pieces = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        pieces++;
        yield new Uint8Array(100).fill(48);
      }
    }
    await expect(all(parseRequests(endless(), 'trace.txt'))).rejects.toThrow(TandemError);
    expect(pieces).toBeLessThan(5);
  });
});

test('whatever bytes a file holds, it is read or refused with a code', async () => {
  const near = fc.tuple(lists, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 3 })).map(([requests, at, noise]) => {
    const bytes = new TextEncoder().encode(written(requests));
    bytes.set(noise.subarray(0, Math.min(noise.length, bytes.length)), at % Math.max(1, bytes.length - 3));
    return bytes;
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 80 }), near), async (bytes) => {
      const outcome = await parse(bytes).catch((cause: unknown) => cause);
      if (Array.isArray(outcome)) expect(outcome.length).toBeGreaterThan(0);
      else expect(outcome).toMatchObject({ code: 'TANDEM_WORKLOAD_INVALID' });
    }),
  );
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-requests-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('are read piece by piece, as they are asked for', async () => {
    const path = join(folder, 'trace.txt');
    const lines = Array.from({ length: 20000 }, (_, i) => ({ address: 64 * i, write: i % 3 === 0, cycle: i }));
    writeFileSync(path, written(lines));
    let pieces = 0;
    const read: MemoryRequest[] = [];
    for await (const some of openRequests(path, 2 ** 30)) {
      pieces++;
      read.push(...some);
    }
    expect(read).toEqual(lines);
    expect(pieces).toBeGreaterThan(3);
  });

  test('that are not there are refused at once', () => {
    expect(() => openRequests(join(folder, 'none.txt'), 1)).toThrow(
      expect.objectContaining({ code: 'TANDEM_FILE_NOT_FOUND' }),
    );
  });
});
