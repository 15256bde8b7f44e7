/** Workload files on disk. The only file of workload/ that needs Node. */
import { readFileSync } from 'node:fs';
import { TandemError } from '../errors.js';
import { parseScaleSimConfig, type ScaleSimConfig } from './scale-sim-config.js';
import { parseTopology } from './topology.js';
import type { GemmLayer } from './types.js';

/** Layers of a SCALE-Sim layer list. @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, TANDEM_WORKLOAD_INVALID */
export function readTopology(path: string): GemmLayer[] {
  return parseTopology(read(path), path);
}

/** @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID */
export function readScaleSimConfig(path: string): ScaleSimConfig {
  return parseScaleSimConfig(read(path), path);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new TandemError(
      absent ? 'TANDEM_FILE_NOT_FOUND' : 'TANDEM_FILE_UNREADABLE',
      absent ? `There is no file "${path}".` : `The file "${path}" cannot be read.`,
      { remedy: 'Check the path; it is relative to the working directory.', cause },
    );
  }
}
