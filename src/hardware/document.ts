/** YAML text as plain values that remember where they were written, so that an error can point at its line. */
import { closest } from 'fastest-levenshtein';
import { isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { type core, ZodDefault, ZodObject, ZodOptional, ZodPrefault, type ZodType } from 'zod';
import { TandemError } from '../errors.js';

export type Path = readonly (string | number)[];

export interface YamlDocument {
  readonly file: string;
  readonly value: unknown;
  /** "file:line:column" of the value at a path (of its key, for an entry of a map), or of its nearest written ancestor. */
  place(path: Path): string;
}

/** @throws TANDEM_CONFIG_SYNTAX with line and column: bad syntax, a duplicate key, an unknown alias. */
export function readYaml(text: string, file: string): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const [error] = document.errors;
  if (error) {
    throw new TandemError('TANDEM_CONFIG_SYNTAX', error.message, {
      place: at(error.pos[0]),
      remedy: error.code === 'DUPLICATE_KEY' ? 'Keep one of the two.' : 'Correct the YAML at this place.',
    });
  }
  const offsetOf = (path: Path): number | undefined => {
    const parent = document.getIn(path.slice(0, -1), true);
    if (path.length > 0 && isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path[path.length - 1]);
      if (pair && isNode(pair.key)) return pair.key.range?.[0];
    }
    const node = document.getIn(path, true);
    return isNode(node) ? node.range?.[0] : undefined;
  };
  return {
    file,
    value: document.toJS(),
    place(path) {
      for (let length = path.length; length >= 0; length--) {
        const offset = offsetOf(path.slice(0, length));
        if (offset !== undefined) return at(offset);
      }
      return `${file}:1:1`;
    },
  };
}

/**
 * Validates a value of a document.
 * @param path where `value` stands in the document
 * @throws TANDEM_UNKNOWN_SETTING for a key that the schema does not have, with the nearest one it has;
 *         TANDEM_CONFIG_INVALID at the first offending value, with its dotted path and what is allowed.
 */
export function validate<T>(schema: ZodType<T>, value: unknown, document: YamlDocument, path: Path = []): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  // A misspelt name is also a missing one; the misspelling says more.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
  throw invalid(issue, schema, document, path);
}

function invalid(issue: core.$ZodIssue, schema: ZodType, document: YamlDocument, path: Path): TandemError {
  const inner = issue.path as (string | number)[];
  const where = [...path, ...inner];
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const names = keysAt(schema, inner);
    const nearest = names.length > 0 ? `Did you mean "${closest(key, names)}"? ` : '';
    return new TandemError('TANDEM_UNKNOWN_SETTING', `There is no setting "${[...where, key].join('.')}".`, {
      place: document.place([...where, key]),
      remedy: `${nearest}Allowed here: ${names.join(', ') || 'nothing'}.`,
    });
  }
  return new TandemError('TANDEM_CONFIG_INVALID', `${where.join('.') || 'The file'}: ${issue.message}.`, {
    place: document.place(where),
    remedy: issue.code === 'invalid_value' ? `Use one of: ${issue.values.join(', ')}.` : 'Correct this setting.',
  });
}

/** Names of the settings that a schema has at a path. */
function keysAt(schema: ZodType, path: Path): string[] {
  let current: unknown = schema;
  const unwrapped = (one: unknown): unknown =>
    one instanceof ZodDefault || one instanceof ZodOptional || one instanceof ZodPrefault
      ? unwrapped(one.unwrap())
      : one;
  for (const step of path) {
    const object = unwrapped(current);
    if (!(object instanceof ZodObject)) return [];
    current = object.shape[step];
  }
  const object = unwrapped(current);
  return object instanceof ZodObject ? Object.keys(object.shape) : [];
}
