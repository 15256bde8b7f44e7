/** Traces on disk, for Node. The rest of trace/ runs anywhere. */
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TandemError } from '../errors.js';
import { decodeTrace } from './decode.js';
import { encodeEnd, encodeHeader, encodeRecord } from './encode.js';
import type { RandomAccess } from './scan.js';
import type { TraceHeader, TraceRecord } from './types.js';

const READ_BYTES = 1 << 20;

/** Writes beside the target and renames on `close`: a reader never sees half a trace under its final name. */
export class TraceWriter {
  #records = 0;
  #bytes = 0;

  private constructor(
    readonly path: string,
    readonly temporaryPath: string,
    readonly file: FileHandle,
  ) {}

  static async create(path: string, header: TraceHeader): Promise<TraceWriter> {
    await mkdir(dirname(path), { recursive: true });
    const temporaryPath = `${path}.${process.pid}.partial`;
    const writer = new TraceWriter(path, temporaryPath, await open(temporaryPath, 'w'));
    await writer.#append(encodeHeader(header));
    return writer;
  }

  /** Records written so far. */
  get records(): number {
    return this.#records;
  }
  get bytes(): number {
    return this.#bytes;
  }

  async write(record: TraceRecord): Promise<void> {
    await this.#append(encodeRecord(record));
    this.#records++;
  }

  /** Ends the trace and gives it its name. */
  async close(): Promise<void> {
    await this.#append(encodeEnd(this.#records));
    await this.file.sync();
    await this.file.close();
    await rename(this.temporaryPath, this.path);
  }

  /** Leaves nothing behind. */
  async abort(): Promise<void> {
    await this.file.close();
    await rm(this.temporaryPath, { force: true });
  }

  async #append(bytes: Uint8Array): Promise<void> {
    await this.file.writeFile(bytes);
    this.#bytes += bytes.length;
  }
}

/** Writes a whole trace; on failure nothing is left. */
export async function writeTrace(
  path: string,
  header: TraceHeader,
  records: Iterable<TraceRecord> | AsyncIterable<TraceRecord>,
): Promise<{ records: number; bytes: number }> {
  const writer = await TraceWriter.create(path, header);
  try {
    for await (const record of records) await writer.write(record);
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return { records: writer.records, bytes: writer.bytes };
}

/**
 * Header at once, records as a stream.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, and what `decodeTrace` throws, with the path in `place`.
 */
export async function openTrace(path: string): Promise<{ header: TraceHeader; records: AsyncIterable<TraceRecord> }> {
  const chunks = createReadStream(path, { highWaterMark: READ_BYTES });
  try {
    const { header, records } = await decodeTrace(chunks);
    return { header, records: placed(records, path) };
  } catch (error) {
    throw withPath(error, path);
  }
}

async function* placed(records: AsyncIterable<TraceRecord>, path: string): AsyncGenerator<TraceRecord> {
  try {
    yield* records;
  } catch (error) {
    throw withPath(error, path);
  }
}

/** Opens a trace for `scanTrace` and `readRecord`. */
export async function openRandomAccess(path: string): Promise<RandomAccess & { close(): Promise<void> }> {
  try {
    const file = await open(path, 'r');
    const { size } = await file.stat();
    const read = async (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      return bytes.subarray(0, bytesRead);
    };
    return { size, read, close: () => file.close() };
  } catch (error) {
    throw withPath(error, path);
  }
}

function withPath(error: unknown, path: string): unknown {
  if (error instanceof TandemError) {
    const { place, remedy, cause } = error;
    return new TandemError(error.code, error.message, { place: place ? `${path}, ${place}` : path, remedy, cause });
  }
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new TandemError('TANDEM_FILE_NOT_FOUND', `There is no trace file "${path}".`, {
        place: path,
        remedy: 'Check the path; relative paths start at the current folder.',
        cause: error,
      });
    case 'EISDIR':
      return new TandemError('TANDEM_FILE_UNREADABLE', `"${path}" is a folder, not a trace.`, {
        place: path,
        remedy: 'Name a file in it: the trace of a run is run.trace in its folder.',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new TandemError('TANDEM_FILE_UNREADABLE', `"${path}" may not be read.`, {
        place: path,
        remedy: 'Give yourself permission to read it (chmod), or run as its owner.',
        cause: error,
      });
    default:
      return error;
  }
}
