/** Workload files on disk. The only file of workload/ that needs Node. */
import { readFileSync } from 'node:fs';
import { TandemError } from '../errors.js';
import { parseModelDictionary } from './acceltran-model.js';
import { parseScaleSimConfig, type ScaleSimConfig } from './scale-sim-config.js';
import { parseTopology } from './topology.js';
import type { TransformerArchitecture } from './transformer.js';
import type { GemmLayer } from './types.js';

/** Layers of a SCALE-Sim layer list. @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, TANDEM_WORKLOAD_INVALID */
export function readTopology(path: string): GemmLayer[] {
  return parseTopology(readText(path), path);
}

/** @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID */
export function readScaleSimConfig(path: string): ScaleSimConfig {
  return parseScaleSimConfig(readText(path), path);
}

/**
 * The transformer of a model dictionary.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, and what parseModelDictionary throws
 */
export function readModelDictionary(path: string): TransformerArchitecture {
  return parseModelDictionary(readText(path), path);
}

/** @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE */
export function readText(path: string): string {
  const bytes = contents(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TandemError('TANDEM_FILE_UNREADABLE', 'The file is not UTF-8 text.', {
      place: path,
      remedy: 'Save it as UTF-8, and check that this is the file you meant.',
      cause,
    });
  }
}

function contents(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new TandemError('TANDEM_FILE_NOT_FOUND', `There is no file "${path}".`, {
        place: path,
        remedy: 'Check the path; relative paths start at the current folder.',
        cause,
      });
    }
    const folder = code === 'EISDIR';
    throw new TandemError(
      'TANDEM_FILE_UNREADABLE',
      `"${path}" ${folder ? 'is a folder, not a file' : 'cannot be read'}.`,
      {
        place: path,
        remedy: folder ? 'Name a file in it.' : 'Check that you may read it, and that the disk is in order.',
        cause,
      },
    );
  }
}
