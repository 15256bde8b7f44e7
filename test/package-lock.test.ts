/** What `npm ci` asks of the lock file, wherever it runs. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Locked {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
const locked: Record<string, Locked> = read('package-lock.json').packages;

/** Node's resolution: the package's own node_modules first, then those of the folders above it. */
function resolved(from: string, name: string): Locked | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const found = locked[`${folder && `${folder}/`}node_modules/${name}`];
    if (found || folder === '') return found;
  }
}

describe('package-lock.json', () => {
  it('is of the same dependencies as package.json', () => {
    const { dependencies, devDependencies } = read('package.json');
    expect({ ...locked['']?.dependencies, ...locked['']?.devDependencies }).toEqual({
      ...dependencies,
      ...devDependencies,
    });
  });

  // One of another platform that is missing makes `npm ci` refuse the lock file on every platform.
  it('has every package that another needs, those for other platforms too', () => {
    const missing = Object.entries(locked).flatMap(
      ([folder, { dependencies, devDependencies, optionalDependencies }]) =>
        Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
          .filter((name) => !resolved(folder, name))
          .map((name) => `${name} of ${folder}`),
    );
    expect(missing).toEqual([]);
  });
});
