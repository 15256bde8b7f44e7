/** Runs the command line: in this process, or as a user does, in one of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CliContext } from '../../src/cli/context.js';
import { main } from '../../src/cli/main.js';
import { silentProgress } from '../../src/experiment/progress.js';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function tandem(...args: string[]): Promise<Finished> {
  const output = { stdout: '', stderr: '' };
  const context = new CliContext(
    { write: (text) => (output.stdout += text) },
    { write: (text) => (output.stderr += text) },
    () => silentProgress,
  );
  const code = await main(args, context);
  return { code, ...output };
}

export const BUILT = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const isBuilt = existsSync(BUILT);
if (!isBuilt) console.warn('dist/ is absent: tests of the built command are skipped (npm run build makes it)');

export interface Running {
  readonly process: ChildProcess;
  /** Resolves when standard error contains a text. */
  says(text: string): Promise<void>;
  readonly finished: Promise<Finished>;
}

export function start(args: readonly string[], folder: string): Running {
  const child = spawn(process.execPath, [BUILT, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      for (const listener of listeners) listener();
    });
  }
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...output }));
  });
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const listener = () => {
        if (output.stderr.includes(text)) resolve();
      };
      listeners.add(listener);
      listener();
      finished.then(({ stderr }) => reject(new Error(`ended without saying "${text}":\n${stderr}`)), reject);
    });
  return { process: child, says, finished };
}
