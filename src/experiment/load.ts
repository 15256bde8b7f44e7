/** Reads an experiment file: from bytes to a complete, checked experiment, or to errors that point into the file. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { ZodType } from 'zod';
import { TandemError } from '../errors.js';
import { isRecord } from '../settings/schema-walk.js';
import { applySet, withSettings } from '../settings/set.js';
import { validateSettings } from '../settings/validate.js';
import { parseYaml, type YamlFile } from '../settings/yaml.js';
import { type DecoderWidthsExperiment, decoderWidthsSchema, TECHNIQUE } from './decoder-widths/schema.js';
import { type DecodingExperiment, decodingSchema } from './decoding/schema.js';
import { readable } from './file-errors.js';
import type { ResolvedMachine } from './machines.js';
import { resolveMachines } from './machines.js';
import { type Experiment, experimentSchema, nameKind } from './schema.js';

/** What every experiment file becomes, whatever it is about. */
interface LoadedFile {
  readonly machines: readonly ResolvedMachine[];
  /** The file as given. */
  readonly bytes: Uint8Array;
  /** As the user named it. */
  readonly file: string;
  /** Absolute; relative paths in the file start here. */
  readonly baseFolder: string;
  /** `--set` changes, in order. */
  readonly settings: readonly string[];
}

/** A classifier, with and without a technique. */
export interface LoadedExperiment extends LoadedFile {
  readonly kind: 'classification';
  readonly experiment: Experiment;
  /** Machines of each rival. */
  readonly rivals: readonly (readonly ResolvedMachine[])[];
}

/** A decoder whose tokens leave early. */
export interface LoadedDecoding extends LoadedFile {
  readonly kind: 'decoding';
  readonly experiment: DecodingExperiment;
}

/** A decoder whose tokens have bit widths. */
export interface LoadedDecoderWidths extends LoadedFile {
  readonly kind: 'decoder-widths';
  readonly experiment: DecoderWidthsExperiment;
  /** Machines of each rival. */
  readonly rivals: readonly (readonly ResolvedMachine[])[];
}

export type Loaded = LoadedExperiment | LoadedDecoding | LoadedDecoderWidths;

export interface LoadOptions {
  /** Changes from the command line, as `path=value`. */
  readonly settings?: readonly string[];
  /** Folder against which relative paths resolve; default: the file's own. */
  readonly baseFolder?: string;
}

/**
 * Reads an experiment of any kind: one with a `decoder` is about decoding, by the widths of tokens if its technique gives them any.
 * @throws TANDEM_FILE_NOT_FOUND, TANDEM_FILE_UNREADABLE, TANDEM_CONFIG_SYNTAX, TANDEM_CONFIG_INVALID,
 *   TANDEM_UNKNOWN_SETTING, TANDEM_UNKNOWN_NAME; all with file, line and column
 */
export async function loadExperiment(file: string, options: LoadOptions = {}): Promise<Loaded> {
  return parseExperiment(await readable(file, () => readFile(file)), file, options);
}

/** The same, of bytes that are at hand. */
export function parseExperiment(bytes: Uint8Array, file: string, options: LoadOptions = {}): Loaded {
  const yaml = parseYaml(bytes, file);
  if (!isRecord(yaml.value) || !Object.hasOwn(yaml.value, 'decoder')) return classificationOf(yaml, options);
  const { technique } = yaml.value;
  const widths = isRecord(technique) && technique.name === TECHNIQUE;
  return widths ? decoderWidthsOf(yaml, options) : decodingOf(yaml, options);
}

/** @param place what the user named @throws TANDEM_CONFIG_INVALID for an experiment on a decoder */
export function requireClassification(loaded: Loaded, place = loaded.file): LoadedExperiment {
  if (loaded.kind === 'classification') return loaded;
  throw new TandemError('TANDEM_CONFIG_INVALID', 'This is about a decoder, not about a classifier.', {
    place,
    remedy: 'Name an experiment or a run that has a `task`.',
  });
}

function classificationOf(yaml: YamlFile, options: LoadOptions): LoadedExperiment {
  const { experiment, places, ...file } = checked(experimentSchema(), yaml, options);
  return { kind: 'classification', experiment, ...resolveMachines(experiment, places, file.baseFolder), ...file };
}

function decodingOf(yaml: YamlFile, options: LoadOptions): LoadedDecoding {
  const { experiment, places, ...file } = checked(decodingSchema(), yaml, options);
  const { machines } = resolveMachines({ machines: experiment.machines, rivals: [] }, places, file.baseFolder);
  return { kind: 'decoding', experiment, machines, ...file };
}

function decoderWidthsOf(yaml: YamlFile, options: LoadOptions): LoadedDecoderWidths {
  const { experiment, places, ...file } = checked(decoderWidthsSchema(), yaml, options);
  return { kind: 'decoder-widths', experiment, ...resolveMachines(experiment, places, file.baseFolder), ...file };
}

function checked<T>(
  schema: ZodType<T>,
  yaml: YamlFile,
  { settings = [], baseFolder = dirname(resolve(yaml.file)) }: LoadOptions,
) {
  let value = yaml.value;
  for (const setting of settings) value = applySet(schema, value, setting);
  const places = withSettings(yaml, settings);
  const experiment = validateSettings(schema, value, places, { nameKind });
  return { experiment, places, bytes: yaml.bytes, file: yaml.file, baseFolder, settings };
}
