/**
 * A run is a folder of evidence: the experiment as given, what it resolved to, results, figures, trace, checkpoints.
 * Every file appears whole or not at all. The folder gets its name once it can be resumed; until then it is a hidden
 * folder beside it that nobody mistakes for a run.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { TandemError } from '../errors.js';
import { packageVersion, tandemVersion } from '../version.js';
import { readable, shellWord, writable } from './file-errors.js';
import { type Loaded, loadExperiment } from './load.js';
import { RunLock } from './run-lock.js';
import {
  type Artefact,
  artefactOf,
  holdsRun,
  type RunState,
  readState,
  STATE_FILE,
  STATE_VERSION,
  type StageRecord,
  verifyArtefacts,
} from './run-state.js';
import { writeWhole } from './whole-file.js';

export const EXPERIMENT_FILE = 'experiment.yaml';
export const RESOLVED_FILE = 'resolved.json';
export const RESULT_FILE = 'result.json';

/** What a stage's work is given. Files are named relative to the run folder, with "/". */
export interface Stage<Partial = unknown> {
  /** Absolute path of a file of the run, its folder created: for writers that are atomic themselves; `keep` it after. */
  path(file: string): Promise<string>;
  /** Writes a file whole or not at all, and keeps it. */
  write(file: string, data: string | Uint8Array): Promise<void>;
  /** Records a file that was written by other means as evidence of this stage. */
  keep(file: string): Promise<void>;
  /** What `save` was last given before the run stopped; undefined when the stage begins anew. */
  readonly saved: Partial | undefined;
  /**
   * Makes an unfinished stage resumable from here. Replaces what was saved before.
   * @param files data by file name; give each save names of its own (e.g. with the step), so that a kill between two
   *   writes leaves the older save intact. Files of the previous save are removed.
   */
  save(partial: Partial, files: Readonly<Record<string, Uint8Array>>): Promise<void>;
}

export interface CreateOptions {
  /** Where to put the run. Default: `runs/NAME`, or `runs/NAME-2`, `-3` … when that is taken. */
  readonly out?: string;
  /** Replace a run that is there. */
  readonly force?: boolean;
}

export class RunFolder {
  #state: RunState;
  #lock: RunLock;
  #replaced: string | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    /** As messages show it: relative to the working folder where it was given so. */
    readonly path: string,
    state: RunState,
    lock: RunLock,
    /** Where the run lies that this one replaces, until this one has begun. */
    replaced?: string,
  ) {
    this.#state = state;
    this.#lock = lock;
    this.#replaced = replaced;
  }

  /**
   * A new run. `resolved` is what goes into resolved.json beside the versions.
   * @throws TANDEM_RUN_EXISTS, TANDEM_NOT_WRITABLE, TANDEM_DISK_FULL
   */
  static async create(loaded: Loaded, options: CreateOptions = {}): Promise<RunFolder> {
    const wanted = options.out ?? join('runs', loaded.experiment.name);
    if (options.out !== undefined || options.force) return RunFolder.#createAt(wanted, loaded, options);
    for (;;) {
      try {
        return await RunFolder.#createAt(await free(wanted), loaded, options);
      } catch (cause) {
        // Another run took the name since it was found free.
        if (!(cause instanceof TandemError && cause.code === 'TANDEM_RUN_EXISTS')) throw cause;
      }
    }
  }

  static async #createAt(path: string, loaded: Loaded, options: CreateOptions): Promise<RunFolder> {
    await refuseTaken(path, options.force ?? false);
    const draft = join(dirname(path), `.${basename(path)}.${process.pid}.new`);
    let replaced: string | undefined;
    try {
      const folder = await draftFolder(draft, loaded);
      if (options.force) replaced = await setAside(path);
      await writable(path, () => rename(draft, path)).catch((cause) => {
        throw cause.cause?.code === 'ENOTEMPTY' || cause.code === 'ENOTEMPTY' ? taken(path, true) : cause;
      });
      return new RunFolder(path, folder.state, folder.lock.moved(path), replaced);
    } catch (cause) {
      await rm(draft, { recursive: true, force: true });
      if (replaced !== undefined) await rename(replaced, path);
      throw cause;
    }
  }

  /**
   * Continues a run: checks that everything it wrote is still what it wrote.
   * @throws TANDEM_CANNOT_RESUME, TANDEM_RUN_LOCKED, TANDEM_RUN_DAMAGED
   */
  static async resume(path: string): Promise<{ folder: RunFolder; loaded: Loaded }> {
    const first = await readState(path);
    if (first.tandemVersion !== tandemVersion) {
      throw new TandemError(
        'TANDEM_CANNOT_RESUME',
        `This run was begun by Tandem ${first.tandemVersion}; this is ${tandemVersion}.`,
        {
          place: path,
          remedy: 'Continue with that version, or run the experiment again: halves of two versions are no evidence.',
        },
      );
    }
    const lock = await RunLock.acquire(path);
    try {
      // Read again: the run may have gone on between the first look and the lock.
      const state = await readState(path);
      await verifyArtefacts(
        path,
        [state.given, ...state.completed.map(({ artefacts }) => artefacts), state.partial?.artefacts ?? []].flat(),
      );
      const { baseFolder, settings } = state;
      const loaded = await loadExperiment(join(path, EXPERIMENT_FILE), { baseFolder, settings });
      return { folder: new RunFolder(path, state, lock), loaded: { ...loaded, file: state.file } };
    } catch (cause) {
      await lock.release();
      throw cause;
    }
  }

  get finished(): boolean {
    return this.#state.finished;
  }

  /** Stages that are done, in order. */
  get completed(): string[] {
    return this.#state.completed.map(({ name }) => name);
  }

  /** Absolute or working-folder-relative path of a file of the run, for reading. */
  file(name: string): string {
    return join(this.path, name);
  }

  /**
   * Does a piece of the run, once: a resumed run gets the value that the stage returned the first time.
   * @param work returns plain JSON (no NaN, Infinity, undefined, typed arrays: put those into files)
   */
  async stage<Value, Partial = unknown>(name: string, work: (stage: Stage<Partial>) => Promise<Value>): Promise<Value> {
    const done = this.#state.completed.find((stage) => stage.name === name);
    if (done) return done.value as Value;
    const artefacts = new Map<string, Artefact>();
    const previous = this.#state.partial?.name === name ? this.#state.partial : undefined;
    const value = await work(this.#stageApi(name, previous, artefacts));
    const record: StageRecord = { name, value: asJson(value, name), artefacts: [...artefacts.values()] };
    const leftOver = this.#state.partial?.artefacts ?? [];
    await this.#update({ completed: [...this.#state.completed, record], partial: undefined });
    await this.#remove(leftOver.filter(({ file }) => !artefacts.has(file)));
    return value;
  }

  #stageApi<Partial>(
    name: string,
    previous: StageRecord | undefined,
    artefacts: Map<string, Artefact>,
  ): Stage<Partial> {
    const keep = async (file: string) => {
      artefacts.set(file, await readable(this.file(file), () => artefactOf(this.path, this.#inside(file))));
    };
    return {
      saved: previous?.value as Partial | undefined,
      keep,
      path: (file) => this.#pathFor(file),
      write: async (file, data) => {
        await this.#write(file, data);
        await keep(file);
      },
      save: async (partial, files) => {
        const names = Object.keys(files);
        for (const file of names) await this.#write(file, files[file]!);
        const saved = await Promise.all(names.map((file) => artefactOf(this.path, file)));
        const before = this.#state.partial?.artefacts ?? [];
        await this.#update({ partial: { name, value: asJson(partial, name), artefacts: saved } });
        await this.#remove(before.filter(({ file }) => !names.includes(file)));
      },
    };
  }

  /** Marks the run as done. */
  async finish(): Promise<void> {
    await this.#update({ finished: true });
  }

  /** Removes the folder if no stage has left anything that a resumed run could use; the run that it replaced comes back. */
  async discardUnlessBegun(): Promise<void> {
    if (this.#begun || existsSync(this.file('checkpoints'))) return;
    await rm(this.path, { recursive: true, force: true });
    if (this.#replaced === undefined) return;
    await rename(this.#replaced, this.path);
    this.#replaced = undefined;
  }

  /** Lets other processes work in the folder; call when done, whatever happened. */
  async release(): Promise<void> {
    await this.#removeReplaced();
    await this.#lock.release();
  }

  get #begun(): boolean {
    return this.#state.completed.length > 0 || this.#state.partial !== undefined;
  }

  async #removeReplaced(): Promise<void> {
    if (this.#replaced === undefined) return;
    await rm(this.#replaced, { recursive: true, force: true });
    this.#replaced = undefined;
  }

  async #pathFor(file: string): Promise<string> {
    const path = this.file(this.#inside(file));
    await writable(path, () => mkdir(dirname(path), { recursive: true }));
    return path;
  }

  async #write(file: string, data: string | Uint8Array): Promise<void> {
    await writeWhole(await this.#pathFor(file), data);
  }

  #inside(file: string): string {
    if (isAbsolute(file) || relative(this.path, this.file(file)).startsWith('..')) {
      throw new TandemError('TANDEM_INTERNAL', `"${file}" lies outside the run folder.`, { place: this.path });
    }
    return file;
  }

  /** State changes are written one after another. */
  async #update(change: Partial<RunState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    const state = this.#state;
    this.#writing = this.#writing.catch(() => undefined).then(() => writeState(this.path, state));
    await this.#writing;
    if (this.#begun) await this.#removeReplaced();
  }

  async #remove(artefacts: readonly Artefact[]): Promise<void> {
    for (const { file } of artefacts) await rm(this.file(file), { force: true });
  }
}

async function draftFolder(draft: string, loaded: Loaded): Promise<{ state: RunState; lock: RunLock }> {
  await writable(draft, () => mkdir(draft, { recursive: true }));
  const lock = await RunLock.acquire(draft);
  const { experiment, machines, settings, file, baseFolder } = loaded;
  const resolved = {
    versions: { tandem: tandemVersion, 'onnxruntime-node': packageVersion('onnxruntime-node'), node: process.version },
    platform: `${process.platform}-${process.arch}`,
    settings,
    experiment,
    machines,
  };
  await writeWhole(join(draft, EXPERIMENT_FILE), loaded.bytes);
  await writeWhole(join(draft, RESOLVED_FILE), `${JSON.stringify(resolved, null, 2)}\n`);
  const state: RunState = {
    tandemRun: STATE_VERSION,
    tandemVersion,
    file,
    baseFolder,
    settings: [...settings],
    finished: false,
    given: [await artefactOf(draft, EXPERIMENT_FILE), await artefactOf(draft, RESOLVED_FILE)],
    completed: [],
  };
  await writeState(draft, state);
  return { state, lock };
}

const writeState = (folder: string, state: RunState) =>
  writeWhole(join(folder, STATE_FILE), `${JSON.stringify(state, null, 2)}\n`);

/** First of NAME, NAME-2, NAME-3 … that does not exist. */
async function free(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? path : `${path}-${number}`;
    if ((await contents(candidate)) === undefined) return candidate;
  }
}

async function refuseTaken(path: string, force: boolean): Promise<void> {
  const files = await contents(path);
  if (files === undefined || files.length === 0) return;
  const isRun = await holdsRun(path);
  if (!force || !isRun) throw taken(path, isRun);
}

function taken(path: string, isRun: boolean): TandemError {
  return new TandemError(
    'TANDEM_RUN_EXISTS',
    isRun ? `"${path}" holds a run.` : `"${path}" is not empty and holds no run.`,
    {
      place: path,
      remedy: isRun
        ? `Continue it with \`tandem run --resume ${shellWord(path)}\`, replace it with --force, or choose another folder with --out.`
        : 'Choose another folder with --out; --force replaces runs only.',
    },
  );
}

/** Names in a folder; undefined when there is none. @throws TANDEM_NOT_WRITABLE for a file in its place */
async function contents(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return writable(path, () => Promise.reject(cause));
  }
}

/** Takes a run that nobody works in out of the way, whole. @returns where it lies now; undefined where there was none */
async function setAside(path: string): Promise<string | undefined> {
  if (!(await holdsRun(path))) return undefined;
  const lock = await RunLock.acquire(path);
  const aside = join(dirname(path), `.${basename(path)}.${process.pid}.old`);
  try {
    await writable(path, () => rename(path, aside));
  } catch (cause) {
    await lock.release();
    throw cause;
  }
  await lock.moved(aside).release();
  return aside;
}

/** @throws TANDEM_INTERNAL when a value would not come back from JSON as it is */
function asJson(value: unknown, stage: string): unknown {
  const lost = notJson(value, 'value');
  if (lost === undefined) return value ?? null;
  throw new TandemError('TANDEM_INTERNAL', `The stage "${stage}" returned ${lost}, which JSON cannot hold.`);
}

/** Path of a part that JSON would lose or change; undefined parts of objects are left out on purpose. */
function notJson(part: unknown, path: string): string | undefined {
  if (part === null || part === undefined || typeof part === 'string' || typeof part === 'boolean') return undefined;
  if (typeof part === 'number') return Number.isFinite(part) ? undefined : path;
  const isPlain = Array.isArray(part) || Object.getPrototypeOf(part) === Object.prototype;
  if (!isPlain) return path;
  for (const [key, item] of Object.entries(part)) {
    const lost = notJson(item, `${path}.${key}`);
    if (lost !== undefined) return lost;
  }
  return undefined;
}
