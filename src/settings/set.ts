/** `--set path=value`: changes one setting of any configuration, typed by its schema. */
import { parse } from 'yaml';
import type { z } from 'zod';
import { TandemError } from '../errors.js';
import { allowedKeys, isRecord, nearest, type Path, schemasAt, schemaType, settingPaths } from './schema-walk.js';
import { InvalidSettings, type Places, unknownSetting } from './validate.js';

/**
 * @param setting `array.rows=32`
 * @returns a copy of the configuration, not validated yet
 * @throws TANDEM_USAGE (no `=`), TANDEM_UNKNOWN_SETTING with the nearest path, TANDEM_CONFIG_INVALID
 */
export function applySet(schema: z.ZodType, config: unknown, setting: string): unknown {
  const { path, text } = splitSetting(setting);
  return setAt(schema, config, path, (options) => typed(text, options), `--set ${setting}`);
}

/** Path of a `--set`. @throws TANDEM_USAGE */
export function splitSetting(setting: string): { path: string[]; text: string } {
  const equals = setting.indexOf('=');
  if (equals <= 0) {
    throw new TandemError('TANDEM_USAGE', `"${setting}" sets nothing.`, {
      place: `--set ${setting}`,
      remedy: 'Write it as path=value, e.g. --set array.rows=32.',
    });
  }
  return { path: setting.slice(0, equals).trim().split('.'), text: setting.slice(equals + 1).trim() };
}

/**
 * @param valueFor gives the value, from the schemas that it may satisfy
 * @param place where the change is asked for
 */
export function setAt(
  schema: z.ZodType,
  config: unknown,
  path: Path,
  valueFor: (options: readonly z.ZodType[]) => unknown,
  place: string,
): unknown {
  const options = schemasAt(schema, path, config);
  if (options.length === 0) throw new InvalidSettings([unknownPath(schema, config, path, place)]);
  return replaced(config, path, valueFor(options), place);
}

function unknownPath(schema: z.ZodType, config: unknown, path: Path, place: string) {
  const text = path.join('.');
  const guess = nearest(text, settingPaths(schema, config));
  if (guess) {
    const remedy = `Did you mean "${guess}"?`;
    return { code: 'TANDEM_UNKNOWN_SETTING' as const, message: `There is no setting "${text}".`, place, remedy };
  }
  // No path resembles it as a whole: complain of the first part that does not exist.
  const known = path.findIndex((_, index) => schemasAt(schema, path.slice(0, index + 1), config).length === 0);
  const parent = path.slice(0, known);
  const allowed = schemasAt(schema, parent, config).flatMap((option) => allowedKeys(option) ?? []);
  return unknownSetting(String(path[known]), [...new Set(allowed)], parent, place);
}

/** Reads text as YAML does, except where the schema wants text or a list. */
function typed(text: string, options: readonly z.ZodType[]): unknown {
  const types = options.map(schemaType);
  if (types.every((type) => type === 'string')) return text;
  // What may be a list or something else is a list where it looks like one.
  const isList = types.every((type) => type === 'array') || text.includes(',') || text === '';
  if (types.includes('array') && !text.startsWith('[') && isList) {
    return text === '' ? [] : text.split(',').map((item) => scalar(item.trim()));
  }
  const value = scalar(text);
  const textual = types.every((type) => ['string', 'enum', 'literal'].includes(type));
  return textual && typeof value !== 'number' ? text : value;
}

function scalar(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

function replaced(config: unknown, path: Path, value: unknown, place: string): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(config)) {
    const index = Number(key);
    if (index > config.length) {
      throw new TandemError(
        'TANDEM_CONFIG_INVALID',
        `The list has ${config.length} elements; there is no element ${index}.`,
        {
          place,
          remedy: 'Elements are counted from 0.',
        },
      );
    }
    const copy = [...config];
    copy[index] = replaced(copy[index], rest, value, place);
    return copy;
  }
  const record = isRecord(config) ? config : {};
  return { ...record, [key]: replaced(record[key], rest, value, place) };
}

/** Places of a configuration of which some settings were given by `--set`. */
export function withSettings(places: Places, settings: readonly string[]): Places {
  const given = settings.map((setting) => ({ path: splitSetting(setting).path, place: `--set ${setting}` }));
  const override = (path: Path) =>
    given.findLast(({ path: set }) => {
      const common = Math.min(set.length, path.length);
      return path.length >= set.length && set.slice(0, common).every((key, index) => key === String(path[index]));
    })?.place;
  return {
    place: (path) => override(path) ?? places.place(path),
    keyPlace: (path) => override(path) ?? places.keyPlace(path),
  };
}
