import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { writeAtomically, writeAtomicallySync } from '../src/atomic-file.js';
import { scratchFolder } from './experiment/scratch.js';

const BUILT = fileURLToPath(new URL('../dist/atomic-file.js', import.meta.url));
const isBuilt = existsSync(BUILT);
if (!isBuilt) console.warn('dist/ is absent: tests of short writes are skipped (npm run build makes it)');

describe.each([
  ['writeAtomically', writeAtomically],
  ['writeAtomicallySync', writeAtomicallySync],
])('%s', (name, write) => {
  it('writes text and bytes, over what was there', async () => {
    const path = join(scratchFolder(), 'größe.txt');
    await write(path, 'fünf');
    expect(readFileSync(path, 'utf8')).toBe('fünf');
    await write(path, Uint8Array.of(0, 1, 2, 3).subarray(1, 3));
    expect([...readFileSync(path)]).toEqual([1, 2]);
  });

  it('writes through a link', async () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'target'), 'old');
    symlinkSync('target', join(folder, 'link'));
    await write(join(folder, 'link'), 'new');
    expect(readFileSync(join(folder, 'target'), 'utf8')).toBe('new');
    expect(readdirSync(folder).toSorted()).toEqual(['link', 'target']);
  });

  it('leaves nothing where it may not write', async () => {
    const path = join(scratchFolder(), 'absent', 'file');
    await expect((async () => write(path, 'x'))()).rejects.toMatchObject({ code: 'ENOENT' });
  });

  // A disk that fills up takes the first part of a write without an error; so does a limit on the size of files.
  it.skipIf(!isBuilt || process.platform === 'win32')('keeps the former file when only a part could be written', () => {
    const folder = scratchFolder();
    const path = join(folder, 'file');
    writeFileSync(path, 'former');
    const program = `
      import { ${name} as write } from ${JSON.stringify(BUILT)};
      try { await write(${JSON.stringify(path)}, new Uint8Array(200_000)); } catch (cause) { console.log(cause.code); }`;
    const shell = `trap '' XFSZ; ulimit -f 64; exec "$0" --input-type=module --eval "$1"`;
    const { stdout } = spawnSync('bash', ['-c', shell, process.execPath, program], { encoding: 'utf8' });
    expect(stdout).toBe('EFBIG\n');
    expect(readdirSync(folder)).toEqual(['file']);
    expect(readFileSync(path, 'utf8')).toBe('former');
  });
});
