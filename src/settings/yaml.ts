/** YAML with positions: every value of a file knows the line and column it came from. */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { TandemError } from '../errors.js';
import type { Path } from './schema-walk.js';

/** Far above any experiment, far below what would stall the parser. */
const MAX_BYTES = 4 << 20;
/** Values that aliases may expand to: ends "billion laughs" files. */
const MAX_ALIASES = 100;

export interface YamlFile {
  /** As the user named it. */
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly value: unknown;
  /** `file:line:column` of the value at a path, or of its nearest ancestor that the file has. */
  place(path: Path): string;
  /** `file:line:column` of the key itself. */
  keyPlace(path: Path): string;
}

/** @throws TANDEM_CONFIG_SYNTAX with line and column */
export function parseYaml(bytes: Uint8Array, file: string): YamlFile {
  if (bytes.length > MAX_BYTES) {
    throw new TandemError(
      'TANDEM_CONFIG_SYNTAX',
      `The file has ${bytes.length} bytes; a configuration has at most ${MAX_BYTES}.`,
      {
        place: file,
        remedy: 'Check that this is the file you meant.',
      },
    );
  }
  const text = decodeText(bytes, file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) {
    throw new TandemError('TANDEM_CONFIG_SYNTAX', sentence(problem.code, problem.message), {
      place: at(problem.pos[0]),
      remedy: REMEDIES[problem.code],
      cause: problem,
    });
  }
  return {
    file,
    bytes,
    value: plainValue(document, file),
    place: (path) => at(offsetOf(document, path, 'value')),
    keyPlace: (path) => at(offsetOf(document, path, 'key')),
  };
}

function decodeText(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TandemError('TANDEM_CONFIG_SYNTAX', 'The file is not UTF-8 text.', {
      place: file,
      remedy: 'Save it as UTF-8, and check that this is the file you meant.',
      cause,
    });
  }
}

function plainValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    throw new TandemError('TANDEM_CONFIG_SYNTAX', `Aliases in this file do not resolve: ${(cause as Error).message}.`, {
      place: file,
      remedy: `Write the values out; aliases may expand to at most ${MAX_ALIASES} values.`,
      cause,
    });
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'Remove one of the two.',
  TAB_AS_INDENT: 'Indent with spaces.',
  BAD_INDENT: 'Give the keys of one mapping the same indentation, in spaces.',
  MULTIPLE_DOCS: 'Keep one document; remove the "---" between the two.',
  MULTILINE_IMPLICIT_KEY: 'Put each `key: value` on a line of its own, and a space after the colon.',
  TAG_RESOLVE_FAILED: 'Remove the tag (the word that begins with "!").',
};

function sentence(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'The same key appears twice in one mapping.';
  if (code === 'TAB_AS_INDENT') return 'A tab is used to indent.';
  if (code === 'MULTIPLE_DOCS') return 'The file holds more than one YAML document.';
  return /[.!?]$/.test(message) ? message : `${message}.`;
}

/** Offset of the deepest part of a path that exists in the document: of its key, or of its value. */
function offsetOf(document: Document, path: Path, what: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, key] of path.entries()) {
    const { keyNode, value } = childOf(isAlias(node) ? node.resolve(document) : node, key);
    // A missing setting is reported at the key of the mapping that lacks it.
    const wantsKey =
      what === 'key' && (index >= path.length - 2 || childOf(value, path[index + 1]!).value === undefined);
    const found = wantsKey ? (startOf(keyNode) ?? startOf(value)) : (startOf(value) ?? startOf(keyNode));
    if (found === undefined) return offset;
    offset = found;
    node = value;
  }
  return offset;
}

function childOf(node: unknown, key: string | number): { keyNode?: unknown; value?: unknown } {
  if (isSeq(node)) return { value: node.items[Number(key)] };
  if (!isMap(node)) return {};
  const pair = node.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(key));
  return { keyNode: pair?.key, value: pair?.value };
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] } | null | undefined)?.range?.[0];
}
