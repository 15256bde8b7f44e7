/** What `run` and `train` share: opening a new or an unfinished run folder, and leaving it in good order. */
import { type Command, Option } from 'commander';
import { TandemError } from '../errors.js';
import { shellWord, writeFailure } from '../experiment/file-errors.js';
import { type Loaded, loadExperiment } from '../experiment/load.js';
import { RunFolder } from '../experiment/run-folder.js';
import type { TableFormat } from '../report/tables.js';
import type { CliContext } from './context.js';
import { formatOption, outOption, setOption } from './options.js';

export interface RunOptions {
  readonly resume?: string;
  readonly out?: string;
  readonly force?: boolean;
  readonly set: readonly string[];
  readonly format: TableFormat;
}

/** Adds the arguments and options of commands that work in a run folder. */
export function runCommandOptions(command: Command): Command {
  return command
    .argument('[experiment]', 'experiment file (YAML)')
    .addOption(
      new Option('--resume <folder>', 'continue the run in this folder where it stopped').conflicts([
        'out',
        'force',
        'set',
      ]),
    )
    .addOption(outOption('run folder; by default runs/NAME, or runs/NAME-2 … when that is taken'))
    .addOption(setOption())
    .addOption(new Option('--force', 'replace the run in the folder'))
    .addOption(formatOption());
}

/**
 * Opens the run folder, works in it, and lets go of it, whatever happens; an interrupted run says how to resume it.
 * @throws what the work throws
 */
export async function inRunFolder<T>(
  context: CliContext,
  command: string,
  file: string | undefined,
  options: RunOptions,
  work: (loaded: Loaded, folder: RunFolder) => Promise<T>,
): Promise<T> {
  const { folder, loaded } = await opened(context, file, options);
  try {
    return await work(loaded, folder);
  } catch (cause) {
    if (!context.interrupted) {
      // Bad data or a bad model shows before anything is done: the next try must not find the name taken.
      if (options.resume === undefined) await folder.discardUnlessBegun();
      // What the system says of a failed write does not always name the file.
      throw writeFailure(folder.path, cause);
    }
    throw new TandemError('TANDEM_INTERRUPTED', 'Interrupted before the work was done.', {
      place: folder.path,
      remedy: `Continue with: tandem ${command} --resume ${shellWord(folder.path)}`,
      cause,
    });
  } finally {
    await folder.release();
  }
}

async function opened(
  context: CliContext,
  file: string | undefined,
  { resume, out, force, set }: RunOptions,
): Promise<{ folder: RunFolder; loaded: Loaded }> {
  if (resume !== undefined) {
    if (file !== undefined) {
      throw new TandemError('TANDEM_USAGE', 'A resumed run has its experiment in its folder.', {
        place: file,
        remedy: `Leave the file out: --resume ${resume}`,
      });
    }
    const run = await RunFolder.resume(resume);
    context.progress.note(`Continuing ${resume}: ${run.folder.completed.join(', ') || 'no stage'} done.`);
    return run;
  }
  if (file === undefined) {
    throw new TandemError('TANDEM_USAGE', 'There is no experiment to run.', {
      remedy: 'Name an experiment file, or a run folder with --resume.',
    });
  }
  const loaded = await loadExperiment(file, { settings: set });
  const folder = await RunFolder.create(loaded, { out, force });
  context.progress.note(`Writing to ${folder.path}`);
  return { folder, loaded };
}
