/** Folders for tests, removed when the test is over. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder for all tests of a file; `remove` it in afterAll. */
export function keptFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-test-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export function scratchFile(name: string, content: string | Uint8Array): string {
  const path = join(scratchFolder(), name);
  writeFileSync(path, content);
  return path;
}

/** A small valid experiment; lines may be replaced or added. */
export const EXPERIMENT = `tandem: 1
name: example
model:
  name: use-lite
task:
  dataset: spam-assassin
  train: 64
technique:
  name: leopard
  queryKeyBits: 12
machines:
  - preset: systolic-32x32-ws
    set: { array.rows: 16 }
`;
