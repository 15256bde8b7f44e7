import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writable } from '../../src/experiment/file-errors.js';
import { type LoadedExperiment, parseExperiment, requireClassification } from '../../src/experiment/load.js';
import { type CreateOptions, RunFolder } from '../../src/experiment/run-folder.js';
import { EXPERIMENT, scratchFolder } from './scratch.js';

const bytes = new TextEncoder().encode(EXPERIMENT);
const loaded = (settings: string[] = []): LoadedExperiment =>
  requireClassification(parseExperiment(bytes, 'somewhere/e.yaml', { settings, baseFolder: '/data' }));

async function create(path: string, options: CreateOptions = {}, settings?: string[]): Promise<RunFolder> {
  return released(await RunFolder.create(loaded(settings), { out: path, ...options }));
}

async function resume(path: string): Promise<RunFolder> {
  return released((await RunFolder.resume(path)).folder);
}

function released(folder: RunFolder): RunFolder {
  onTestFinished(() => folder.release());
  return folder;
}

/** What a killed process leaves: its lock, with the number of a process that is gone. */
function leaveStaleLock(path: string): void {
  const { pid } = spawnSync('true');
  writeFileSync(join(path, 'lock.json'), JSON.stringify({ pid, host: hostname(), started: '1' }));
}

describe('a new run', () => {
  it('starts with the experiment as given and what it resolved to', async () => {
    const path = join(scratchFolder(), 'run');
    await create(path, {}, ['training.steps=5']);
    expect(readFileSync(join(path, 'experiment.yaml'))).toEqual(Buffer.from(bytes));
    expect(JSON.parse(readFileSync(join(path, 'resolved.json'), 'utf8'))).toMatchObject({
      versions: { tandem: '0.1.0', node: process.version },
      settings: ['training.steps=5'],
      experiment: { seed: 1, training: { steps: 5, batchSize: 16 } },
      machines: [{ name: 'systolic-32x32-ws', config: { array: { rows: 16, columns: 32 } } }],
    });
  });

  it('leaves nothing when it cannot begin', async () => {
    const parent = scratchFolder();
    writeFileSync(join(parent, 'file'), '');
    await expect(create(join(parent, 'file', 'run'))).rejects.toMatchObject({ code: 'TANDEM_NOT_WRITABLE' });
    expect(readdirSync(parent)).toEqual(['file']);
  });

  it('that fails before anything is done frees its name; one that did something stays', async () => {
    const path = join(scratchFolder(), 'run');
    const idle = await create(path);
    await idle.discardUnlessBegun();
    expect(existsSync(path)).toBe(false);
    const begun = await create(path);
    await begun.stage('a', async (stage) => stage.write('a.txt', 'kept'));
    await begun.discardUnlessBegun();
    expect(readFileSync(join(path, 'a.txt'), 'utf8')).toBe('kept');
  });

  it('does not touch what is there, unless that is a run and --force is given', async () => {
    const path = join(scratchFolder(), 'run');
    const first = await create(path);
    await first.stage('a', async (stage) => stage.write('a.txt', 'old'));
    await first.release();
    await expect(create(path)).rejects.toMatchObject({
      code: 'TANDEM_RUN_EXISTS',
      remedy: expect.stringContaining(`--resume ${path}`),
    });
    expect(readFileSync(join(path, 'a.txt'), 'utf8')).toBe('old');
    const second = await create(path, { force: true });
    expect(second.completed).toEqual([]);
    expect(existsSync(join(path, 'a.txt'))).toBe(false);
    await second.stage('a', async (stage) => stage.write('a.txt', 'new'));
    expect(readdirSync(join(path, '..'))).toEqual(['run']);
  });

  it('brings a run back that another one was to replace, where that one is refused before it has begun', async () => {
    const path = join(scratchFolder(), 'run');
    const first = await create(path);
    await first.stage('a', async (stage) => stage.write('a.txt', 'old'));
    await first.release();
    const second = await create(path, { force: true });
    await second.discardUnlessBegun();
    await second.release();
    expect(readFileSync(join(path, 'a.txt'), 'utf8')).toBe('old');
    expect(readdirSync(join(path, '..'))).toEqual(['run']);
    const { folder } = await RunFolder.resume(path);
    expect(folder.completed).toEqual(['a']);
    await folder.release();
  });

  it('never replaces a folder that is no run, with --force or without', async () => {
    const path = scratchFolder();
    writeFileSync(join(path, 'thesis.tex'), 'years of work');
    for (const force of [false, true]) {
      await expect(create(path, { force })).rejects.toMatchObject({ code: 'TANDEM_RUN_EXISTS' });
    }
    expect(readFileSync(join(path, 'thesis.tex'), 'utf8')).toBe('years of work');
  });

  it('does not replace a run that is under way', async () => {
    const path = join(scratchFolder(), 'run');
    await create(path);
    await expect(create(path, { force: true })).rejects.toMatchObject({ code: 'TANDEM_RUN_LOCKED' });
  });

  it('takes an empty folder', async () => {
    const path = join(scratchFolder(), 'run');
    mkdirSync(path);
    await create(path);
    expect(existsSync(join(path, 'state.json'))).toBe(true);
  });

  it('without a folder of its own gets the next free name under runs/', async () => {
    const parent = scratchFolder();
    const before = process.cwd();
    process.chdir(parent);
    onTestFinished(() => process.chdir(before));
    const paths: string[] = [];
    for (let run = 0; run < 3; run++) {
      const folder = await RunFolder.create(loaded());
      await folder.release();
      paths.push(folder.path);
    }
    expect(paths).toEqual(['runs/example', 'runs/example-2', 'runs/example-3']);
  });
});

describe('a resumed run', () => {
  it('skips completed stages and gives their values again', async () => {
    const path = join(scratchFolder(), 'run');
    const first = await create(path, {}, ['seed=9']);
    const value = { loss: [0.5, 0.25], name: 'x' };
    await first.stage('train', async (stage) => {
      await stage.write('checkpoints/weights.bin', Uint8Array.of(1, 2, 3));
      return value;
    });
    await expect(first.stage('trace', () => Promise.reject(new Error('killed')))).rejects.toThrow('killed');
    await first.release();

    const { folder, loaded: again } = await RunFolder.resume(path);
    released(folder);
    expect(again).toMatchObject({ baseFolder: '/data', file: 'somewhere/e.yaml', experiment: { seed: 9 } });
    const redo = await folder.stage('train', () => Promise.reject(new Error('must not run again')));
    expect(redo).toEqual(value);
    expect(await folder.stage('trace', async () => 1)).toBe(1);
    expect(folder.completed).toEqual(['train', 'trace']);
  });

  it('goes on inside a stage from what that saved last', async () => {
    const path = join(scratchFolder(), 'run');
    const first = await create(path);
    const killed = first.stage<number, { step: number }>('train', async (stage) => {
      expect(stage.saved).toBeUndefined();
      await stage.save({ step: 10 }, { 'checkpoints/10.bin': Uint8Array.of(10) });
      await stage.save({ step: 20 }, { 'checkpoints/20.bin': Uint8Array.of(20) });
      throw new Error('killed');
    });
    await expect(killed).rejects.toThrow('killed');
    await first.release();
    expect(readdirSync(join(path, 'checkpoints'))).toEqual(['20.bin']);

    const second = await resume(path);
    const step = await second.stage<number, { step: number }>('train', async (stage) => stage.saved!.step + 5);
    expect(step).toBe(25);
    expect(readdirSync(join(path, 'checkpoints'))).toEqual([]);
  });

  it.each([
    ['changed', (file: string) => writeFileSync(file, 'xyz'), 'was changed'],
    ['cut short', (file: string) => truncateSync(file, 1), 'has 1 bytes where the run wrote 3'],
    [
      'replaced by a folder',
      (file: string) => spawnSync('sh', ['-c', `rm "$0" && mkdir "$0"`, file]),
      'missing or unreadable',
    ],
  ])('notices a file that was %s', async (_, damage, message) => {
    const path = join(scratchFolder(), 'run');
    const first = await create(path);
    await first.stage('a', async (stage) => stage.write('a.txt', 'abc'));
    await first.release();
    damage(join(path, 'a.txt'));
    await expect(resume(path)).rejects.toMatchObject({
      code: 'TANDEM_RUN_DAMAGED',
      message: expect.stringContaining(message),
      place: join(path, 'a.txt'),
    });
    expect(existsSync(join(path, 'lock.json'))).toBe(false);
  });

  it('notices that the experiment was edited', async () => {
    const path = join(scratchFolder(), 'run');
    await (await create(path)).release();
    writeFileSync(join(path, 'experiment.yaml'), EXPERIMENT.replace('train: 64', 'train: 65'));
    await expect(resume(path)).rejects.toMatchObject({ code: 'TANDEM_RUN_DAMAGED' });
  });

  it('is not mixed from two versions', async () => {
    const path = join(scratchFolder(), 'run');
    await (await create(path)).release();
    const state = readFileSync(join(path, 'state.json'), 'utf8');
    writeFileSync(join(path, 'state.json'), state.replace('"tandemVersion": "0.1.0"', '"tandemVersion": "0.0.9"'));
    await expect(resume(path)).rejects.toMatchObject({
      code: 'TANDEM_CANNOT_RESUME',
      message: expect.stringContaining('0.0.9'),
    });
  });

  it('needs a run', async () => {
    await expect(resume(scratchFolder())).rejects.toMatchObject({ code: 'TANDEM_CANNOT_RESUME', exitCode: 2 });
    await expect(resume('/nowhere')).rejects.toMatchObject({ code: 'TANDEM_CANNOT_RESUME' });
  });
});

describe('stages', () => {
  it('refuse values that would come back different from a file', async () => {
    const folder = await create(join(scratchFolder(), 'run'));
    for (const value of [{ a: Number.NaN }, [Number.NEGATIVE_INFINITY], new Float32Array(1), new Map()]) {
      await expect(folder.stage('a', async () => value)).rejects.toMatchObject({ code: 'TANDEM_INTERNAL' });
    }
  });

  it('stay inside their folder', async () => {
    const folder = await create(join(scratchFolder(), 'run'));
    for (const file of ['../x', '/tmp/x', 'a/../../x']) {
      const stage = folder.stage('a', (one) => one.write(file, ''));
      await expect(stage).rejects.toMatchObject({ code: 'TANDEM_INTERNAL' });
    }
  });
});

describe('locks', () => {
  it('keep a second process out', async () => {
    const path = join(scratchFolder(), 'run');
    await create(path);
    await expect(resume(path)).rejects.toMatchObject({
      code: 'TANDEM_RUN_LOCKED',
      message: expect.stringContaining(String(process.pid)),
    });
  });

  it.each([
    ['of a process that is gone', leaveStaleLock],
    ['of an earlier process with our number', (path: string) => writeLock(path, { pid: process.pid, started: '1' })],
    [
      'of an earlier process with the number of a living one',
      (path: string) => writeLock(path, { pid: process.ppid, started: '1' }),
    ],
    ['that is no lock', (path: string) => writeFileSync(join(path, 'lock.json'), 'not json')],
  ])('%s are taken over', async (_, leave) => {
    const path = join(scratchFolder(), 'run');
    await (await create(path)).release();
    leave(path);
    expect((await resume(path)).completed).toEqual([]);
    expect(JSON.parse(readFileSync(join(path, 'lock.json'), 'utf8')).pid).toBe(process.pid);
  });

  it('of another host are respected: nobody here can know', async () => {
    const path = join(scratchFolder(), 'run');
    await (await create(path)).release();
    writeLock(path, { pid: 1, started: '1', host: 'elsewhere' });
    await expect(resume(path)).rejects.toMatchObject({
      code: 'TANDEM_RUN_LOCKED',
      message: expect.stringContaining('elsewhere'),
    });
  });
});

function writeLock(path: string, owner: { pid: number; started: string; host?: string }): void {
  writeFileSync(join(path, 'lock.json'), JSON.stringify({ host: hostname(), ...owner }));
}

describe('a full disk', () => {
  const hasDevice = existsSync('/dev/full');
  it.skipIf(!hasDevice)('is an error that says how to go on', async () => {
    // Linux's /dev/full refuses every write as a full disk does.
    const write = writable('/dev/full', async () => writeFileSync('/dev/full', 'x'));
    await expect(write).rejects.toMatchObject({
      code: 'TANDEM_DISK_FULL',
      remedy: expect.stringContaining('--resume'),
    });
  });
});
