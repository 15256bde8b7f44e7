/**
 * Presets: named machine descriptions in YAML. Parsing needs no file system (preset-files.ts reads the files).
 *
 *     machine: systolic               # which simulator
 *     name: systolic-32x32-ws
 *     description: one sentence
 *     source: where the description comes from
 *     technology: { nodeNanometres: 65, voltage: 1.0, clockHertz: 8.0e8 }
 *     config:                         # what that machine's schema asks for
 *       array:
 *         rows: 32
 *         columns: { value: 32, source: "…", certainty: assumed }
 *
 * Any number may be written plainly or with where it comes from, as `columns` above. The machine gets plain numbers,
 * with the technology as its setting `technology`; the origins are kept as `provenance`.
 */
import { z } from 'zod';
import { TandemError } from '../errors.js';
import type { Path } from '../settings/schema-walk.js';
import { type Places, validateSettings } from '../settings/validate.js';
import { parseYaml, type YamlFile } from '../settings/yaml.js';
import { CERTAINTY_FACTOR } from './certainty.js';
import type { Certainty, Constant, Technology } from './types.js';

export const technologySchema: z.ZodType<Technology> = z.strictObject({
  nodeNanometres: z.number().min(7).max(180).describe('Technology node, nm'),
  voltage: z.number().positive().max(2).describe('Supply voltage, V'),
  clockHertz: z.number().positive().describe('Clock, Hz; taken on trust, timing closure is not modelled'),
});

export interface Preset extends Places {
  /** Registered name of the machine. */
  readonly machine: string;
  readonly name: string;
  readonly description: string;
  readonly source: string;
  readonly technology: Technology;
  /** Plain values for the machine's schema; `technology` is among them. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Numbers of this preset that say where they come from; names are dotted paths below the preset's name. */
  readonly provenance: readonly Constant[];
}

const text = z.string().min(1);
const presetSchema = z.strictObject({
  machine: text,
  name: text.regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'use lower-case letters, digits and hyphens'),
  description: text,
  source: text,
  technology: technologySchema,
  config: z.record(z.string(), z.unknown()),
});

/**
 * @param file name shown in errors
 * @throws TANDEM_CONFIG_SYNTAX, TANDEM_UNKNOWN_SETTING, TANDEM_CONFIG_INVALID with file, line and column
 */
export function parsePreset(yaml: string, file: string): Preset {
  const document = parseYaml(new TextEncoder().encode(yaml), file);
  const provenance: Constant[] = [];
  const plain = withoutProvenance(document.value, [], document, provenance);
  const preset = validateSettings(presetSchema, plain, document);
  if ('technology' in preset.config) {
    throw new TandemError('TANDEM_CONFIG_INVALID', 'The technology stands beside config, not in it.', {
      place: document.keyPlace(['config', 'technology']),
      remedy: 'Move it one level up.',
    });
  }
  return {
    ...preset,
    config: { technology: preset.technology, ...preset.config },
    provenance: provenance.map((constant) => ({ ...constant, name: `${preset.name}.${constant.name}` })),
    place: (path) => document.place(inDocument(path)),
    keyPlace: (path) => document.keyPlace(inDocument(path)),
  };
}

/** Where a setting of the machine's configuration stands in the preset's document. */
const inDocument = (path: Path): Path => (path[0] === 'technology' ? path : ['config', ...path]);

/**
 * Configuration of a preset as its machine wants it, defaults filled in.
 * @throws TANDEM_UNKNOWN_SETTING, TANDEM_CONFIG_INVALID with file, line and column
 */
export function presetConfig<Config>(preset: Preset, schema: z.ZodType<Config>): Config {
  return validateSettings(schema, preset.config, preset);
}

const CERTAINTIES = Object.keys(CERTAINTY_FACTOR) as Certainty[];
const SOURCED_KEYS = new Set(['value', 'source', 'certainty', 'unit', 'note']);
const sourcedSchema = z.strictObject({
  value: z.number(),
  source: text,
  certainty: z.enum(CERTAINTIES as [Certainty, ...Certainty[]]),
  unit: text.optional(),
  note: text.optional(),
});

function isSourced(value: object): boolean {
  return 'value' in value && 'source' in value && Object.keys(value).every((key) => SOURCED_KEYS.has(key));
}

/** A copy with every {value, source, certainty} replaced by its value; the rest of it is pushed onto `provenance`. */
function withoutProvenance(value: unknown, path: Path, document: YamlFile, provenance: Constant[]): unknown {
  if (Array.isArray(value)) {
    return value.map((item, index) => withoutProvenance(item, [...path, index], document, provenance));
  }
  if (typeof value !== 'object' || value === null) return value;
  if (isSourced(value)) {
    const { unit = '', note, ...sourced } = validateSettings(sourcedSchema, value, document, { at: path });
    provenance.push({ name: path.join('.'), unit, ...sourced, ...(note === undefined ? {} : { note }) });
    return sourced.value;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withoutProvenance(item, [...path, key], document, provenance)]),
  );
}
