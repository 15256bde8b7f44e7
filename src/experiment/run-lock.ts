/** One process at a time works in a run folder. A lock whose process is gone is taken over. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { writable } from './file-errors.js';

const LOCK_FILE = 'lock.json';

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process started, as the system counts it: tells a process from a later one with its number. */
  readonly started: string;
}

/** Locks that this process holds, so that it does not take its own for those of a predecessor with its number. */
const held = new Set<string>();

export class RunLock {
  private constructor(readonly path: string) {
    held.add(path);
  }

  /** @throws TANDEM_RUN_LOCKED, TANDEM_NOT_WRITABLE, TANDEM_DISK_FULL */
  static async acquire(folder: string): Promise<RunLock> {
    const path = join(folder, LOCK_FILE);
    if (await created(path)) return new RunLock(path);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      if (held.has(path) || isAlive(parsed(text))) throw locked(path, parsed(text));
      await removeStale(path, text);
    }
    if (await created(path)) return new RunLock(path);
    throw locked(path, undefined);
  }

  /** Follows its folder to a new name. */
  moved(folder: string): RunLock {
    held.delete(this.path);
    return new RunLock(join(folder, LOCK_FILE));
  }

  async release(): Promise<void> {
    held.delete(this.path);
    await rm(this.path, { force: true });
  }
}

async function created(path: string): Promise<boolean> {
  return writable(path, async () => {
    try {
      const file = await open(path, 'wx');
      const owner: Owner = { pid: process.pid, host: hostname(), started: startOf(process.pid) ?? '' };
      await file.writeFile(`${JSON.stringify(owner)}\n`);
      await file.close();
      return true;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw cause;
    }
  });
}

/** Takes a stale lock away. Two processes may try at once: what was taken is looked at before it is thrown away. */
async function removeStale(path: string, seen: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const taken = await readFile(aside, 'utf8');
  if (taken !== seen) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function parsed(text: string): Owner | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Owner;
    return typeof pid === 'number' && typeof host === 'string' ? { pid, host, started } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(owner: Owner | undefined): boolean {
  if (!owner || owner.pid === process.pid) return false;
  // A lock on a shared disk whose process runs elsewhere: nobody here can know, so it counts.
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const started = startOf(owner.pid);
  return started === undefined || !owner.started || started === owner.started;
}

/** Start of a process in clock ticks since boot (Linux); undefined where the system does not say. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in parentheses, may hold spaces; the start time is field 22, the 20th after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function locked(path: string, owner: Owner | undefined): TandemError {
  const who = owner ? `process ${owner.pid} on ${owner.host}` : 'another process';
  return new TandemError('TANDEM_RUN_LOCKED', `This run folder is in use by ${who}.`, {
    place: path,
    remedy: 'Wait for it, or stop it; if it is certainly gone, delete the lock file.',
  });
}
