/** Walks a zod schema by the path of a setting: which keys it allows, what a value there may be. */
import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';

export type Path = readonly (string | number)[];

/** The parts of zod's definition that this file reads. */
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly options?: readonly z.ZodType[];
  readonly discriminator?: string;
  readonly values?: readonly unknown[];
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly getter?: () => z.ZodType;
}

const definition = (schema: z.ZodType): Definition => schema._zod.def as unknown as Definition;

/** The schema under optional, default and the like. */
export function unwrap(schema: z.ZodType): z.ZodType {
  const { innerType, in: input, getter, type } = definition(schema);
  if (innerType) return unwrap(innerType);
  if (type === 'pipe' && input) return unwrap(input);
  if (type === 'lazy' && getter) return unwrap(getter());
  return schema;
}

/** Alternatives of a schema that the value's discriminator does not rule out. */
export function alternatives(schema: z.ZodType, value?: unknown): z.ZodType[] {
  const bare = unwrap(schema);
  const { type, options, discriminator } = definition(bare);
  if (type !== 'union' || !options) return [bare];
  const chosen = isRecord(value) && discriminator ? value[discriminator] : undefined;
  const fitting = options.filter((option) => {
    const tag = discriminator && definition(unwrap(option)).shape?.[discriminator];
    return !tag || chosen === undefined || definition(tag).values?.includes(chosen);
  });
  return fitting.flatMap((option) => alternatives(option, value));
}

/** Names of the settings in an object; undefined where any name is allowed, empty where the schema is no object. */
export function allowedKeys(schema: z.ZodType, value?: unknown): string[] | undefined {
  const keys = new Set<string>();
  for (const option of alternatives(schema, value)) {
    const { type, shape } = definition(option);
    if (type === 'record' || type === 'any' || type === 'unknown') return undefined;
    for (const key of Object.keys(shape ?? {})) keys.add(key);
  }
  return [...keys];
}

/**
 * Schemas that a value at a path may satisfy; empty when the path names no setting.
 * @param value the configuration so far: its discriminators choose among alternatives
 */
export function schemasAt(schema: z.ZodType, path: Path, value?: unknown): z.ZodType[] {
  const [key, ...rest] = path;
  const options = alternatives(schema, value);
  if (key === undefined) return options;
  const below = isRecord(value) || Array.isArray(value) ? (value as Record<string | number, unknown>)[key] : undefined;
  return options.flatMap((option) => {
    const { type, shape, element, valueType } = definition(option);
    if (type === 'any' || type === 'unknown') return [option];
    const child =
      type === 'object' && shape && Object.hasOwn(shape, key)
        ? shape[String(key)]
        : type === 'array' && /^\d+$/.test(String(key))
          ? element
          : type === 'record'
            ? valueType
            : undefined;
    return child ? schemasAt(child, rest, below) : [];
  });
}

/** Paths of all settings below a schema, in order, as `a.b`; elements of lists appear as `a.0`. */
export function settingPaths(schema: z.ZodType, value?: unknown): string[] {
  return alternatives(schema, value).flatMap((option) => {
    const { type, shape, element } = definition(option);
    const children: [string, z.ZodType][] =
      type === 'object' ? Object.entries(shape ?? {}) : type === 'array' && element ? [['0', element]] : [];
    return children.flatMap(([key, child]) => {
      const below = isRecord(value) ? value[key] : undefined;
      return [key, ...settingPaths(child, below).map((path) => `${key}.${path}`)];
    });
  });
}

export const schemaType = (schema: z.ZodType): string => definition(unwrap(schema)).type;

/** Allowed values of an enumeration or literal. */
export function allowedValues(schema: z.ZodType): unknown[] | undefined {
  const { type, values, entries } = definition(unwrap(schema));
  if (type === 'literal') return [...(values ?? [])];
  if (type === 'enum') return Object.values(entries ?? {});
  return undefined;
}

/** The name that a mistyped one is likely to mean; undefined when none is near. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const exact = names.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  if (exact) return exact;
  const candidate = closest(name, [...names]);
  return distance(name, candidate) <= Math.max(2, Math.ceil(name.length * 0.4)) ? candidate : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `machines.0.set` as people write it in messages. */
export const pathText = (path: Path): string => path.join('.');
