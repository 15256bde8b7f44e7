import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRandomAccess, openTrace, TraceWriter, writeTrace } from '../../src/trace/files.js';
import { readRecord, scanTrace } from '../../src/trace/scan.js';
import type { TraceRecord } from '../../src/trace/types.js';
import { anyRecord, header } from './records.js';

const records = fc.sample(anyRecord, { numRuns: 30, seed: 7 });
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-trace-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function all(source: AsyncIterable<TraceRecord>): Promise<TraceRecord[]> {
  const list: TraceRecord[] = [];
  for await (const record of source) list.push(record);
  return list;
}

describe('trace files', () => {
  it('hold what was written', async () => {
    const path = join(folder, 'new', 'a.trace');
    const { records: count, bytes } = await writeTrace(path, header, records);
    expect(count).toBe(records.length);
    const trace = await openTrace(path);
    expect(trace.header).toEqual(header);
    expect(await all(trace.records)).toEqual(records);
    const source = await openRandomAccess(path);
    expect(source.size).toBe(bytes);
    const entries = [];
    for await (const entry of (await scanTrace(source)).entries) entries.push(entry);
    expect(await readRecord(source, entries[20]!)).toEqual(records[20]);
    await source.close();
  });

  it('appear under their name only when complete, and leave nothing when writing fails', async () => {
    const path = join(folder, 'b.trace');
    const writer = await TraceWriter.create(path, header);
    await writer.write(records[0]!);
    expect((await readdir(folder)).filter((name) => name === 'b.trace')).toEqual([]);
    await writer.close();
    expect(await all((await openTrace(path)).records)).toEqual([records[0]]);
    function* failing() {
      yield records[0]!;
      throw new Error('out of ideas');
    }
    await expect(writeTrace(join(folder, 'c.trace'), header, failing())).rejects.toThrow('out of ideas');
    expect((await readdir(folder)).filter((name) => name.startsWith('c.'))).toEqual([]);
  });

  it('name the file in every failure', async () => {
    const path = join(folder, 'd.trace');
    await expect(openTrace(path)).rejects.toMatchObject({ code: 'TANDEM_FILE_NOT_FOUND', place: path });
    await expect(openTrace(folder)).rejects.toMatchObject({
      code: 'TANDEM_FILE_UNREADABLE',
      place: folder,
      remedy: expect.stringContaining('run.trace'),
    });
    await writeFile(path, 'layer,head\n');
    await expect(openTrace(path)).rejects.toMatchObject({ code: 'TANDEM_NOT_A_TRACE', place: `${path}, byte 0` });
    const { bytes } = await writeTrace(path, header, records);
    await truncate(path, bytes - 1);
    const cut = all((await openTrace(path)).records);
    await expect(cut).rejects.toMatchObject({ code: 'TANDEM_TRACE_TRUNCATED', place: `${path}, byte ${bytes - 1}` });
  });
});
