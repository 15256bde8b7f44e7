import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { TandemError } from '../errors.js';
import type { Tensor } from '../graph/types.js';
import {
  fromStored,
  headerLength,
  LENGTH_BYTES,
  parseHeader,
  type SafetensorsHeader,
  safetensorsPieces,
  storage,
  type Weights,
} from './safetensors.js';

/** An open file whose tensors are read one by one. */
export interface SafetensorsFile extends SafetensorsHeader {
  /** @throws TANDEM_CHECKPOINT_INVALID if the file has no tensor of this name */
  read(name: string): Promise<Tensor>;
  close(): Promise<void>;
}

/** @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openExisting(path);
  try {
    const { size } = await handle.stat();
    const prefix = new Uint8Array(Math.min(LENGTH_BYTES, size));
    await readFully(handle, prefix, 0, path);
    const json = new Uint8Array(headerLength(prefix, size, path));
    await readFully(handle, json, LENGTH_BYTES, path);
    const header = parseHeader(json, size, path);
    const read = async (name: string): Promise<Tensor> => {
      const stored = header.tensors.get(name);
      if (!stored) {
        throw new TandemError('TANDEM_CHECKPOINT_INVALID', `There is no tensor "${name}" in this file.`, {
          place: path,
          remedy: 'Use the weights that belong to the model.',
        });
      }
      const { bytes, values } = storage(stored);
      await readFully(handle, bytes, header.dataStart + stored.begin, path);
      return fromStored(stored, values, name, path);
    };
    return { ...header, read, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** All tensors of a file. @throws TANDEM_FILE_NOT_FOUND, TANDEM_CHECKPOINT_INVALID */
export async function readSafetensors(path: string): Promise<Weights> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, Tensor>();
    for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
    return { tensors, metadata: file.metadata };
  } finally {
    await file.close();
  }
}

/** Writes beside the target and renames: a reader finds the old file or the new one, never a part. */
export async function writeSafetensors(path: string, weights: Weights): Promise<void> {
  const scratch = `${path}.${process.pid}.partial`;
  try {
    const handle = await open(scratch, 'w');
    try {
      for (const piece of safetensorsPieces(weights)) await writeFully(handle, piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(scratch, path);
  } catch (error) {
    await rm(scratch, { force: true });
    throw error;
  }
}

async function openExisting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no file ${path}.`, { place: path, cause });
  }
}

/** One call of the operating system moves less than 2 GiB. */
const LARGEST_CALL = 2 ** 30;

async function readFully(handle: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(LARGEST_CALL, bytes.length - done);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) {
      throw new TandemError('TANDEM_CHECKPOINT_INVALID', 'The file became shorter while it was read.', {
        place: path,
        remedy: 'Read it when nothing writes to it.',
      });
    }
    done += bytesRead;
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(LARGEST_CALL, bytes.length - done));
    done += bytesWritten;
  }
}
