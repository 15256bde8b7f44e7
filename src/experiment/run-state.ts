/** What a run has done so far: the file `state.json`, which makes a killed run resumable. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { readable } from './file-errors.js';

export const STATE_FILE = 'state.json';
export const STATE_VERSION = 1;

const artefactSchema = z.strictObject({ file: z.string(), bytes: z.int().min(0), sha256: z.string() });
/** A file that a stage wrote, with what it must still be when the run is resumed. */
export type Artefact = z.infer<typeof artefactSchema>;

const stageSchema = z.strictObject({ name: z.string(), value: z.unknown(), artefacts: z.array(artefactSchema) });
export type StageRecord = z.infer<typeof stageSchema>;

const stateSchema = z.strictObject({
  tandemRun: z.literal(STATE_VERSION),
  tandemVersion: z.string(),
  /** Name of the experiment file as given, for messages. */
  file: z.string(),
  baseFolder: z.string(),
  settings: z.array(z.string()),
  finished: z.boolean(),
  /** Files written before the first stage: the experiment and what it resolved to. */
  given: z.array(artefactSchema),
  completed: z.array(stageSchema),
  /** What an unfinished stage saved last. */
  partial: stageSchema.optional(),
});
export type RunState = z.infer<typeof stateSchema>;

/** @throws TANDEM_CANNOT_RESUME when the folder holds no run, TANDEM_RUN_DAMAGED when its state is unreadable */
export async function readState(folder: string): Promise<RunState> {
  const path = join(folder, STATE_FILE);
  const text = await readable(path, () => readFile(path, 'utf8')).catch((cause) => {
    throw new TandemError('TANDEM_CANNOT_RESUME', `"${folder}" holds no run.`, {
      place: folder,
      remedy: 'Name a folder that `tandem run` has made; it has a file state.json.',
      cause,
    });
  });
  const result = stateSchema.safeParse(json(text));
  if (result.success) return result.data;
  throw new TandemError('TANDEM_RUN_DAMAGED', 'The state of this run is unreadable.', {
    place: path,
    remedy: 'Run the experiment again, into another folder or with --force.',
    cause: result.error,
  });
}

/** True where `state.json` says that a run was here, readable or not. */
export async function holdsRun(folder: string): Promise<boolean> {
  const text = await readFile(join(folder, STATE_FILE), 'utf8').catch(() => '');
  return text.includes('"tandemRun"');
}

export async function artefactOf(folder: string, file: string): Promise<Artefact> {
  const path = join(folder, file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return { file, bytes: (await stat(path)).size, sha256: hash.digest('hex') };
}

/** @throws TANDEM_RUN_DAMAGED when a file is gone, cut short or changed */
export async function verifyArtefacts(folder: string, artefacts: readonly Artefact[]): Promise<void> {
  for (const expected of artefacts) {
    const found = await artefactOf(folder, expected.file).catch(() => undefined);
    if (found?.sha256 === expected.sha256) continue;
    const what = !found
      ? 'is missing or unreadable'
      : found.bytes === expected.bytes
        ? 'was changed'
        : `has ${found.bytes} bytes where the run wrote ${expected.bytes}`;
    throw new TandemError('TANDEM_RUN_DAMAGED', `A file of this run ${what}.`, {
      place: join(folder, expected.file),
      remedy: 'Restore the file, or run the experiment again, into another folder or with --force.',
    });
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
