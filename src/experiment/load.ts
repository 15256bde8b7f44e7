/** Reads an experiment file: from bytes to a complete, checked experiment, or to errors that point into the file. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { applySet, withSettings } from '../settings/set.js';
import { validateSettings } from '../settings/validate.js';
import { parseYaml, type YamlFile } from '../settings/yaml.js';
import { readable } from './file-errors.js';
import type { ResolvedMachine } from './machines.js';
import { resolveMachines } from './machines.js';
import { type Experiment, experimentSchema, nameKind } from './schema.js';

export interface LoadedExperiment {
  readonly experiment: Experiment;
  readonly machines: readonly ResolvedMachine[];
  /** Machines of each rival. */
  readonly rivals: readonly (readonly ResolvedMachine[])[];
  /** The file as given. */
  readonly bytes: Uint8Array;
  /** As the user named it. */
  readonly file: string;
  /** Absolute; relative paths in the file start here. */
  readonly baseFolder: string;
  /** `--set` changes, in order. */
  readonly settings: readonly string[];
}

export interface LoadOptions {
  /** Changes from the command line, as `path=value`. */
  readonly settings?: readonly string[];
  /** Folder against which relative paths resolve; default: the file's own. */
  readonly baseFolder?: string;
}

/**
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID,
 *   TANDEM_UNKNOWN_SETTING, TANDEM_UNKNOWN_NAME; all with file, line and column
 */
export async function loadExperiment(file: string, options: LoadOptions = {}): Promise<LoadedExperiment> {
  return parseExperiment(await readable(file, () => readFile(file)), file, options);
}

/** The same, of bytes that are at hand. */
export function parseExperiment(bytes: Uint8Array, file: string, options: LoadOptions = {}): LoadedExperiment {
  return checked(parseYaml(bytes, file), options);
}

function checked(
  yaml: YamlFile,
  { settings = [], baseFolder = dirname(resolve(yaml.file)) }: LoadOptions,
): LoadedExperiment {
  const schema = experimentSchema();
  let value = yaml.value;
  for (const setting of settings) value = applySet(schema, value, setting);
  const places = withSettings(yaml, settings);
  const experiment = validateSettings(schema, value, places, { nameKind });
  return {
    experiment,
    ...resolveMachines(experiment, places, baseFolder),
    bytes: yaml.bytes,
    file: yaml.file,
    baseFolder,
    settings,
  };
}
