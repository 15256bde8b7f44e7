#!/usr/bin/env node
/** The `tandem` command. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { TandemError } from '../errors.js';
import { CliContext } from './context.js';
import { asTandemError, errorJson, errorText } from './errors.js';
import { createProgram } from './program.js';

/**
 * Runs one command.
 * @param args what follows `tandem`
 * @returns the exit code
 */
export async function main(args: readonly string[], context: CliContext): Promise<number> {
  try {
    await createProgram(context).parseAsync([...args], { from: 'user' });
    return context.exitCode;
  } catch (cause) {
    if (cause instanceof CommanderError && isHelp(cause)) return cause.exitCode === 0 ? 0 : 2;
    const error = context.interrupted ? interrupted(asTandemError(cause)) : asTandemError(cause);
    context.close();
    context.stderr.write(wantsJson(args) ? errorJson(error) : errorText(error));
    return error.exitCode;
  } finally {
    context.close();
  }
}

/** Once Ctrl-C was pressed, whatever ended the work ended because of it. */
function interrupted(cause: TandemError): TandemError {
  if (cause.code === 'TANDEM_INTERRUPTED') return cause;
  const { place, remedy } = cause;
  return new TandemError('TANDEM_INTERRUPTED', 'Interrupted before the work was done.', { place, remedy, cause });
}

const isHelp = ({ code }: CommanderError): boolean =>
  code === 'commander.help' || code === 'commander.helpDisplayed' || code === 'commander.version';

/** Errors may come before the options are understood, so this looks for itself. */
function wantsJson(args: readonly string[]): boolean {
  return args.some((arg, index) => arg === '--format=json' || (arg === '--format' && args[index + 1] === 'json'));
}

/** A reader that stops early (`| head`) is no failure; a full disk behind `>` is. */
function onStdoutError(cause: NodeJS.ErrnoException): void {
  if (cause.code === 'EPIPE') process.exit(0);
  const code = cause.code === 'ENOSPC' ? 'TANDEM_DISK_FULL' : 'TANDEM_NOT_WRITABLE';
  const error = new TandemError(code, `The results could not be printed (${cause.code}).`, {
    place: 'standard output',
    remedy: 'Check where it goes: the disk behind ">" or the program behind "|".',
  });
  process.stderr.write(errorText(error));
  process.exit(error.exitCode);
}

function isEntry(): boolean {
  const [, script] = process.argv;
  return script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url);
}

if (isEntry()) {
  process.stdout.on('error', onStdoutError);
  process.stderr.on('error', () => undefined);
  process.exitCode = await main(process.argv.slice(2), new CliContext(process.stdout, process.stderr));
}
