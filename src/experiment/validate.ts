/** Checks a configuration against its schema and says of every problem where it is and what is allowed there. */
import type { core, z } from 'zod';
import { type ErrorCode, TandemError } from '../errors.js';
import {
  allowedKeys,
  allowedValues,
  isRecord,
  nearest,
  type Path,
  pathText,
  schemasAt,
  schemaType,
  unwrap,
} from './settings.js';

/** Where settings stand: in a file, or on the command line. */
export interface Places {
  place(path: Path): string;
  keyPlace(path: Path): string;
}

export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  readonly place: string;
  readonly remedy: string | undefined;
}

/** All problems of one configuration; the first one gives the code. */
export class InvalidSettings extends TandemError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const [first] = problems as readonly [Problem, ...Problem[]];
    super(first.code, first.message, { place: first.place, remedy: first.remedy });
    this.problems = problems;
  }
}

/**
 * @param at where the value stands in what `places` knows, e.g. ['machines', 0, 'config']
 * @throws InvalidSettings: TANDEM_CONFIG_INVALID, TANDEM_UNKNOWN_SETTING, TANDEM_UNKNOWN_NAME
 */
export function validateSettings<T>(schema: z.ZodType<T>, value: unknown, places: Places, at: Path = []): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InvalidSettings(result.error.issues.flatMap((issue) => problemsOf(issue, schema, value, places, at)));
}

function problemsOf(issue: core.$ZodIssue, schema: z.ZodType, root: unknown, places: Places, at: Path): Problem[] {
  const path = issue.path as (string | number)[];
  const full = [...at, ...path];
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedAt(schema, path, root);
    return issue.keys.map((key) => unknownSetting(key, allowed, full, places.keyPlace([...full, key])));
  }
  const value = valueAt(root, path);
  const what = full.length > 0 ? `"${pathText(full)}"` : 'The file';
  const names = issueNames(issue, schema, path, root);
  const known = names?.filter((name) => typeof name === 'string');
  const unknownName = typeof value === 'string' && isNameSetting(path) && known && known.length > 0;
  const guess = typeof value === 'string' && known ? nearest(value, known) : undefined;
  return [
    {
      code: unknownName ? 'TANDEM_UNKNOWN_NAME' : 'TANDEM_CONFIG_INVALID',
      message: unknownName
        ? `${what} names no ${kindOf(path)}: ${show(value)}.`
        : `${what} ${complaint(issue, value)}.`,
      place: value === undefined ? places.keyPlace(full) : places.place(full),
      remedy:
        [guess && `Did you mean "${guess}"?`, remedyOf(issue, names, schema, path, root)].filter(Boolean).join(' ') ||
        undefined,
    },
  ];
}

/** The problem that a key or path names no setting. */
export function unknownSetting(key: string, allowed: readonly string[], parent: Path, place: string): Problem {
  const guess = nearest(key, allowed);
  return {
    code: 'TANDEM_UNKNOWN_SETTING',
    message: `There is no setting "${pathText([...parent, key])}".`,
    place,
    remedy: [
      guess && `Did you mean "${guess}"?`,
      allowed.length > 0 ? `Allowed here: ${allowed.join(', ')}.` : 'No settings are allowed here.',
    ]
      .filter(Boolean)
      .join(' '),
  };
}

/** Settings whose values are names of registered things. */
const NAME_SETTINGS: readonly (readonly [RegExp, string])[] = [
  [/^model\.name$/, 'model family'],
  [/^technique\.name$/, 'technique'],
  [/^task\.dataset$/, 'data set'],
  [/^machines\.\d+\.machine$/, 'machine'],
  [/^machines\.\d+\.preset$/, 'preset'],
];
const kindOf = (path: Path) => NAME_SETTINGS.find(([pattern]) => pattern.test(pathText(path)))?.[1];
const isNameSetting = (path: Path) => kindOf(path) !== undefined;

function complaint(issue: core.$ZodIssue, value: unknown): string {
  if (value === undefined && issue.code !== 'custom') return 'is missing';
  switch (issue.code) {
    case 'invalid_type':
      if (value === null) return 'has no value';
      return `must be ${article(issue.expected)}, not ${show(value)}`;
    case 'invalid_value':
    case 'invalid_union':
      return `may not be ${show(value)}`;
    case 'too_small':
      return `must be ${issue.origin === 'string' || issue.origin === 'array' ? 'longer: at least' : issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}, not ${show(value)}`;
    case 'too_big':
      return `must be ${issue.origin === 'string' || issue.origin === 'array' ? 'shorter: at most' : issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}, not ${show(value)}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}, not ${show(value)}`;
    case 'invalid_format':
      return `may not be ${show(value)}`;
    default:
      return issue.message;
  }
}

function remedyOf(
  issue: core.$ZodIssue,
  names: readonly unknown[] | undefined,
  schema: z.ZodType,
  path: Path,
  root: unknown,
): string {
  const description = schemasAt(schema, path.slice(0, -1), root)
    .map((parent) => describeChild(parent, path.at(-1)))
    .find(Boolean);
  const allowed = names && names.length > 0 ? `Use one of: ${names.join(', ')}${orElse(issue)}.` : '';
  const what = description && `${path.at(-1)}: ${description}.`;
  return [allowed, what].filter(Boolean).join(' ');
}

/** Says what a union takes besides its names. */
function orElse(issue: core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return '';
  const types = issue.errors.flatMap((errors) =>
    errors.flatMap((one) => (one.code === 'invalid_type' ? [article(one.expected)] : [])),
  );
  const patterns = issue.errors.flatMap((errors) =>
    errors.flatMap((one) => (one.code === 'invalid_format' ? [one.message] : [])),
  );
  return [...types, ...patterns].map((text) => `, or ${text}`).join('');
}

function issueNames(issue: core.$ZodIssue, schema: z.ZodType, path: Path, root: unknown): unknown[] | undefined {
  if (issue.code === 'invalid_value') return [...issue.values];
  if (issue.code !== 'invalid_union') {
    const values = schemasAt(schema, path, root).flatMap((option) => allowedValues(option) ?? []);
    return values.length > 0 ? values : undefined;
  }
  const { options } = issue as { options?: readonly unknown[] };
  return options
    ? [...options]
    : issue.errors.flatMap((errors) => errors.flatMap((one) => (one.code === 'invalid_value' ? one.values : [])));
}

function allowedAt(schema: z.ZodType, path: Path, root: unknown): string[] {
  const value = valueAt(root, path);
  return [...new Set(schemasAt(schema, path, root).flatMap((option) => allowedKeys(option, value) ?? []))];
}

function describeChild(parent: z.ZodType, key: string | number | undefined): string | undefined {
  if (key === undefined || schemaType(parent) !== 'object') return undefined;
  const child = (unwrap(parent) as z.ZodObject).shape[key] as z.ZodType | undefined;
  return child?.description;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    if (!isRecord(value) && !Array.isArray(value)) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

const ARTICLES: Readonly<Record<string, string>> = {
  object: 'a mapping of settings',
  record: 'a mapping of settings',
  array: 'a list',
  int: 'a whole number',
  integer: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
};
const article = (type: string): string => ARTICLES[type] ?? type;

function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
