#!/usr/bin/env node
/** The `tandem` command. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
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
    const error = asTandemError(cause);
    context.close();
    context.stderr.write(wantsJson(args) ? errorJson(error) : errorText(error));
    return error.exitCode;
  } finally {
    context.close();
  }
}

const isHelp = ({ code }: CommanderError): boolean =>
  code === 'commander.help' || code === 'commander.helpDisplayed' || code === 'commander.version';

/** Errors may come before the options are understood, so this looks for itself. */
function wantsJson(args: readonly string[]): boolean {
  return args.some((arg, index) => arg === '--format=json' || (arg === '--format' && args[index + 1] === 'json'));
}

/** A reader that stops early (`| head`) is no failure; a full disk behind `>` is. */
function onStdoutError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  const failure = asTandemError(error);
  process.stderr.write(errorText(failure));
  process.exit(failure.exitCode);
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
