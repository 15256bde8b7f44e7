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
} from './schema-walk.js';

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

export interface ValidationOptions {
  /** Where the value stands in what `places` knows, e.g. ['machines', 0, 'config']. */
  readonly at?: Path;
  /** Says what the value of a setting is a name of, e.g. "data set"; undefined for settings that are no names. */
  readonly nameKind?: (path: Path) => string | undefined;
}

/** @throws InvalidSettings: TANDEM_CONFIG_INVALID, TANDEM_UNKNOWN_SETTING, TANDEM_UNKNOWN_NAME */
export function validateSettings<T>(
  schema: z.ZodType<T>,
  value: unknown,
  places: Places,
  options: ValidationOptions = {},
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const subject = { schema, root: value, places, ...options };
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, subject));
  // A mistyped key is the reason why another one is missing, so it comes first.
  throw new InvalidSettings([
    ...problems.filter(({ code }) => code === 'TANDEM_UNKNOWN_SETTING'),
    ...problems.filter(({ code }) => code !== 'TANDEM_UNKNOWN_SETTING'),
  ]);
}

/** What is validated, as a whole. */
interface Subject extends ValidationOptions {
  readonly schema: z.ZodType;
  readonly root: unknown;
  readonly places: Places;
}

function problemsOf(issue: core.$ZodIssue, subject: Subject): Problem[] {
  const { root, places, at = [], nameKind } = subject;
  const path = issue.path as (string | number)[];
  const full = [...at, ...path];
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedAt(subject, path);
    return issue.keys.map((key) => unknownSetting(key, allowed, full, places.keyPlace([...full, key])));
  }
  const value = valueAt(root, path);
  const what = full.length > 0 ? `"${pathText(full)}"` : 'The file';
  const choices = choicesOf(issue, subject, path);
  const names = choices.filter((choice) => typeof choice === 'string');
  const kind = typeof value === 'string' && names.length > 0 ? nameKind?.(path) : undefined;
  const guess = typeof value === 'string' ? nearest(value, names) : undefined;
  return [
    {
      code: kind ? 'TANDEM_UNKNOWN_NAME' : 'TANDEM_CONFIG_INVALID',
      message: kind ? `${what} names no ${kind}: ${show(value)}.` : `${what} ${complaint(issue, value)}.`,
      place: value === undefined ? places.keyPlace(full) : places.place(full),
      remedy: remedyOf(issue, subject, path, choices, guess),
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
      return `must ${bound(issue, issue.inclusive ? 'at least' : 'more than')} ${issue.minimum}, not ${show(value)}`;
    case 'too_big':
      return `must ${bound(issue, issue.inclusive ? 'at most' : 'less than')} ${issue.maximum}, not ${show(value)}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}, not ${show(value)}`;
    case 'invalid_format':
      return `may not be ${show(value)}`;
    default:
      return issue.message;
  }
}

const bound = ({ origin }: { origin: string }, words: string): string =>
  origin === 'string' || origin === 'array' ? `have a length of ${words}` : `be ${words}`;

function remedyOf(
  issue: core.$ZodIssue,
  { schema, root }: Subject,
  path: Path,
  choices: readonly unknown[],
  guess: string | undefined,
): string {
  const described = meaningOf(schema, path, root);
  const parts = [
    guess && `Did you mean "${guess}"?`,
    choices.length > 0 && `Use one of: ${choices.join(', ')}${alternativesOf(issue)}.`,
    described ? `${described}.` : issue.code === 'invalid_format' && `${issue.message}.`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(' ') : valueAt(root, path) === undefined ? 'Add it.' : 'Change it.';
}

/** What the setting means, or the nearest one around it that says so: an element is told apart by its list. */
function meaningOf(schema: z.ZodType, path: Path, root: unknown): string | undefined {
  for (let depth = path.length; depth > 0; depth--) {
    const key = path[depth - 1];
    const meaning = schemasAt(schema, path.slice(0, depth - 1), root)
      .map((parent) => describeChild(parent, key))
      .find(Boolean);
    if (meaning) return `${key}: ${meaning}`;
    if (typeof key !== 'number') return undefined;
  }
  return undefined;
}

/** What a union takes besides its choices. */
function alternativesOf(issue: core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return '';
  const others = issue.errors.flat().flatMap((one) => {
    if (one.code === 'invalid_type') return [article(one.expected)];
    return one.code === 'invalid_format' ? [one.message] : [];
  });
  return others.map((text) => `, or ${text}`).join('');
}

/** Values that the setting may have, where they can be listed. */
function choicesOf(issue: core.$ZodIssue, { schema, root }: Subject, path: Path): readonly unknown[] {
  if (issue.code === 'invalid_value') return issue.values;
  if (issue.code !== 'invalid_union') {
    return schemasAt(schema, path, root).flatMap((option) => allowedValues(option) ?? []);
  }
  const { options } = issue as { options?: readonly unknown[] };
  return options ?? issue.errors.flat().flatMap((one) => (one.code === 'invalid_value' ? one.values : []));
}

function allowedAt({ schema, root }: Subject, path: Path): string[] {
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
