/** Versions, from the package.json files beside the code. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const versionIn = (path: string): string => (require(path) as { version: string }).version;

/** Tandem's own; package.json stands beside both src/ and dist/. */
export const tandemVersion: string = versionIn('../package.json');

/** @throws when the package is not installed */
export const packageVersion = (name: string): string => versionIn(`${name}/package.json`);
