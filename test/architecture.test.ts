/** Holds src/ to its layers: imports point one way, the core runs in a browser, and nothing imports itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { referencePages } from '../src/cli/reference.js';
import { ERROR_CODES } from '../src/errors.js';

const SOURCES = fileURLToPath(new URL('../src/', import.meta.url));

/** Folders from the bottom up; a file imports from levels below its own. */
const LEVELS = [
  ['graph', 'settings'],
  ['workload', 'trace', 'runtime', 'hardware'],
  ['report', 'search', 'simulator', 'techniques', 'models', 'data'],
  ['experiment'],
  ['cli'],
];
const LEVEL = new Map(LEVELS.flatMap((folders, level) => folders.map((folder) => [folder, level] as const)));

/** Files beside the folders that every folder may import, and the public API, which may import every folder. */
const SHARED = new Set(['atomic-file.ts', 'errors.ts', 'registry.ts', 'student.ts', 'version.ts']);
const PUBLIC = 'index.ts';

/** Types of a result, declared where results are made and needed where they are shown. */
const SHARED_TYPES = new Set([
  'experiment/result.ts',
  'experiment/decoding/result.ts',
  'experiment/decoder-widths/result.ts',
]);

/** Folders that run in a browser, with their only files that may use Node. */
const BROWSER = ['settings', 'graph', 'trace', 'workload', 'hardware'];
const NODE_ONLY = new Set([
  'atomic-file.ts',
  'graph/onnx/files.ts',
  'trace/files.ts',
  'workload/files.ts',
  'hardware/preset-files.ts',
]);
const NODE_PACKAGES = /^(onnxruntime-node|piscina)/;

interface Import {
  readonly from: string;
  /** A file of src/, or a package. */
  readonly to: string;
  readonly internal: boolean;
  readonly typeOnly: boolean;
}

function sourceFiles(): string[] {
  return readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/kernels\/assembly\//.test(file))
    .map((file) => file.replaceAll('\\', '/'));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SOURCES, file), 'utf8');
  const types = typeOnlyImports(file, text);
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => {
    const internal = fileName.startsWith('.');
    const to = internal
      ? relative(SOURCES, join(SOURCES, dirname(file), fileName))
          .replaceAll('\\', '/')
          .replace(/\.js$/, '.ts')
      : fileName;
    return { from: file, to, internal, typeOnly: types.has(fileName) };
  });
}

/** Modules of which a file takes types only. */
function typeOnlyImports(file: string, text: string): Set<string> {
  const declarations = ts
    .createSourceFile(file, text, ts.ScriptTarget.Latest)
    .statements.filter((statement) => ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement));
  const [types, values] = [new Set<string>(), new Set<string>()];
  for (const declaration of declarations) {
    if (!declaration.moduleSpecifier || !ts.isStringLiteral(declaration.moduleSpecifier)) continue;
    const typeOnly = ts.isImportDeclaration(declaration)
      ? declaration.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
      : declaration.isTypeOnly;
    (typeOnly ? types : values).add(declaration.moduleSpecifier.text);
  }
  return new Set([...types].filter((module) => !values.has(module)));
}

const folderOf = (file: string): string => file.split('/')[0]!;
const files = sourceFiles();
const imports = files.flatMap(importsOf);
const shown = ({ from, to }: Import) => `${from} → ${to}`;

function breaksLayers({ from, to, internal, typeOnly }: Import): boolean {
  if (!internal || from === PUBLIC || SHARED.has(to) || (typeOnly && SHARED_TYPES.has(to))) return false;
  const [source, target] = [folderOf(from), folderOf(to)];
  if (source === target) return false;
  const [upper, lower] = [LEVEL.get(source), LEVEL.get(target)];
  if (lower === undefined) return true;
  if (upper === undefined) return !SHARED.has(from);
  // Siblings may name one another's contracts, as types; never call one another.
  return lower >= upper && !(typeOnly && isContract(to));
}

/** The contracts between parts: files of types that siblings may name without depending on code. */
const isContract = (file: string): boolean => file.endsWith('/types.ts');

describe('imports', () => {
  it('are read at all', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports.filter(({ internal }) => internal).length).toBeGreaterThan(100);
  });

  it('lead to files that exist', () => {
    const known = new Set(files);
    expect(imports.filter(({ internal, to }) => internal && !known.has(to)).map(shown)).toEqual([]);
  });

  it('point down: cli → experiment → {report, search, simulator, …} → {workload, trace, …} → graph', () => {
    expect(imports.filter(breaksLayers).map(shown)).toEqual([]);
  });

  it('name a layer for every folder', () => {
    const folders = new Set(files.filter((file) => file.includes('/')).map(folderOf));
    expect([...folders].filter((folder) => !LEVEL.has(folder))).toEqual([]);
  });

  it('keep graph, trace, workload and hardware free of Node and of the runtime, files named for it aside', () => {
    const usesNode = imports.filter(
      ({ from, to, internal }) =>
        BROWSER.includes(folderOf(from)) &&
        !NODE_ONLY.has(from) &&
        !internal &&
        (isBuiltin(to) || NODE_PACKAGES.test(to)),
    );
    expect(usesNode.map(shown)).toEqual([]);
    const reached = imports.filter(
      ({ from, to }) => BROWSER.includes(folderOf(from)) && !NODE_ONLY.has(from) && NODE_ONLY.has(to),
    );
    expect(reached.map(shown)).toEqual([]);
  });

  it('make no cycles', () => {
    expect(cycles()).toEqual([]);
  });
});

/** Chains of files that import one another at run time, each reported once. */
function cycles(): string[] {
  const graph = new Map<string, string[]>();
  for (const { from, to, internal, typeOnly } of imports) {
    if (internal && !typeOnly) graph.set(from, [...(graph.get(from) ?? []), to]);
  }
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.push([...path.slice(at), file].join(' → '));
    if (at >= 0 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

describe('docs', () => {
  const docs = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8');

  it('have a section for each error code, and none besides', () => {
    const sections = [...docs('errors.md').matchAll(/^###? (TANDEM_[A-Z_]+)$/gm)].map(([, code]) => code!);
    expect(sections.toSorted()).toEqual(Object.keys(ERROR_CODES).toSorted());
  });

  it.each(Object.entries(referencePages()))(
    'have a current reference: %s (else: npm run build && node scripts/reference.mjs)',
    (name, text) => {
      expect(docs(`reference/${name}`)).toBe(text);
    },
  );
});

describe('error codes', () => {
  it('are all used', () => {
    const text = files
      .filter((file) => file !== 'errors.ts')
      .map((file) => readFileSync(join(SOURCES, file), 'utf8'))
      .join('\n');
    expect(Object.keys(ERROR_CODES).filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });
});
