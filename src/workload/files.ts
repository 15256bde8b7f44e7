/** Workload files on disk. The only file of workload/ that needs Node. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { TandemError } from '../errors.js';
import { parseModelDictionary } from './acceltran-model.js';
import { type MemoryRequest, parseRequests } from './requests.js';
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

/**
 * Requests to memory, read as they are asked for, some at a time.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE at once; what parseRequests throws while it is read
 */
export function openRequests(path: string, capacityBytes: number): AsyncGenerator<readonly MemoryRequest[]> {
  attempt(path, () => closeSync(openSync(path, 'r')));
  return parseRequests(pieces(path), path, capacityBytes);
}

const PIECE_BYTES = 65536;

async function* pieces(path: string): AsyncGenerator<Uint8Array> {
  const file = attempt(path, () => openSync(path, 'r'));
  try {
    for (;;) {
      const piece = new Uint8Array(PIECE_BYTES);
      const length = attempt(path, () => readSync(file, piece));
      if (length === 0) return;
      yield piece.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
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

const contents = (path: string): Uint8Array => attempt(path, () => readFileSync(path));

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
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
