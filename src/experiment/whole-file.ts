/** Files that appear whole or not at all. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeAtomically } from '../atomic-file.js';
import { writable } from './file-errors.js';

/** Writes a file, its folder created where needed. @throws TANDEM_DISK_FULL, TANDEM_NOT_WRITABLE */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  await writable(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    await writeAtomically(path, data);
  });
}
