/** How errors look on the command line. */
import { CommanderError } from 'commander';
import { ERROR_CODES, TandemError } from '../errors.js';
import { writeFailure } from '../experiment/file-errors.js';
import { printable } from '../report/html.js';
import { InvalidSettings, type Problem } from '../settings/validate.js';

/** Any error as one that has a code. */
export function asTandemError(cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  if (cause instanceof CommanderError) return usageError(cause);
  const path = (cause as NodeJS.ErrnoException | undefined)?.path;
  const failure = writeFailure(path ?? 'a file', cause);
  if (failure instanceof TandemError) return failure;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new TandemError('TANDEM_INTERNAL', message, {
    place: cause instanceof Error ? cause.stack?.split('\n')[1]?.trim().replace(/^at /, '') : undefined,
    remedy: 'Please report this, with the command and its input.',
    cause,
  });
}

/** Commander's "error: unknown option '--x'\n(Did you mean --y?)". */
function usageError({ message }: CommanderError): TandemError {
  const [first = '', ...rest] = message.replace(/^error: /, '').split('\n');
  const suggestion = rest.join(' ').replace(/^\(|\)$/g, '');
  return new TandemError('TANDEM_USAGE', `${first[0]?.toUpperCase() ?? ''}${first.slice(1)}.`.replace(/\.\.$/, '.'), {
    remedy: `${suggestion ? `${suggestion} ` : ''}See tandem --help, or --help after a command.`,
  });
}

function problemsOf(error: TandemError): Problem[] {
  if (error instanceof InvalidSettings) return [...error.problems];
  const { code, message, place = '', remedy } = error;
  return [{ code, message, place, remedy }];
}

/**
 * Lines for people: code and message, place, remedy; several problems of one file one after another. Control characters,
 * which a quoted file may hold, are made harmless.
 */
export function errorText(error: TandemError): string {
  const text = problemsOf(error)
    .map(({ code, message, place, remedy }) =>
      [`${code}: ${message}`, place && `  at   ${place}`, remedy && `  fix  ${remedy}`].filter(Boolean).join('\n'),
    )
    .join('\n');
  return `${printable(text)}\n`;
}

/** The same for scripts: `{ error: { code, exit, message, place, remedy, problems } }`. */
export function errorJson(error: TandemError): string {
  const { code, message, place, remedy } = error;
  const problems = problemsOf(error);
  const body = {
    code,
    exit: ERROR_CODES[code].exit,
    message,
    place,
    remedy,
    ...(problems.length > 1 ? { problems } : {}),
  };
  return `${JSON.stringify({ error: body })}\n`;
}
