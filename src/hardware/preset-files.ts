/** Presets on disk: the ones that come with Tandem, and the user's. The only file of hardware/ that needs Node. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closest } from 'fastest-levenshtein';
import { TandemError } from '../errors.js';
import { type Preset, parsePreset } from './presets.js';

const FOLDER = fileURLToPath(new URL('./presets/', import.meta.url));

/** Names of the presets that come with Tandem, sorted. */
export function presetNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/**
 * Reads a preset by name, or a user's own by a path that ends in .yaml or .yml.
 * @param place where the reference stands, for errors
 * @throws TANDEM_UNKNOWN_NAME, TANDEM_FILE_NOT_FOUND, TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID
 */
export function readPreset(nameOrPath: string, place?: string): Preset {
  if (/\.ya?ml$/.test(nameOrPath)) {
    if (!existsSync(nameOrPath)) {
      throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no machine file "${nameOrPath}".`, {
        place,
        remedy: 'Check the path; it is relative to the working directory.',
      });
    }
    return parsePreset(readFileSync(nameOrPath, 'utf8'), nameOrPath);
  }
  const names = presetNames();
  if (!names.includes(nameOrPath)) {
    throw new TandemError(
      'TANDEM_UNKNOWN_NAME',
      `There is no machine preset "${nameOrPath}". Did you mean "${closest(nameOrPath, names)}"?`,
      { place, remedy: `Use one of: ${names.join(', ')}, or the path of a .yaml file.` },
    );
  }
  return parsePreset(readFileSync(`${FOLDER}${nameOrPath}.yaml`, 'utf8'), `${nameOrPath}.yaml`);
}
