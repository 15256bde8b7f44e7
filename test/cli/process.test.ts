/** The built command in a process of its own: signals, pipes and kills. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RunFolder } from '../../src/experiment/run-folder.js';
import { EXPERIMENT, scratchFile, scratchFolder } from '../experiment/scratch.js';
import { BUILT, isBuilt, start } from './tandem.js';

const SMALL = EXPERIMENT.replace('  train: 64', '  train: 64\n  validation: 16\n  test: 16\n  maxTokens: 16').replace(
  'systolic-32x32-ws\n    set: { array.rows: 16 }',
  'leopard-ae',
);
/** Finishes in seconds. */
const SHORT = `${SMALL}training: { batchSize: 8, steps: 12 }\n`;
/** Trains far longer than a test lasts. */
const LONG = `${SMALL}training: { batchSize: 4, steps: 100000 }\n`;

describe.skipIf(!isBuilt)('the built command', () => {
  it('keeps progress out of standard output', async () => {
    const file = scratchFile('layers.csv', 'Layer,M,N,K\na,64,64,64\n');
    const run = start(['simulate', '--machine', 'systolic', '--gemms', file, '--format', 'json'], scratchFolder());
    const { code, stdout, stderr } = await run.finished;
    expect(code).toBe(0);
    expect(JSON.parse(stdout).machine).toBe('systolic');
    expect(stderr).toContain('simulating systolic: done in');
  });

  it('does not mind a reader that stops early', () => {
    const shell = `set -o pipefail; "${process.execPath}" "${BUILT}" schema | head -c 10`;
    expect(execFileSync('bash', ['-c', shell], { encoding: 'utf8' })).toHaveLength(10);
  });

  it.skipIf(!existsSync('/dev/full'))('says so when results cannot be printed', () => {
    const shell = `"${process.execPath}" "${BUILT}" schema 2>&1 > /dev/full; echo "exit $?"`;
    const output = execFileSync('bash', ['-c', shell], { encoding: 'utf8' });
    expect(output).toMatch(/^TANDEM_DISK_FULL: [\s\S]*exit 1\n$/);
  });

  it('on Ctrl-C finishes its step, says how to resume, and leaves a resumable run', async () => {
    const folder = scratchFolder();
    const run = start(['run', scratchFile('e.yaml', LONG), '--out', 'mine'], folder);
    await run.says('training warm-up: started');
    run.process.kill('SIGINT');
    const { code, stdout, stderr } = await run.finished;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toContain('TANDEM_INTERRUPTED');
    expect(stderr).toContain('tandem run --resume mine');
    expect(existsSync(join(folder, 'mine', 'lock.json'))).toBe(false);

    const again = start(['run', '--resume', 'mine'], folder);
    await again.says('training warm-up: started');
    again.process.kill('SIGINT');
    expect((await again.finished).code).toBe(130);
  });

  it('interrupted and resumed, comes to the result of a run that never stopped', async () => {
    const folder = scratchFolder();
    const file = scratchFile('e.yaml', SHORT);
    const straight = await start(['run', file, '--out', 'straight'], folder).finished;
    expect(straight.stderr).not.toContain('TANDEM_');
    const broken = start(['run', file, '--out', 'broken'], folder);
    await broken.says('training baseline: started');
    broken.process.kill('SIGINT');
    expect((await broken.finished).code).toBe(130);
    const resumed = await start(['run', '--resume', 'broken'], folder).finished;
    expect(resumed).toMatchObject({ code: straight.code, stderr: expect.stringContaining('Continuing broken') });
    const result = (name: string) => JSON.parse(readFileSync(join(folder, name, 'result.json'), 'utf8'));
    expect({ ...result('broken'), timings: {} }).toEqual({ ...result('straight'), timings: {} });
    for (const evidence of ['run.trace', 'report.html', 'predictions.csv']) {
      expect(
        readFileSync(join(folder, 'broken', evidence)).equals(readFileSync(join(folder, 'straight', evidence))),
      ).toBe(true);
    }
  }, 180_000);

  it('killed, leaves a run that can be resumed', async () => {
    const folder = scratchFolder();
    const run = start(['run', scratchFile('e.yaml', LONG), '--out', 'mine'], folder);
    await run.says('training warm-up: started');
    run.process.kill('SIGKILL');
    await run.finished;
    expect(readdirSync(folder)).toEqual(['mine']);
    expect(JSON.parse(readFileSync(join(folder, 'mine', 'lock.json'), 'utf8')).pid).toBe(run.process.pid);
    const { folder: resumed } = await RunFolder.resume(join(folder, 'mine'));
    expect(resumed.finished).toBe(false);
    await resumed.release();
  });

  it('begun several times at once, takes a folder each', async () => {
    const folder = scratchFolder();
    const file = scratchFile('e.yaml', LONG);
    const runs = [1, 2, 3].map(() => start(['run', file], folder));
    await Promise.all(runs.map((run) => run.says('training warm-up: started')));
    expect(readdirSync(join(folder, 'runs')).toSorted()).toEqual(['example', 'example-2', 'example-3']);
    for (const run of runs) run.process.kill('SIGKILL');
    await Promise.all(runs.map((run) => run.finished));
  });

  it('that fails on its data before anything is done, leaves no folder', async () => {
    const folder = scratchFolder();
    const file = scratchFile('e.yaml', EXPERIMENT.replace('train: 64', 'train: 1000000'));
    const { stderr } = await start(['run', file], folder).finished;
    expect(stderr).toContain('TANDEM_CONFIG_INVALID');
    expect(readdirSync(join(folder, 'runs'))).toEqual([]);
  });

  it('does not enter a folder in which another one works', async () => {
    const folder = scratchFolder();
    const first = start(['run', scratchFile('e.yaml', LONG), '--out', 'mine'], folder);
    await first.says('training warm-up: started');
    const second = await start(['run', '--resume', 'mine'], folder).finished;
    expect(second).toMatchObject({ code: 1, stderr: expect.stringMatching(/^TANDEM_RUN_LOCKED/) });
    first.process.kill('SIGKILL');
    await first.finished;
  });

  // The superuser may write anywhere, so there is nothing to see.
  it.skipIf(process.getuid?.() === 0)('refuses a folder that may not be written', async () => {
    const folder = scratchFolder();
    mkdirSync(join(folder, 'closed'), { mode: 0o500 });
    const run = start(['run', scratchFile('e.yaml', EXPERIMENT), '--out', 'closed/run'], folder);
    expect(await run.finished).toMatchObject({ code: 1, stderr: expect.stringMatching(/^TANDEM_NOT_WRITABLE/) });
  });
});
