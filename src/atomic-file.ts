/** Files on disk that appear under their name whole or not at all, for Node. */
import { closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, realpath, rename, rm } from 'node:fs/promises';

let written = 0;
const beside = (path: string): string => `${path}.${process.pid}.${written++}.partial`;
/** Text as bytes, so that Node writes both the same way: again and again until all is written or the disk refuses. */
const bytesOf = (data: string | Uint8Array): Uint8Array => (typeof data === 'string' ? Buffer.from(data) : data);

/**
 * Writes beside the target, makes sure that it is on disk, and renames. A link at the target stays, and what it points
 * to is replaced. On failure nothing is left, and the former file stays.
 * @throws what the system says
 */
export async function writeAtomically(path: string, data: string | Uint8Array): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const partial = beside(target);
  try {
    const file = await open(partial, 'w');
    try {
      await file.writeFile(bytesOf(data));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, target);
  } catch (cause) {
    await rm(partial, { force: true });
    throw cause;
  }
}

/** The same, waiting. */
export function writeAtomicallySync(path: string, data: string | Uint8Array): void {
  const target = existing(path) ?? path;
  const partial = beside(target);
  try {
    const file = openSync(partial, 'w');
    try {
      writeFileSync(file, bytesOf(data));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, target);
  } catch (cause) {
    rmSync(partial, { force: true });
    throw cause;
  }
}

function existing(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
